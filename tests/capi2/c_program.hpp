// A C program on libfuse.so.2 with a mount, for tests.
#pragma once

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

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

/// What stands behind `key` in a line of the log, up to the next space.
inline std::string field(const std::string& line, const std::string& key) {
  const std::size_t at = line.find(" " + key);
  if (at == line.npos) return "(none)";
  const std::size_t begin = at + 1 + key.size();
  return line.substr(begin, line.find(' ', begin) - begin);
}

inline struct stat status_of(const std::filesystem::path& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status;
}

/// The memory of a process, in KiB.
inline long resident(pid_t pid) {
  std::istringstream statm(text_of_file(fmt::format("/proc/{}/statm", pid)));
  long all = 0, resident = 0;
  statm >> all >> resident;
  return resident * ::sysconf(_SC_PAGESIZE) / 1024;
}

/// 0 if a system call succeeded, else its errno.
inline int failure_of(long result) { return result < 0 ? errno : 0; }

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

  /// The lines of the log that begin with `text`, a whole word.
  std::vector<std::string> lines(const std::string& text) const {
    std::ifstream log(log_);
    std::vector<std::string> found;
    for (std::string line; std::getline(log, line);) {
      if (line.starts_with(text) && (line.size() == text.size() || line[text.size()] == ' ')) found.push_back(line);
    }
    return found;
  }
  /// The last of them.
  std::string last(const std::string& text) const {
    const auto all = lines(text);
    return all.empty() ? "(no " + text + ")" : all.back();
  }
  int logged(const std::string& text) const { return static_cast<int>(lines(text).size()); }
  /// Waits for lines that come after the call that causes them (RELEASE).
  bool eventually_logged(const std::string& text, int count) const {
    return eventually([&] { return logged(text) == count; }, std::chrono::seconds(60));
  }
  std::string log() const { return text_of_file(log_); }
  void forget_log() const { std::filesystem::remove(log_); }

 private:
  std::filesystem::path root_;
  std::filesystem::path mountpoint_;
  std::filesystem::path log_;
  std::unique_ptr<Program> mirror_;
};

}  // namespace fuselage::test
