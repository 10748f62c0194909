// A file system on a real mount, served by threads of the test's own process: the test sees both sides.
//
// What the test does to the mount through mappings (mmap) belongs into a child process: a page fault may hold the
// memory map that a handler's malloc waits for.
#pragma once

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <chrono>
#include <condition_variable>
#include <fuselage/mount.hpp>
#include <fuselage/session.hpp>
#include <future>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <utility>

namespace fuselage::test {

/// The value, or an exception with the message of the error.
template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

/// 0 if a system call succeeded, else its errno: EXPECT_EQ(failure(::rmdir(path)), ENOTEMPTY).
template <class T>
int failure(T result) {
  return result < 0 ? errno : 0;
}

/// Fails the test and cuts the connection of the mount at `path` when the scope takes too long: a deadlock shall not
/// hang the test program, whose blocked threads could not even be killed.
class Watchdog {
 public:
  Watchdog(std::filesystem::path path, std::chrono::seconds limit)
      : thread_([path = std::move(path), limit](const std::stop_token& over) {
          std::mutex mutex;
          std::unique_lock lock(mutex);
          std::condition_variable_any wake;
          wake.wait_for(lock, over, limit, [] { return false; });
          if (over.stop_requested()) return;
          ADD_FAILURE() << path << " is in use for too long: cutting the connection";
          ::umount2(path.c_str(), MNT_FORCE);
        }) {}

 private:
  std::jthread thread_;
};

/// Mounts and serves `file_system` from here to the end of the scope; then unmounts and waits for `run` to return.
class Served {
 public:
  Served(FileSystemRef file_system, const std::filesystem::path& path, const MountOptions& mounting = {},
         SessionOptions options = {}, std::chrono::seconds limit = std::chrono::seconds(60))
      : mount_(must(Mount::create(path, mounting))),
        session_(must(Session::create(file_system, mount_, std::move(options)))),
        watchdog_(path, limit),
        ended_(std::async(std::launch::async, [this] { return session_.run(); })) {}
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  ~Served() {
    if (!ended_.valid()) return;
    EXPECT_TRUE(mount_.unmount());
    if (ended_.wait_for(std::chrono::seconds(10)) == std::future_status::ready) return;
    ADD_FAILURE() << mount_.mountpoint() << " was unmounted, but something still uses it";
    session_.stop();
  }

  Mount& mount() { return mount_; }
  Session& session() { return session_; }
  std::filesystem::path path(std::string_view name) const { return mount_.mountpoint() / name; }

  /// Waits for `run` to return and tells why it did. Once.
  Ended wait() { return ended_.get(); }

  /// Whether `run` returns within `limit`.
  bool ends_within(std::chrono::milliseconds limit) const {
    return ended_.wait_for(limit) == std::future_status::ready;
  }

  /// How often the file system or the session was asked for an operation ("READ") so far.
  std::uint64_t count(std::string_view operation) const {
    for (const auto& row : session_.statistics().operations) {
      if (row.name == operation) return row.count;
    }
    return 0;
  }

 private:
  Mount mount_;
  Session session_;
  Watchdog watchdog_;
  std::future<Ended> ended_;
};

}  // namespace fuselage::test
