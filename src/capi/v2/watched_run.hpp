// The library's side of `fuselage run`: says that it was loaded, and tells what it does.
#pragma once

#include <sys/types.h>

#include <fuselage/statistics.hpp>
#include <string_view>

namespace fuselage::capi2 {

/// The tool gives us a socket by the environment (FUSELAGE_RUN_SOCKET, a descriptor, and FUSELAGE_RUN=trace). Without
/// it nothing here has an effect. Thread-safe.
class WatchedRun {
 public:
  WatchedRun();

  bool wants_trace() const noexcept { return trace_; }
  /// A session is over.
  void ended(const Statistics& statistics) noexcept;

 private:
  void say(std::string_view kind, std::string_view text) noexcept;
  bool is_ours() const noexcept;

  int socket_ = -1;
  ino_t inode_ = 0;  ///< Programs close descriptors that they do not know: ours is recognised by this.
  bool trace_ = false;
};

WatchedRun& watched_run();

}  // namespace fuselage::capi2
