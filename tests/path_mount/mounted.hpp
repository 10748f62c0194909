// `PathFiles` on a real mount.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "base/unique_fd.hpp"
#include "support/mount_namespace.hpp"
#include "support/path_files.hpp"
#include "support/process.hpp"
#include "support/served.hpp"

namespace fuselage::test {

inline std::string read_all(int fd) {
  std::string text(4096, '\0');
  const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
  if (got < 0) return "errno " + std::to_string(errno);
  text.resize(static_cast<std::size_t>(got));
  return text;
}

/// A test with a mount of its own. `Files` is `PathFiles` or a class on top of it; all times are 0, so that every call
/// reaches the handlers, unless a test says otherwise.
template <class Files>
class PathMount : public MountTest {
 protected:
  void serve(PathOptions paths = {}, SessionOptions session = no_caching()) {
    if (IsSkipped()) return;
    served_.emplace(by_path(files, paths), make_directory(), MountOptions{}, std::move(session),
                    std::chrono::seconds(100));
  }
  static SessionOptions no_caching() {
    SessionOptions options;
    options.attr_timeout = options.entry_timeout = std::chrono::nanoseconds(0);
    return options;
  }
  void unserve() { served_.reset(); }
  void TearDown() override {
    unserve();
    EXPECT_EQ(files.lies(), 0u) << "a path did not stay true while its handler ran";
    MountTest::TearDown();
  }

  std::string path(std::string_view name = "") const { return served_->path(name).string(); }
  base::UniqueFd open(std::string_view name, int flags, mode_t mode = 0644) const {
    base::UniqueFd fd(::open(path(name).c_str(), flags | O_CLOEXEC, mode));
    EXPECT_TRUE(fd) << name << ": " << std::strerror(errno);
    return fd;
  }
  std::string read(std::string_view name) const {
    const base::UniqueFd fd = open(name, O_RDONLY);
    return read_all(fd.get());
  }
  struct stat status(std::string_view name) const {
    struct stat status {};
    EXPECT_EQ(::lstat(path(name).c_str(), &status), 0) << name << ": " << std::strerror(errno);
    return status;
  }
  Served& served() { return *served_; }

  Files files;

 private:
  std::optional<Served> served_;
};

}  // namespace fuselage::test
