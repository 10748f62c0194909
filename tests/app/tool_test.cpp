#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/mount_namespace.hpp"
#include "support/program.hpp"

namespace fuselage::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string said(int code, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), FUSELAGE_TOOL);
  Program tool(std::move(arguments));
  EXPECT_EQ(tool.wait(), code) << tool.output();
  return tool.output();
}

class ToolTest : public MountTest {
 protected:
  void unmount(const std::filesystem::path& where) {
    EXPECT_EQ(said(0, {"unmount", where.string()}), "");
    EXPECT_FALSE(is_mounted(where));
    EXPECT_TRUE(background_ended());
  }
  nlohmann::json listed(const std::filesystem::path& where) {
    for (const auto& mount : nlohmann::json::parse(said(0, {"list", "--json"}))) {
      if (mount["mountpoint"] == where.string()) return mount;
    }
    return {};
  }
};

TEST_F(ToolTest, WrongUsageExitsWith2) {
  EXPECT_THAT(said(2, {}), AllOf(HasSubstr("COMMAND"), HasSubstr("--help")));
  EXPECT_THAT(said(2, {"mout"}), HasSubstr("mout"));
  EXPECT_THAT(said(2, {"mount"}), HasSubstr("TYPE"));
  EXPECT_THAT(said(2, {"mount", "memory"}), HasSubstr("MOUNTPOINT"));
  EXPECT_THAT(said(2, {"mount", "memroy", "/"}), AllOf(HasSubstr("memroy"), HasSubstr("memory")));
  EXPECT_THAT(said(2, {"mount", "memory", "/", "-o", "sized=1"}), AllOf(HasSubstr("sized"), HasSubstr("'size=")));
}

TEST_F(ToolTest, HelpAndVersionAreEverywhere) {
  for (const char* command : {"mount", "unmount", "list", "doctor", "demo"}) {
    EXPECT_THAT(said(0, {command, "--help"}), HasSubstr(std::string("fuselage ") + command));
    EXPECT_THAT(said(0, {command, "--version"}), HasSubstr("fuselage 0."));
  }
  EXPECT_THAT(said(0, {"mount", "memory", "--help"}), AllOf(HasSubstr("size=BYTES"), HasSubstr("max_threads=N")));
}

TEST_F(ToolTest, MountListUnmount) {
  const auto where = make_directory();
  EXPECT_EQ(said(0, {"mount", "memory", where.string(), "-o", "size=64M"}), "");
  std::ofstream(where / "file") << "content";
  EXPECT_EQ(std::filesystem::space(where).capacity, std::uintmax_t{64} << 20);

  const auto mount = listed(where);
  EXPECT_EQ(mount["source"], "memory");
  EXPECT_EQ(mount["type"], "fuse.fuselage");
  EXPECT_EQ(mount["owner"], 0);
  EXPECT_EQ(mount["state"], "served");
  EXPECT_THAT(said(0, {"list"}), AllOf(HasSubstr(where.string()), HasSubstr("served")));
  unmount(where);
  EXPECT_THAT(said(1, {"unmount", where.string()}), HasSubstr("not a mount point"));
}

TEST_F(ToolTest, ABusyMountIsUnmountedLazilyOnly) {
  const auto where = make_directory();
  said(0, {"mount", "memory", where.string()});
  std::optional<std::ofstream> file(where / "file");
  EXPECT_THAT(said(1, {"unmount", where.string()}), HasSubstr("busy"));
  EXPECT_EQ(said(0, {"unmount", "--lazy", where.string()}), "");
  EXPECT_FALSE(is_mounted(where));
  file.reset();
  EXPECT_TRUE(background_ended());
}

TEST_F(ToolTest, ADeadMountIsListedAndReportedAsDead) {
  const auto where = make_directory();
  Program server({FUSELAGE_TOOL, "mount", "-f", "memory", where.string()});
  EXPECT_TRUE(eventually([&] { return is_mounted(where); }));
  server.signal(SIGKILL);
  EXPECT_EQ(server.wait(), 128 + SIGKILL);
  EXPECT_TRUE(eventually([&] { return listed(where)["state"] == "dead"; }));  // io_uring takes a moment to let go
  EXPECT_THAT(said(0, {"doctor"}), AllOf(HasSubstr("mount " + where.string() + ": dead"), HasSubstr("--lazy")));
  EXPECT_EQ(said(0, {"unmount", where.string()}), "");
}

TEST_F(ToolTest, OnlyFuseIsUnmounted) { EXPECT_THAT(said(1, {"unmount", "/proc"}), HasSubstr("not FUSE")); }

TEST_F(ToolTest, DoctorTellsTheProtocolAndLeavesNothing) {
  const auto diagnosis = nlohmann::json::parse(said(0, {"doctor", "--json"}));
  EXPECT_TRUE(diagnosis["can_mount"]);
  std::string protocol;
  for (const auto& finding : diagnosis["findings"]) {
    if (finding["what"] == "protocol") protocol = finding["found"];
  }
  EXPECT_THAT(protocol, HasSubstr("7."));
}

