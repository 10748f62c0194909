// The memory file system on a real mount, and clients of it that are processes of their own.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

#include "base/unique_fd.hpp"
#include "filesystems/memory/memory.hpp"
#include "support/mount_namespace.hpp"
#include "support/process.hpp"
#include "support/served.hpp"

namespace fuselage::test {

/// Runs `body` in a child process of `user`, in `place`; what it expects in vain fails the test.
inline void as_user(uid_t user, const std::filesystem::path& place, const std::function<void()>& body) {
  std::fflush(stdout);
  EXPECT_EQ(in_child(
                [&]() -> std::string {
                  if (::chdir(place.c_str()) != 0) return "cannot enter " + place.string();
                  ::umask(022);
                  body();
                  std::fflush(stdout);
                  return ::testing::Test::HasFailure() ? "failed (see above)" : "";
                },
                user),
            "")
      << "as user " << user;
}

/// An open file; the test goes on without one only to say so.
inline base::UniqueFd open_file(const std::filesystem::path& path, int flags, mode_t mode = 0644) {
  base::UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  EXPECT_TRUE(fd) << path << ": " << std::strerror(errno);
  return fd;
}

inline void write_file(const std::filesystem::path& path, std::string_view text) {
  const base::UniqueFd fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
  EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

inline std::string read_at(int fd, off_t offset, std::size_t size) {
  std::string text(size, '\0');
  const ssize_t got = ::pread(fd, text.data(), size, offset);
  if (got < 0) return "errno " + std::to_string(errno);
  text.resize(static_cast<std::size_t>(got));
  return text;
}

inline std::string read_file(const std::filesystem::path& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return fd ? read_at(fd.get(), 0, 1 << 20) : "errno " + std::to_string(errno);
}

inline struct stat status_of(const std::filesystem::path& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path << ": " << std::strerror(errno);
  return status;
}

class MemoryMount : public MountTest {
 protected:
  void serve(memory::Options options = {}, SessionOptions session = {}, MountOptions mounting = usual()) {
    options.mode = 01777;
    memory_.emplace(options);
    served_.emplace(*memory_, make_directory(), mounting, std::move(session));
  }
  static MountOptions usual() { return {.allow_other = true, .default_permissions = true, .nosuid = false}; }

  void TearDown() override {
    served_.reset();
    memory_.reset();
    MountTest::TearDown();
  }

  Served& served() { return *served_; }
  std::filesystem::path path(std::string_view name = "") const { return served_->path(name); }

 private:
  std::optional<memory::Memory> memory_;
  std::optional<Served> served_;
};

/// Each test runs for root and for an ordinary user, in a directory of his own.
class MemoryClient : public MemoryMount, public ::testing::WithParamInterface<uid_t> {
 protected:
  void SetUp() override {
    MemoryMount::SetUp();
    if (IsSkipped()) return;
    serve();
    ASSERT_EQ(::mkdir(path("home").c_str(), 0755), 0);
    ASSERT_EQ(::chown(path("home").c_str(), GetParam(), GetParam()), 0);
  }
  void run(const std::function<void()>& body) const { as_user(GetParam(), path("home"), body); }
};

}  // namespace fuselage::test
