// Files by handle, which need no name.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <string>

#include "base/unique_fd.hpp"

namespace fuselage::test {

/// How a server of NFS finds a file again.
class FileHandle {
 public:
  explicit FileHandle(const std::string& path) : handle_(*new (memory_)::file_handle{MAX_HANDLE_SZ, 0, {}}) {
    int mount = 0;
    EXPECT_EQ(::name_to_handle_at(AT_FDCWD, path.c_str(), &handle_, &mount, 0), 0) << std::strerror(errno);
  }
  base::UniqueFd open(const std::string& mountpoint) {
    const base::UniqueFd mount(::open(mountpoint.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return base::UniqueFd(::open_by_handle_at(mount.get(), &handle_, O_RDONLY | O_CLOEXEC));
  }

 private:
  alignas(::file_handle) char memory_[sizeof(::file_handle) + MAX_HANDLE_SZ];
  ::file_handle& handle_;
};

}  // namespace fuselage::test
