// What is promised of files: opening, data, the flags of the operations.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.hpp"
#include "capi2/c_program.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;

// What the program says now, not what the kernel remembers.
struct ::statx status_now(const UniqueFd& file) {
  struct ::statx status {};
  EXPECT_EQ(failure_of(::statx(file.get(), "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_ALL, &status)), 0);
  return status;
}

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 % 26 + i / 4096 % 3);
  return text;
}

TEST_F(MirrorTest, ReadsAndWritesAtExactOffsets) {
  start();
  const std::string text = pattern(1 << 20);
  write_file(path("file"), text);
  EXPECT_EQ(text_of_file(root("file")), text);
  EXPECT_EQ(text_of_file(path("file")), text);
  const UniqueFd file(::open(path("file").c_str(), O_RDWR));
  for (const std::size_t at : {0u, 10u, 4095u, 70000u, 1048570u}) {
    char piece[9] = {};
    EXPECT_GE(::pread(file.get(), piece, 6, static_cast<off_t>(at)), 6);
    EXPECT_EQ(std::string(piece), text.substr(at, 6)) << at;
    EXPECT_EQ(::pwrite(file.get(), "XYZ", 3, static_cast<off_t>(at)), 3);
  }
  EXPECT_EQ(text_of_file(root("file")).substr(70000, 3), "XYZ");
}

TEST_F(MirrorTest, CopiesThroughBuffersOfFilesAndOfMemory) {
  const std::string text = pattern(300001);
  for (const char* words : {"buffers", "buffers mixed"}) {
    start(words);
    write_file(path("file"), text);
    EXPECT_EQ(text_of_file(root("file")), text) << words;
    EXPECT_EQ(text_of_file(path("file")), text) << words;
    EXPECT_GT(logged("read_buf"), 0);
    EXPECT_GT(logged("write_buf"), 0);
    EXPECT_EQ(logged("read") + logged("write"), 0);
    finish();
    forget_log();
  }
}

TEST_F(MirrorTest, FreesTheBuffersThatTheProgramGives) {
  const std::string text = pattern(300001);
  write_file(root("file"), text);
  start("buffers mixed direct");
  EXPECT_EQ(text_of_file(path("file")), text);
#ifndef __SANITIZE_ADDRESS__  // keeps what was freed, to see who still uses it, and tells of leaks itself
  const UniqueFd file(::open(path("file").c_str(), O_RDONLY));
  const auto read_often = [&file](int times) {
    char piece[4096];
    for (int i = 0; i < times; ++i) ASSERT_EQ(::pread(file.get(), piece, sizeof piece, 4096), 4096);
  };
  read_often(2000);
  const long before = resident(mirror().pid());
  read_often(20000);
  EXPECT_LT(resident(mirror().pid()), before + 500);
#endif
}

TEST_F(MirrorTest, CreatesWithOneCall) {
  start();
  const UniqueFd file(::open(path("new").c_str(), O_CREAT | O_EXCL | O_RDWR, 0640));
  ASSERT_GE(file.get(), 0);
  EXPECT_EQ(logged("create /new"), 1);
  EXPECT_EQ(logged("mknod"), 0);
  EXPECT_EQ(logged("open"), 0);
  EXPECT_EQ(logged("fgetattr /new"), 1);  // the open file is asked
}

TEST_F(MirrorTest, CreatesByMknodAndOpenWithoutCreate) {
  start("no_create");
  const UniqueFd file(::open(path("new").c_str(), O_CREAT | O_RDWR, 0640));
  ASSERT_GE(file.get(), 0);
  EXPECT_EQ(logged("mknod /new"), 1);
  EXPECT_EQ(logged("open /new"), 1);
}

TEST_F(MirrorTest, OpensWithoutCreationAndTruncation) {
  write_file(root("file"), "text");
  start();
  const UniqueFd file(::open(path("file").c_str(), O_WRONLY | O_TRUNC | O_CREAT, 0600));
  ASSERT_GE(file.get(), 0);
  EXPECT_EQ(logged("open /file 8001"), 1) << log();
  EXPECT_EQ(std::filesystem::file_size(root("file")), 0u);
  EXPECT_EQ(logged("truncate /file 0") + logged("ftruncate /file 0"), 1);
  EXPECT_LT(log().find("open /file"), log().find("truncate /file")) << log();
}

TEST_F(MirrorTest, TruncatesInOpenWhenAsked) {
  write_file(root("file"), "text");
  start("", {"-oatomic_o_trunc"});
  const UniqueFd file(::open(path("file").c_str(), O_WRONLY | O_TRUNC));
  ASSERT_GE(file.get(), 0);
  EXPECT_EQ(logged("open /file 8201"), 1) << log();
  EXPECT_EQ(std::filesystem::file_size(root("file")), 0u);
}

TEST_F(MirrorTest, TruncatesOpenFilesByHandle) {
  start();
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_EQ(::ftruncate(file.get(), 10), 0);
  EXPECT_EQ(::truncate(path("file").c_str(), 20), 0);
  EXPECT_EQ(logged("ftruncate /file 10"), 1);
  EXPECT_EQ(logged("truncate /file 20"), 1);
  EXPECT_EQ(std::filesystem::file_size(path("file")), 20u);
}

TEST_F(MirrorTest, TruncatesByPathWithoutFtruncate) {
  start("no_f");
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_EQ(::ftruncate(file.get(), 10), 0);
  EXPECT_EQ(logged("truncate /file 10"), 1);
}

TEST_F(MirrorTest, FlushesForEachCloseAndReleasesOnce) {
  start();
  {
    const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
    const UniqueFd second(::dup(file.get()));
    const UniqueFd third(::dup(file.get()));
    in_child([] { return std::string(); });  // who closes them at his end
    EXPECT_EQ(logged("flush /file"), 3);
    EXPECT_EQ(logged("release"), 0);
  }
  EXPECT_TRUE(eventually_logged("release", 1));
  EXPECT_EQ(logged("flush /file"), 6);
}

TEST_F(MirrorTest, ClosesWithTheErrorOfFlush) {
  start("quota");
  const int file = ::open(path("file").c_str(), O_CREAT | O_RDWR, 0600);
  EXPECT_EQ(failure_of(::close(file)), EDQUOT);
  EXPECT_TRUE(eventually_logged("release", 1));  // whose error goes nowhere
}

TEST_F(MirrorTest, ReleasesWhenTheLastMappingIsGone) {
  write_file(root("file"), std::string(4096, 'x'));
  start();
  in_child([this] {
    const int file = ::open(path("file").c_str(), O_RDONLY);
    void* const memory = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, file, 0);
    ::close(file);
    EXPECT_EQ(logged("release"), 0);
    ::munmap(memory, 4096);
    return std::string();
  });
  EXPECT_TRUE(eventually_logged("release", 1));
}

