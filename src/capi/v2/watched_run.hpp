// The library's side of `fuselage run`: says that it was loaded, and tells what it does.
#pragma once

#include <sys/types.h>

#include <fuselage/statistics.hpp>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace fuselage::capi2 {

/// The tool gives us a socket by the environment (FUSELAGE_RUN_SOCKET, a descriptor, and FUSELAGE_RUN=trace). Without
/// it nothing here has an effect. Thread-safe.
class WatchedRun {
 public:
  WatchedRun();

  bool wants_trace() const noexcept { return trace_; }
  /// The session's loop has returned. Not all programs destroy their sessions after that, but they exit.
  void left_loop(const void* session, const Statistics& statistics) noexcept;
  /// A session is over.
  void ended(const void* session, const Statistics& statistics) noexcept;
  /// The program exits: tells what those sessions did that nobody has ended.
  void exit() noexcept;

 private:
  void say(std::string_view kind, std::string_view text) noexcept;
  bool is_ours() const noexcept;

  int socket_ = -1;
  ino_t inode_ = 0;  ///< Programs close descriptors that they do not know: ours is recognised by this.
  bool trace_ = false;
  std::mutex mutex_;
  std::map<const void*, std::string> not_ended_;  ///< Guarded by `mutex_`.
};

WatchedRun& watched_run();

}  // namespace fuselage::capi2
