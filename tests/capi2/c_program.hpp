// A C program on libfuse.so.2 with a mount, for tests.
#pragma once

#include <fmt/format.h>
#include <sys/mount.h>

#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/mount_namespace.hpp"
#include "support/process.hpp"
#include "support/program.hpp"

namespace fuselage::test {

/// The text of a file of the real file system.
inline std::string text_of_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void write_file(const std::filesystem::path& path, const std::string& text) { std::ofstream(path) << text; }

class CProgramTest : public MountTest {
 protected:
  using Environment = std::vector<std::pair<std::string, std::string>>;

  static std::string program(const std::string& name) { return std::string(PROGRAMS) + "/capi2-" + name; }

  /// A program in the foreground.
  static std::function<int()> command(const std::string& name, std::vector<std::string> arguments,
                                      Environment environment = {}) {
    arguments.insert(arguments.begin(), program(name));
    return [arguments = std::move(arguments), environment = std::move(environment)] {
      for (const auto& [variable, value] : environment) ::setenv(variable.c_str(), value.c_str(), 1);
      std::vector<char*> pointers;
      for (const std::string& word : arguments) pointers.push_back(const_cast<char*>(word.c_str()));
      pointers.push_back(nullptr);
      ::execv(pointers.front(), pointers.data());
      return 127;
    };
  }

  /// Waits for the mount of a program; its output when it does not come.
  ::testing::AssertionResult mounted(const std::filesystem::path& path, const Program& program) {
    struct stat status {};
    if (eventually([&] { return is_mounted(path); }, std::chrono::seconds(60)) && ::stat(path.c_str(), &status) == 0) {
      return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << "not mounted: " << program.output();
  }

  /// Unmounts and waits for the program to end: its exit code.
  static int unmount(const std::filesystem::path& path, Program& program) {
    EXPECT_EQ(::umount2(path.c_str(), MNT_DETACH), 0) << std::strerror(errno);
    return program.wait(std::chrono::seconds(60));
  }
};

/// The mirror program over a directory.
class MirrorTest : public CProgramTest {
 protected:
  void SetUp() override {
    CProgramTest::SetUp();
    if (IsSkipped()) return;
    root_ = make_directory("root");
    mountpoint_ = make_directory("mnt");
    log_ = directory() / "log";
  }

  void TearDown() override {
    if (mirror_) finish();
    CProgramTest::TearDown();
  }

  /// Mounts with these words for the program and these options.
  void start(const std::string& words = "", std::vector<std::string> options = {}) {
    std::vector<std::string> arguments{"-f", mountpoint_};
    arguments.insert(arguments.end(), options.begin(), options.end());
    mirror_ = std::make_unique<Program>(
        command("mirror", arguments, {{"MIRROR_ROOT", root_}, {"MIRROR_LOG", log_}, {"MIRROR", words}}));
    ASSERT_TRUE(mounted(mountpoint_, *mirror_));
  }

  void finish() {
    if (is_mounted(mountpoint_)) {
      EXPECT_EQ(unmount(mountpoint_, *mirror_), 0) << mirror_->output();
    }
    mirror_.reset();
  }

  Program& mirror() { return *mirror_; }
  std::filesystem::path root(const std::string& name) const { return root_ / name; }
  std::filesystem::path path(const std::string& name) const { return mountpoint_ / name; }
  const std::filesystem::path& mountpoint() const { return mountpoint_; }

  /// How many lines of the log begin with `text`, a whole word.
  int logged(const std::string& text) const {
    std::ifstream log(log_);
    int count = 0;
    for (std::string line; std::getline(log, line);) {
      if (line.starts_with(text) && (line.size() == text.size() || line[text.size()] == ' ')) ++count;
    }
    return count;
  }
  /// Waits for lines that come after the call that causes them (RELEASE).
  bool eventually_logged(const std::string& text, int count) const {
    return eventually([&] { return logged(text) == count; }, std::chrono::seconds(60));
  }
  std::string log() const { return text_of_file(log_); }

 private:
  std::filesystem::path root_;
  std::filesystem::path mountpoint_;
  std::filesystem::path log_;
  std::unique_ptr<Program> mirror_;
};

}  // namespace fuselage::test
