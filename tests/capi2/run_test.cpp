// `fuselage run`: what it says about a program, and how it ends with it.
#include <gmock/gmock.h>

#include <regex>

#include "capi2/c_program.hpp"
#include "uring/ring_mount.hpp"

namespace fuselage::test {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class RunToolTest : public CProgramTest {
 protected:
  void SetUp() override {
    CProgramTest::SetUp();
    if (IsSkipped()) return;
    write_file(make_directory("root") / "file", "text");
    make_directory("mnt");
  }

  std::filesystem::path mountpoint() const { return directory() / "mnt"; }

  /// `fuselage run OPTIONS -- COMMAND`, with the environment that the mirror needs.
  Program run(std::vector<std::string> options, const std::vector<std::string>& command) const {
    std::vector<std::string> all{"env",
                                 fmt::format("MIRROR_ROOT={}", (directory() / "root").native()),
                                 fmt::format("MIRROR_LOG={}", (directory() / "log").native()),
                                 "MIRROR=",
                                 FUSELAGE_TOOL,
                                 "run"};
    all.insert(all.end(), options.begin(), options.end());
    all.push_back("--");
    all.insert(all.end(), command.begin(), command.end());
    return Program(all);
  }
  std::vector<std::string> mirror(const std::string& option = "-f") const {
    return {program("mirror"), option, mountpoint()};
  }
};

TEST_F(RunToolTest, CountsAndMeasuresWhatWasAskedFor) {
  Program tool = run({"--stats"}, mirror());
  ASSERT_TRUE(mounted(mountpoint(), tool));
  EXPECT_EQ(text_of_file(mountpoint() / "file"), "text");
  EXPECT_THAT(tool.output(), Not(HasSubstr("READ")));
  EXPECT_EQ(unmount(mountpoint(), tool), 0);
  EXPECT_TRUE(std::regex_search(tool.output(), std::regex("\nREAD +1 +0 +0 +4 +[0-9.]+ [nmu]?s "))) << tool.output();
}

TEST_F(RunToolTest, TellsEachRequestInALine) {
  Program tool = run({"--trace"}, mirror());
  ASSERT_TRUE(mounted(mountpoint(), tool));
  EXPECT_EQ(text_of_file(mountpoint() / "file"), "text");
  EXPECT_EQ(unmount(mountpoint(), tool), 0);
  std::istringstream lines(tool.output());
  std::string line;
  const auto next = [&](const std::string& word) {
    while (std::getline(lines, line)) {
      EXPECT_TRUE(std::regex_search(line, std::regex("^[A-Z_0-9]+ unique=[0-9]+ .* -> .* in [0-9]+ "))) << line;
      if (line.starts_with(word + " ")) return true;
    }
    return false;
  };
  for (const char* const word : {"INIT", "LOOKUP", "OPEN", "READ"}) EXPECT_TRUE(next(word)) << word << tool.output();
  EXPECT_THAT(tool.output(), Not(HasSubstr("operation  ")));
}

TEST_F(RunToolTest, ServesOverIoUringWhereThatIsSwitchedOn) {
  if (const std::string why = why_no_ring(); !why.empty()) GTEST_SKIP() << why;
  const auto statistics = [this](const char* transport, std::vector<std::string> command) {
    ::setenv("FUSELAGE_TRANSPORT", transport, 1);
    Program tool = run({"--stats"}, command);
    EXPECT_TRUE(mounted(mountpoint(), tool));
    EXPECT_EQ(text_of_file(mountpoint() / "file"), "text");
    EXPECT_EQ(unmount(mountpoint(), tool), 0);
    return tool.output();
  };
  EXPECT_THAT(statistics("", mirror()), HasSubstr("transport io_uring,"));
  EXPECT_THAT(statistics("device", mirror()), HasSubstr("transport device (no io_uring: the device was asked for),"));
  EXPECT_THAT(statistics("", mirror("-s")), HasSubstr("transport device (no io_uring: with one thread"));
}

TEST_F(RunToolTest, StaysWithAProgramThatGoesIntoTheBackground) {
  Program tool = run({"--stats"}, {program("mirror"), mountpoint()});
  ASSERT_TRUE(mounted(mountpoint(), tool));
  EXPECT_EQ(text_of_file(mountpoint() / "file"), "text");
  EXPECT_EQ(unmount(mountpoint(), tool), 0);
  EXPECT_THAT(tool.output(), HasSubstr("\nREAD "));
}

TEST_F(RunToolTest, PassesSignalsOnAndEndsAsTheProgramDoes) {
  Program tool = run({"--stats"}, mirror());
  ASSERT_TRUE(mounted(mountpoint(), tool));
  tool.signal(SIGTERM);
  EXPECT_EQ(tool.wait(std::chrono::seconds(60)), 0);
  EXPECT_FALSE(is_mounted(mountpoint()));
  EXPECT_EQ(run({}, {program("mirror"), "-o", "nonsense", mountpoint()}).wait(std::chrono::seconds(60)), 1);
}

TEST_F(RunToolTest, SaysWhatCannotRunOnTheLibrary) {
  Program missing = run({}, {directory() / "missing"});
  EXPECT_EQ(missing.wait(std::chrono::seconds(60)), 127);
  EXPECT_THAT(missing.output(), EndsWith("missing': No such file or directory\n"));

  Program foreign = run({}, {"true"});
  EXPECT_EQ(foreign.wait(std::chrono::seconds(60)), 1);
  EXPECT_THAT(foreign.output(), StartsWith("fuselage: 'true' did not load a FUSE library of "));
}

TEST_F(RunToolTest, EndsAProgramThatLoadsAnotherLibrary) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the runtime of AddressSanitizer wants to be loaded first";
#endif
  const std::filesystem::path other = directory() / "libfuse.so.2";
  std::filesystem::copy_file(LIBRARY, other);
  std::vector<std::string> command = mirror();
  command.insert(command.begin(), {"env", fmt::format("LD_PRELOAD={}", other.native())});
  Program tool = run({}, command);
  EXPECT_EQ(tool.wait(std::chrono::seconds(60)), 1);
  EXPECT_THAT(tool.output(), HasSubstr(fmt::format("loaded {} instead of a library of ", other.native())));
  EXPECT_TRUE(eventually([this] { return !is_mounted(mountpoint()); }, std::chrono::seconds(60)));
}

}  // namespace
}  // namespace fuselage::test