TEST_F(MirrorTest, GivesDirectReadsAndWritesTheirOwnCount) {
  start("direct short");
  write_file(root("file"), std::string(5000, 'x'));
  const UniqueFd file(::open(path("file").c_str(), O_RDWR));
  std::string buffer(8192, '\0');
  EXPECT_EQ(::read(file.get(), buffer.data(), buffer.size()), 1000);
  EXPECT_EQ(::write(file.get(), buffer.data(), 100), 10);
}

TEST_F(MirrorTest, PassesShortCountsOnWithTheCacheToo) {
  start("short");
  write_file(root("file"), std::string(5000, 'x'));
  const UniqueFd file(::open(path("file").c_str(), O_RDWR));
  std::string buffer(8192, '\0');
  EXPECT_EQ(::read(file.get(), buffer.data(), buffer.size()), 1000);  // the end, for the kernel
  const UniqueFd other(::open(path("other").c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_EQ(::write(other.get(), buffer.data(), 100), 10);
  EXPECT_EQ(status_now(other).stx_size, 10u);
  EXPECT_EQ(text_of_file(root("other")), buffer.substr(0, 10));
}

TEST_F(MirrorTest, AnswersEioForMoreThanWasAskedFor) {
  write_file(root("file"), "text");
  start("overrun direct");
  const UniqueFd file(::open(path("file").c_str(), O_RDWR));
  char buffer[100];
  EXPECT_EQ(failure_of(::read(file.get(), buffer, sizeof buffer)), EIO);
  EXPECT_EQ(failure_of(::write(file.get(), buffer, sizeof buffer)), EIO);
  struct stat status {};
  EXPECT_EQ(::stat(path("file").c_str(), &status), 0);  // and serves on
}

TEST_F(MirrorTest, TellsFsyncFromFdatasync) {
  start();
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_EQ(::fsync(file.get()), 0);
  EXPECT_EQ(::fdatasync(file.get()), 0);
  EXPECT_EQ(logged("fsync /file 0"), 1);
  EXPECT_EQ(logged("fsync /file 1"), 1);
  const UniqueFd directory(::open(mountpoint().c_str(), O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(::fsync(directory.get()), 0);
  EXPECT_EQ(logged("fsyncdir /"), 1);
}

TEST_F(MirrorTest, AllocatesSpace) {
  start();
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_EQ(::fallocate(file.get(), 0, 100, 200), 0);
  EXPECT_EQ(logged("fallocate /file 0 100 200"), 1);
}

TEST_F(MirrorTest, HidesOpenFilesThatAreRemoved) {
  start();
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_EQ(::write(file.get(), "text", 4), 4);
  EXPECT_EQ(::unlink(path("file").c_str()), 0);
  EXPECT_EQ(logged("unlink"), 0);
  EXPECT_EQ(status_now(file).stx_nlink, 0u);  // the hidden name does not count
  char back[5] = {};
  EXPECT_EQ(::pread(file.get(), back, 4, 0), 4);
  EXPECT_STREQ(back, "text");
  bool hidden = false;
  for (const auto& entry : std::filesystem::directory_iterator(root(""))) {
    hidden = hidden || entry.path().filename().native().starts_with(".fuse_hidden");
  }
  EXPECT_TRUE(hidden);
}

TEST_F(MirrorTest, RemovesHiddenFilesWhenTheyAreClosed) {
  start();
  {
    const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
    EXPECT_EQ(::unlink(path("file").c_str()), 0);
  }
  EXPECT_TRUE(eventually([this] { return std::filesystem::is_empty(root("")); }));
}

TEST_F(MirrorTest, DoesWithoutAPathWhenTheProgramSaysSo) {
  start("nullpath_ok", {"-ohard_remove"});
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_EQ(::unlink(path("file").c_str()), 0);
  EXPECT_EQ(logged("unlink /file"), 1);
  EXPECT_EQ(::write(file.get(), "text", 4), 4);
  EXPECT_EQ(::ftruncate(file.get(), 2), 0);
  EXPECT_EQ(logged("write (null) 4"), 1);
  EXPECT_EQ(logged("ftruncate (null) 2"), 1);
}

TEST_F(MirrorTest, AsksNothingByPathWhereThereIsNone) {
  start("nullpath_ok no_f", {"-ohard_remove"});
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_EQ(::write(file.get(), "text", 4), 4);
  EXPECT_EQ(::unlink(path("file").c_str()), 0);
  struct ::statx status {};
  EXPECT_EQ(failure_of(::statx(file.get(), "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_ALL, &status)), ENOENT);
  EXPECT_EQ(failure_of(::ftruncate(file.get(), 2)), ENOENT);
  char back[4];
  EXPECT_EQ(::pread(file.get(), back, 4, 0), 4);
}

TEST_F(MirrorTest, FailsWithoutAPathWhenTheProgramNeedsOne) {
  start("", {"-ohard_remove"});
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_EQ(::unlink(path("file").c_str()), 0);
  EXPECT_EQ(failure_of(::write(file.get(), "text", 4)), ENOENT);
}

TEST_F(MirrorTest, OmitsPathsThatTheProgramDoesNotWant) {
  start("nopath");
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_EQ(::write(file.get(), "text", 4), 4);
  EXPECT_EQ(logged("write (null) 4"), 1);
  char back[4];
  EXPECT_EQ(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
  EXPECT_EQ(::pread(file.get(), back, 4, 0), 4);
  EXPECT_EQ(logged("read (null)"), 1);
  EXPECT_EQ(::ftruncate(file.get(), 2), 0);
  EXPECT_EQ(logged("ftruncate (null) 2"), 1);
  EXPECT_EQ(::fchmod(file.get(), 0640), 0);
  EXPECT_EQ(logged("chmod /file 640"), 1);
}

TEST_F(MirrorTest, GivesAPathForMoreThanASize) {
  write_file(root("file"), "text");
  ASSERT_EQ(::chown(root("file").c_str(), nobody, nobody), 0);
  ASSERT_EQ(::chmod(root("file").c_str(), 04755), 0);
  start("nopath", {"-oallow_other"});
  // Of who may not keep the bit the kernel changes mode and size at once.
  const std::string seen = in_child(
      [this] {
        const UniqueFd file(::open(path("file").c_str(), O_RDWR));
        return std::to_string(failure_of(::ftruncate(file.get(), 2)));
      },
      nobody);
  EXPECT_EQ(seen, "0") << log();
  EXPECT_EQ(logged("ftruncate /file 2"), 1) << log();
  EXPECT_EQ(logged("chmod /file 755"), 1);
}

TEST_F(MirrorTest, GivesPathsWhereTheProgramCannotDoWithoutAll) {
  start("nopath no_f");
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_EQ(::write(file.get(), "text", 4), 4);
  EXPECT_EQ(::ftruncate(file.get(), 2), 0);
  EXPECT_EQ(logged("truncate /file 2"), 1);
  EXPECT_EQ(status_now(file).stx_size, 2u);
}

TEST_F(MirrorTest, PassesIoctls) {
  start();
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  int value = 41;
  EXPECT_EQ(::ioctl(file.get(), _IOWR('E', 1, int), &value), 7);
  EXPECT_EQ(value, 42);
  EXPECT_EQ(::ioctl(file.get(), _IO('E', 2), nullptr), 0);
  EXPECT_EQ(logged("ioctl /file dir=0 data=0"), 1) << log();
  long in = 77;
  EXPECT_EQ(::ioctl(file.get(), _IOW('E', 4, long), &in), 77);
  EXPECT_EQ(in, 77);
  long out = -1;
  EXPECT_EQ(::ioctl(file.get(), _IOR('E', 5, long), &out), 0);
  EXPECT_EQ(out, 4242);
  EXPECT_EQ(failure_of(::ioctl(file.get(), _IO('E', 3), nullptr)), ENOTTY);
  const UniqueFd directory(::open(mountpoint().c_str(), O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(::ioctl(directory.get(), _IO('E', 2), nullptr), 0);
  EXPECT_EQ(logged("ioctl / dir=1 data=0"), 1) << log();
}

TEST_F(MirrorTest, WakesPollers) {
  start();
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  ::pollfd wait{file.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 60000), 1);
  EXPECT_GE(logged("poll /file"), 2);
}

}  // namespace
}  // namespace fuselage::test
