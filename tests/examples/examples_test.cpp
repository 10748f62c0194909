#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <fstream>

#include "base/unique_fd.hpp"
#include "support/mount_namespace.hpp"
#include "support/program.hpp"

namespace fuselage::test {
namespace {

using Clock = std::chrono::steady_clock;

class ExamplesTest : public MountTest {
 protected:
  // Runs the example in the background, as a user would.
  void start(const std::string& name, const std::string& options = "") {
    where_ = make_directory();
    std::vector<std::string> command{std::string(EXAMPLES) + "/" + name, where_.string()};
    if (!options.empty()) command.insert(command.end(), {"-o", options});
    Program program(command);
    ASSERT_EQ(program.wait(), 0) << program.output();
    ASSERT_TRUE(is_mounted(where_));
  }
  void TearDown() override {
    if (!where_.empty()) {
      EXPECT_EQ(::umount2(where_.c_str(), 0), 0);
      EXPECT_TRUE(background_ended());
    }
    MountTest::TearDown();
  }

  std::string read(const std::string& name) const {
    std::ifstream file(where_ / name);
    std::string line;
    std::getline(file, line);
    return line;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(where_)) found.push_back(entry.path().filename());
    return found;
  }
  const std::filesystem::path& where() const { return where_; }

 private:
  std::filesystem::path where_;
};

TEST_F(ExamplesTest, HelloSaysHello) {
  start("hello");
  EXPECT_EQ(read("hello"), "Hello, world!");
  EXPECT_THAT(names(), ::testing::ElementsAre("hello"));
  EXPECT_FALSE(std::filesystem::exists(where() / "other"));
}

TEST_F(ExamplesTest, HelloByPathSaysHelloAndHasTheOptionsOfPaths) {
  start("hello_path", "umask=0227,uid=12");
  EXPECT_EQ(read("hello"), "Hello, world!");
  EXPECT_THAT(names(), ::testing::ElementsAre("hello"));
  EXPECT_FALSE(std::filesystem::exists(where() / "other"));
  struct stat status {};
  ASSERT_EQ(::stat((where() / "hello").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, mode_t{0550});
  EXPECT_EQ(status.st_uid, 12u);
}

TEST_F(ExamplesTest, SleepyMakesItsReadersWaitTogether) {
  start("sleepy", "delay=0.3");
  EXPECT_THAT(names(), ::testing::UnorderedElementsAre("dream", "load"));
  const auto begin = Clock::now();
  std::vector<std::thread> readers;
  for (int i = 0; i < 20; ++i) {
    readers.emplace_back([&] { EXPECT_EQ(read("dream"), "It was all a dream."); });
  }
  for (std::thread& reader : readers) reader.join();
  const auto took = Clock::now() - begin;
  EXPECT_GE(took, std::chrono::milliseconds(300));
  EXPECT_LT(took, std::chrono::seconds(5)) << "twenty readers waited one after the other";
  EXPECT_FALSE(read("load").empty());
}

TEST_F(ExamplesTest, SleepyReadersCanBeInterrupted) {
  start("sleepy", "delay=3600");
  Program reader([this] { return read("dream").empty() ? 0 : 1; });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  reader.signal(SIGTERM);
  EXPECT_EQ(reader.wait(), 128 + SIGTERM);
}

TEST_F(ExamplesTest, MirrorShowsWhatIsBelow) {
  const std::filesystem::path below = make_directory("below");
  std::filesystem::create_directory(below / "directory");
  const std::string text(3'000'000, 'm');
  std::ofstream(below / "directory/large") << text;
  start("mirror", "from=" + below.string());
  EXPECT_THAT(names(), ::testing::ElementsAre("directory"));
  EXPECT_EQ(std::filesystem::file_size(where() / "directory/large"), text.size());
  EXPECT_EQ(read("directory/large"), text);
  EXPECT_FALSE(std::filesystem::exists(where() / "other"));

  const base::UniqueFd file(::open((where() / "directory/large").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(file);
  EXPECT_EQ(::pwrite(file.get(), "written", 7, 2'999'996), 7);
  EXPECT_EQ(::fsync(file.get()), 0);
  std::ifstream changed(below / "directory/large");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(changed), {}), text.substr(0, 2'999'996) + "written");
}

TEST_F(ExamplesTest, MirrorSaysWhatItCannotShow) {
  Program program({std::string(EXAMPLES) + "/mirror", make_directory().string(), "-o", "from=/nothing/here"});
  EXPECT_NE(program.wait(), 0);
  EXPECT_THAT(program.output(), ::testing::HasSubstr("/nothing/here"));
}

TEST_F(ExamplesTest, TickerChangesUnderItsReaders) {
  start("ticker", "period=0.1");
  const base::UniqueFd file(::open((where() / "tick").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(file);
  const auto count = [&] {
    char text[12];
    EXPECT_EQ(::pread(file.get(), text, sizeof text, 0), 12);
    return std::stoi(std::string(text, sizeof text));
  };
  const int first = count();
  EXPECT_TRUE(eventually([&] { return count() > first; }));
}

TEST_F(ExamplesTest, TickerWakesWhoPolls) {
  start("ticker", "period=0.2");
  const base::UniqueFd file(::open((where() / "tick").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(file);
  for (int i = 0; i < 3; ++i) {
    ::pollfd event{file.get(), POLLPRI, 0};
    EXPECT_EQ(::poll(&event, 1, 10'000), 1);
    EXPECT_EQ(event.revents & POLLPRI, POLLPRI);
  }
}

}  // namespace
}  // namespace fuselage::test
