// What comes at any time: polling, interrupts and ioctls.
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <future>

#include "base/unique_fd.hpp"
#include "capi2/c_program.hpp"
#include "support/loop_device.hpp"
#include "support/readers.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;

TEST_F(MirrorTest, AsksForBlocksOnlyOnDevices) {
  start();
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  int block = 0;
  EXPECT_TRUE(::ioctl(file.get(), FIBMAP, &block) != 0 || block == 0);
  EXPECT_EQ(logged("bmap /file"), 0) << log();
}

TEST_F(MirrorTest, AsksForBlocksOnDevices) {
  const LoopDevice device(directory() / "image", 1 << 20);
  if (!device.obstacle().empty()) GTEST_SKIP() << device.obstacle();
  write_file(root("file"), std::string(100000, 'x'));
  start("", {"-oblkdev,fsname=" + device.name()});
  EXPECT_TRUE(below().front().type.starts_with("fuseblk")) << below().front().type;
  int block = 7;
  EXPECT_EQ(failure_of(::ioctl(UniqueFd(::open(path("file").c_str(), O_RDONLY)).get(), FIBMAP, &block)), 0);
  EXPECT_EQ(block, 1007);
  // Since 6.17 the kernel takes whole pages (fuse_fill_super_common).
  EXPECT_EQ(logged("bmap /file 512 7") + logged("bmap /file 4096 7"), 1) << log();
  finish();
}

#ifdef __x86_64__
// As a 32-bit program asks. The kernel may have no such door: then the process is killed.
int ioctl_of_a_32_bit_program(int fd, unsigned command) {
  constexpr int number_of_ioctl = 54;
  long answer = number_of_ioctl;
  asm volatile("int $0x80" : "+a"(answer) : "b"(fd), "c"(command), "d"(0) : "memory", "r8", "r9", "r10", "r11");
  return static_cast<int>(answer);
}

TEST_F(MirrorTest, TellsIoctlsOf32BitPrograms) {
  start();
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  const pid_t child = ::fork();
  if (child == 0) ::_exit(ioctl_of_a_32_bit_program(file.get(), _IO('E', 2)) == 0 ? 0 : 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WIFSIGNALED(status)) GTEST_SKIP() << "this kernel runs no 32-bit programs";
  EXPECT_EQ(status, 0);
  EXPECT_EQ(logged("ioctl /file dir=0 data=0 compat=1"), 1) << log();
  EXPECT_EQ(::ioctl(file.get(), _IO('E', 2), nullptr), 0);
  EXPECT_EQ(logged("ioctl /file dir=0 data=0 compat=0"), 1) << log();
}
#endif

TEST_F(MirrorTest, PassesIoctlNumbersWithTheHighestBit) {
  start();
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  constexpr unsigned long command = _IOWR('E', 1, int);
  static_assert(command > INT_MAX);
  int value = 1;
  EXPECT_EQ(::ioctl(file.get(), command, &value), 7);
  EXPECT_EQ(logged(fmt::format("ioctl /file dir=0 data=1 compat=0 {:x}", command)), 1) << log();
}

TEST_F(MirrorTest, WakesAllPollersWithOneNotification) {
  start("waits");
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  std::vector<std::future<int>> pollers;
  for (int i = 0; i < 3; ++i) {
    pollers.push_back(std::async(std::launch::async, [&file] {
      ::pollfd wait{file.get(), POLLIN, 0};
      return ::poll(&wait, 1, 60000);
    }));
  }
  // Each has asked, and found nothing.
  ASSERT_TRUE(eventually([this] { return logged("poll /file") >= 3; }, std::chrono::seconds(60)));
  ASSERT_EQ(::write(file.get(), "x", 1), 1);
  for (auto& poller : pollers) EXPECT_EQ(poller.get(), 1);
}

TEST_F(MirrorTest, KeepsNothingOfPollHandlesThatTheProgramHasDestroyed) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer keeps what was freed, to see who still uses it";
#endif
  start();
  const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  const auto poll_often = [&file](int times) {
    for (int i = 0; i < times; ++i) {
      ::pollfd wait{file.get(), POLLIN, 0};
      ASSERT_EQ(::poll(&wait, 1, 60000), 1);
    }
  };
  poll_often(2000);
  const long before = resident(mirror().pid());
  poll_often(20000);
  EXPECT_LT(resident(mirror().pid()), before + 500);
}

TEST_F(MirrorTest, InterruptsHandlersWithASignalWhenAsked) {
  // Direct: nobody who waits for the page cache sees a signal that does not kill him.
  start("stuck", {"-o", "intr,direct_io"});
  write_file(root("file"), "text");
  const std::string seen = in_child([this] {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &action, nullptr);
    // Again and again: the first may come before the read has begun.
    const ::itimerval often{{0, 200000}, {0, 200000}};
    const UniqueFd file(::open(path("file").c_str(), O_RDONLY));
    ::setitimer(ITIMER_REAL, &often, nullptr);
    char byte = 0;
    return std::to_string(failure_of(static_cast<int>(::read(file.get(), &byte, 1))));
  });
  EXPECT_EQ(seen, std::to_string(EINTR));
  EXPECT_GE(logged("interrupted=1"), 1) << log();
  EXPECT_EQ(logged("interrupted=0"), 0);
}

TEST_F(MirrorTest, RepeatsTheSignalOfAnInterrupt) {
  start("stuck twice", {"-o", "intr,direct_io"});
  write_file(root("file"), "text");
  Readers readers(path("file"), 1);
  ASSERT_TRUE(eventually_logged("read /file", 1)) << log();
  readers.interrupt();
  EXPECT_EQ(readers.join(), std::vector<int>(1, EINTR));
}

TEST_F(MirrorTest, InterruptsTwentyHandlersWithinASecond) {
  start("stuck", {"-o", "intr,direct_io"});
  write_file(root("file"), "text");
  Readers readers(path("file"), 20);
  ASSERT_TRUE(eventually_logged("read /file", 20)) << log();
  const auto begin = std::chrono::steady_clock::now();
  readers.interrupt();
  EXPECT_EQ(readers.join(), std::vector<int>(20, EINTR));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
}

}  // namespace
}  // namespace fuselage::test
