// A program of the low level, served by the library's loops, and carrying its messages itself.
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/unique_fd.hpp"
#include "capi2/c_program.hpp"

namespace fuselage::test {
namespace {

struct How {
  const char* name;
  std::vector<std::string> options;
  const char* environment;
};

class LowLevelTest : public CProgramTest, public ::testing::WithParamInterface<How> {
 protected:
  void SetUp() override {
    CProgramTest::SetUp();
    if (IsSkipped()) return;
    mnt_ = make_directory();
    std::vector<std::string> arguments = GetParam().options;
    arguments.insert(arguments.end(), {"-f", mnt_});
    program_ = std::make_unique<Program>(command("low-level", arguments, {{"LOW_LEVEL", GetParam().environment}}));
    ASSERT_TRUE(mounted(mnt_, *program_));
  }
  void TearDown() override {
    if (program_ != nullptr && is_mounted(mnt_)) {
      EXPECT_EQ(unmount(mnt_, *program_), 0) << program_->output();
    }
    program_.reset();
    CProgramTest::TearDown();
  }

  std::filesystem::path mnt_;
  std::unique_ptr<Program> program_;
};

TEST_P(LowLevelTest, AnswersLaterFromAnotherThread) {
  EXPECT_EQ(text_of_file(mnt_ / "hello"), "Hello, world!\n");
  const base::UniqueFd file(::open((mnt_ / "hello").c_str(), O_RDONLY));
  for (int i = 0; i < 5; ++i) {
    char buffer[100] = {};
    EXPECT_EQ(::pread(file.get(), buffer, sizeof buffer, 0), 14);
    EXPECT_STREQ(buffer, "Hello, world!\n");
  }
}

TEST_P(LowLevelTest, ListsWhatTheProgramPacks) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(mnt_)) names.push_back(entry.path().filename());
  EXPECT_EQ(names, (std::vector<std::string>{"hello", "slow"}));
}

TEST_P(LowLevelTest, AnswersAttributesInTheSizeAskedFor) {
  const std::string file = mnt_ / "hello";
  char value[10] = {};
  EXPECT_EQ(::getxattr(file.c_str(), "user.id", nullptr, 0), 4);
  EXPECT_EQ(::getxattr(file.c_str(), "user.id", value, sizeof value), 4);
  EXPECT_STREQ(value, "4711");
  EXPECT_EQ(::getxattr(file.c_str(), "user.id", value, 2), -1);
  EXPECT_EQ(errno, ERANGE);
}

TEST_P(LowLevelTest, TellsOfInterrupts) {
  // Nobody outside sees when the reader waits in the handler, so it gets more time with each attempt.
  for (int attempt = 1; attempt <= 60 && text_of_file(mnt_ / "interrupted") != "yes\n"; ++attempt) {
    Program reader([this] {
      char byte = 0;
      const base::UniqueFd file(::open((mnt_ / "slow").c_str(), O_RDONLY));
      return ::read(file.get(), &byte, 1) < 0 && errno == EINTR ? 0 : 1;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50) * attempt);
    reader.signal(SIGTERM);
    EXPECT_NE(reader.wait(std::chrono::seconds(60)), -1);
  }
  EXPECT_EQ(text_of_file(mnt_ / "interrupted"), "yes\n");
}

TEST_P(LowLevelTest, EndsAtASignal) {
  program_->signal(SIGTERM);
  EXPECT_EQ(program_->wait(std::chrono::seconds(60)), 0) << program_->output();
  EXPECT_FALSE(is_mounted(mnt_));
}

INSTANTIATE_TEST_SUITE_P(Loop, LowLevelTest,
                         ::testing::Values(How{"Threads", {}, ""}, How{"OneThread", {"-s"}, ""},
                                           How{"ByHand", {}, "by_hand"}),
                         [](const auto& how) { return how.param.name; });

}  // namespace
}  // namespace fuselage::test
