// Programs that were linked with libraries of long ago, or written for their interfaces.
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <set>

#include "base/unique_fd.hpp"
#include "capi2/c_program.hpp"

namespace fuselage::test {
namespace {

struct Way {
  const char* program;
  const char* way;

  friend void PrintTo(const Way& way, std::ostream* out) { *out << way.program << " " << way.way; }
};

// One file, which may not be written.
void expect_hello(const std::filesystem::path& mnt) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(mnt)) names.insert(entry.path().filename());
  EXPECT_EQ(names, std::set<std::string>{"hello"});
  EXPECT_EQ(text_of_file(mnt / "hello"), "Hello, world!\n");
  EXPECT_EQ(::access((mnt / "missing").c_str(), F_OK), -1);
  EXPECT_EQ(::open((mnt / "hello").c_str(), O_WRONLY), -1);
  EXPECT_EQ(errno, EACCES);
  struct statvfs space {};
  EXPECT_EQ(::statvfs(mnt.c_str(), &space), 0);
  EXPECT_EQ(space.f_blocks, 77u);
}

class OldTest : public CProgramTest, public ::testing::WithParamInterface<Way> {};

TEST_P(OldTest, ServesAProgramThatWasLinkedThatWay) {
  const auto mnt = make_directory();
  Program old(command(GetParam().program, {GetParam().way, mnt, "-o", "noexec,fsname=old"}));
  ASSERT_TRUE(mounted(mnt, old));
  if (std::string_view(GetParam().way) != "fuse_new_compat1") {  // which took no options
    EXPECT_EQ(below().front().source, "old");
    EXPECT_NE(below().front().options.find("noexec"), std::string::npos);
  }
  expect_hello(mnt);
  EXPECT_EQ(unmount(mnt, old), 0) << old.output();
}

class OldMistakeTest : public CProgramTest {};

TEST_F(OldMistakeTest, NoTableAtAllIsAFileSystemThatCanDoNothing) {
  const auto mnt = make_directory();
  Program old(command("old", {"fuse_main_compat1:no_table", mnt, "-o", "fsname=old"}));
  ASSERT_TRUE(eventually([&] { return is_mounted(mnt); })) << old.output();
  EXPECT_EQ(::access((mnt / "hello").c_str(), F_OK), -1);
  EXPECT_EQ(errno, ENOSYS);
  EXPECT_EQ(unmount(mnt, old), 0) << old.output();
}

INSTANTIATE_TEST_SUITE_P(
    Linked, OldTest,
    ::testing::Values(Way{"old", "fuse_main_compat1"}, Way{"old", "fuse_main_compat2"},
                      Way{"old", "fuse_main_real_compat22"}, Way{"old", "fuse_main_real_compat25"},
                      Way{"old", "fuse_main_real@FUSE_2.2"}, Way{"old", "fuse_main_real@FUSE_2.5"},
                      Way{"old", "fuse_setup_compat2"}, Way{"old", "fuse_setup@FUSE_2.2"},
                      Way{"old", "fuse_setup@FUSE_2.5"}, Way{"old", "fuse_new_compat1"}, Way{"old", "fuse_new_compat2"},
                      Way{"old", "fuse_new@FUSE_2.2"}, Way{"old", "fuse_new@FUSE_2.5"},
                      Way{"old", "fuse_lowlevel_new@FUSE_2.4"}, Way{"old", "fuse_lowlevel_new@FUSE_2.4:by_hand"},
                      Way{"old", "fuse_lowlevel_new@FUSE_2.5"},
                      // As with other libraries, fuse_main is the one that says that it is a macro.
                      Way{"older", "__fuse_setup"}),
    [](const auto& way) {
      std::string name = way.param.way;
      for (char& c : name) {
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
      }
      return name;
    });

class TinyLowTest : public CProgramTest, public ::testing::WithParamInterface<int> {};

TEST_P(TinyLowTest, ServesAProgramOfThisInterface) {
  const auto mnt = make_directory();
  Program tiny(command(fmt::format("tiny-low-{}", GetParam()), {mnt}));
  ASSERT_TRUE(mounted(mnt, tiny));
  expect_hello(mnt);
  EXPECT_EQ(unmount(mnt, tiny), 0) << tiny.output();
}

INSTANTIATE_TEST_SUITE_P(Interface, TinyLowTest, ::testing::Values(24, 25, 26, 29));

}  // namespace
}  // namespace fuselage::test