TEST_F(ToolTest, DoctorFailsWhereTheDeviceIsMissing) {
  const auto where = make_directory();
  std::ofstream(where / "nothing").close();
  ASSERT_EQ(::mount((where / "nothing").c_str(), "/dev/fuse", nullptr, MS_BIND, nullptr), 0);
  EXPECT_THAT(said(1, {"doctor"}), AllOf(HasSubstr("FAIL  /dev/fuse"), HasSubstr("impossible")));
  ASSERT_EQ(::umount2("/dev/fuse", MNT_DETACH), 0);
}

// fusermount3 looks into /etc/mtab before it unmounts; minimal systems have none.
TEST_F(ToolTest, DoctorSaysThatFusermount3NeedsMtab) {
  const auto etc = make_directory("etc");
  ASSERT_EQ(::mount(etc.c_str(), "/etc", nullptr, MS_BIND, nullptr), 0);
  const std::string without = said(0, {"doctor"});
  std::filesystem::create_symlink("/proc/self/mounts", etc / "mtab");
  const std::string with = said(0, {"doctor"});
  ASSERT_EQ(::umount2("/etc", MNT_DETACH), 0);
  if (with.find("ok    mounting by fusermount3") == std::string::npos) GTEST_SKIP() << "fusermount3 is missing";
  EXPECT_THAT(without, AllOf(HasSubstr("warn  mounting by fusermount3"), HasSubstr("ln -s /proc/self/mounts /etc/mtab"),
                             HasSubstr("Mounting is possible.")));
  EXPECT_THAT(with, Not(HasSubstr("mtab")));
}

TEST_F(ToolTest, TheDemoShowsTheStepsAndEndsByItselfWithoutATerminal) {
  ::setenv("TMPDIR", directory().c_str(), 1);
  EXPECT_THAT(said(0, {"demo"}), AllOf(HasSubstr("wrote"), HasSubstr("read back"), HasSubstr("renamed"),
                                       HasSubstr("listed"), HasSubstr("READ "), HasSubstr("ended: stopped")));
  ::unsetenv("TMPDIR");
  EXPECT_TRUE(std::filesystem::is_empty(directory()));
}

// mount(8) looks for its helpers in /sbin: in this program's own name space it finds ours there.
class MountHelperTest : public ToolTest {
 protected:
  void SetUp() override {
    ToolTest::SetUp();
    if (IsSkipped()) return;
    const auto layers = make_directory("layers");
    ASSERT_EQ(::mount("none", layers.c_str(), "tmpfs", 0, nullptr), 0);
    for (const char* name : {"upper", "work"}) std::filesystem::create_directory(layers / name);
    const auto sbin = std::filesystem::canonical("/sbin");
    const std::string data = "lowerdir=" + sbin.string() + ",upperdir=" + (layers / "upper").string() +
                             ",workdir=" + (layers / "work").string();
    const int failed = ::mount("none", sbin.c_str(), "overlay", 0, data.c_str());
    ::umount2(layers.c_str(), MNT_DETACH);
    if (failed != 0) GTEST_SKIP() << "no overlay file system to put a mount helper into /sbin";
    covered_ = true;
    std::filesystem::remove("/sbin/mount.fuselage");
    std::filesystem::create_symlink(FUSELAGE_TOOL, "/sbin/mount.fuselage");
  }
  void TearDown() override {
    if (covered_) ::umount2(std::filesystem::canonical("/sbin").c_str(), MNT_DETACH);
    ToolTest::TearDown();
  }

  static std::string mount(int code, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "mount");
    Program program(std::move(arguments));
    EXPECT_EQ(program.wait(), code) << program.output();
    return program.output();
  }

 private:
  bool covered_ = false;
};

TEST_F(MountHelperTest, MountsByTypeAndBySource) {
  const auto where = make_directory();
  mount(0, {"-t", "fuselage", "memory", where.string(), "-o", "size=64M,nofail,_netdev"});
  EXPECT_EQ(std::filesystem::space(where).capacity, std::uintmax_t{64} << 20);
  EXPECT_EQ(listed(where)["source"], "memory");
  unmount(where);
  mount(0, {"-t", "fuselage.memory", "anything", where.string(), "-o", "ro"});
  EXPECT_EQ(listed(where)["source"], "anything");
  EXPECT_FALSE(std::ofstream(where / "file").good());
  unmount(where);
}

TEST_F(MountHelperTest, MountsALineOfFstab) {
  const auto where = make_directory();
  const auto fstab = directory() / "fstab";
  std::ofstream(fstab) << "memory " << where.string() << " fuselage size=64M,noauto 0 0\n";
  mount(0, {"-T", fstab.string(), where.string()});
  EXPECT_EQ(std::filesystem::space(where).capacity, std::uintmax_t{64} << 20);
  unmount(where);
}

TEST_F(MountHelperTest, AFailureReachesTheCaller) {
  const auto where = make_directory();
  EXPECT_THAT(mount(2, {"-t", "fuselage", "memroy", where.string()}), HasSubstr("memroy"));
  EXPECT_THAT(mount(2, {"-t", "fuselage", "memory", where.string(), "-o", "sized=1"}), HasSubstr("'size="));
}

}  // namespace
}  // namespace fuselage::test
