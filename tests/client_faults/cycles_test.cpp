// Mounting, serving and unmounting again and again leaves nothing behind.
#include <fcntl.h>

#include <fstream>
#include <sstream>

#include "base/unique_fd.hpp"
#include "support/mount_namespace.hpp"
#include "support/process.hpp"
#include "support/served.hpp"
#include "support/shelf.hpp"

namespace fuselage::test {
namespace {

namespace fs = std::filesystem;

std::size_t count_entries(const char* directory) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), {}));
}

// Resident memory in bytes.
std::size_t resident() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t pages = 0;
  file >> total >> pages;
  return pages * 4096;
}

class Cycles : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (!IsSkipped()) path_ = make_directory();
  }

  void run_once() {
    Shelf file_system;
    const Served served(file_system, path_);
    std::ifstream file(served.path("file"));
    std::string line;
    std::getline(file, line);
    ASSERT_EQ(line, "Hello, world!");
  }

  void expect_no_leak(int cycles) {
    for (int i = 0; i < 20; ++i) run_once();
    const std::size_t descriptors = count_entries("/proc/self/fd");
    const std::size_t threads = count_entries("/proc/self/task");
    const std::size_t memory = resident();
    for (int i = 0; i < cycles && !HasFatalFailure(); ++i) run_once();
    EXPECT_EQ(count_entries("/proc/self/fd"), descriptors);
    // A joined thread may be seen for a moment longer.
    EXPECT_TRUE(eventually([&] { return count_entries("/proc/self/task") == threads; }));
    EXPECT_TRUE(below().empty());
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_LT(resident(), memory + (std::size_t{4} << 20));
#else
    static_cast<void>(memory);
#endif
  }

  fs::path path_;
};

TEST_F(Cycles, two_hundred_leak_nothing) { expect_no_leak(200); }

// suite.cmake runs it under the label slow.
TEST_F(Cycles, DISABLED_a_thousand_leak_nothing) { expect_no_leak(1000); }

TEST_F(Cycles, failed_starts_leak_nothing) {
  class Failing : public Shelf {
   public:
    Result<void> init(Negotiation&) override { return Error{EDOM, "not today"}; }
  };
  const std::size_t descriptors = count_entries("/proc/self/fd");
  for (int i = 0; i < 50; ++i) {
    Failing file_system;
    Mount mount = must(Mount::create(path_));
    const auto session = Session::create(file_system, mount);
    ASSERT_FALSE(session);
    EXPECT_EQ(session.error().code(), EDOM);
    EXPECT_EQ(session.error().message(), "not today");
  }
  EXPECT_EQ(count_entries("/proc/self/fd"), descriptors);
  EXPECT_TRUE(below().empty());
}

}  // namespace
}  // namespace fuselage::test
