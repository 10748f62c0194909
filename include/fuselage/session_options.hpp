// Module: session.
//
// How a session shall run, and how it ended.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <fuselage/capability.hpp>
#include <fuselage/result.hpp>
#include <optional>
#include <string>
#include <vector>

namespace fuselage {

/// A character device instead of a mount (CUSE). The session's device is an open `/dev/cuse` then, and of the file
/// system `open`, `read`, `write`, `flush`, `release`, `fsync`, `ioctl` and `poll` are called, with an `Ino` of 0;
/// there are no lookups and no capabilities. The device exists while that descriptor is open.
struct CharacterDevice {
  /// What its uevent says, as "KEY=VALUE"; "DEVNAME=name" must be among them. Together at most 4096 bytes.
  std::vector<std::string> information;
  std::uint32_t major = 0;          ///< Its number; 0: the kernel finds one.
  std::uint32_t minor = 0;          ///< Its number; the kernel finds one if `major` is 0.
  bool unrestricted_ioctl = false;  ///< `ioctl` may ask for more of its caller's memory (`IoctlCall::unrestricted`).
  /// Called once, when the kernel has been told all that, on the thread that serves the first message.
  std::function<void()> announced{};
};

/// What carries the requests. With io_uring (since Linux 6.14, where its `enable_uring` is on), handlers run on threads
/// that are tied to their CPU, and calls in them that may fail with EINTR after SIGCONT (signal(7): `epoll_wait`, ...)
/// may do so at any time.
enum class Transport {
  automatic,  ///< io_uring where kernel and process can do it and FUSELAGE_TRANSPORT is not `device`; else the device.
  uring,      ///< io_uring, or the session cannot be created.
  device,     ///< `/dev/fuse`.
};

/// The choices of a session; the defaults are the fast ones. Times of zero mean "never" where that makes sense.
struct SessionOptions {
  unsigned max_threads = 64;  ///< How many handlers may be held up at once. 1: all run on the thread that calls `run`.
  Transport transport = Transport::automatic;
  unsigned ring_depth = 8;  ///< With io_uring: requests of one CPU under way before its queue grows; less on many CPUs.
  std::chrono::nanoseconds attr_timeout = std::chrono::seconds(1);   ///< For `Attributes` that do not say.
  std::chrono::nanoseconds entry_timeout = std::chrono::seconds(1);  ///< For `Entry`s that do not say.
  std::chrono::nanoseconds deadline{};           ///< Answer a request ETIMEDOUT when its handler takes longer.
  std::chrono::seconds request_timeout{};        ///< The kernel aborts the whole connection after this (since 7.43).
  std::uint32_t max_write = 1u << 20;            ///< Bytes in one WRITE, and (at least 128 KiB) in one READ; or less.
  std::uint32_t max_readahead = UINT32_MAX;      ///< Bytes; the kernel's own limit is taken if it is less.
  std::uint16_t max_background = 64;             ///< Read-ahead and writeback requests under way at once.
  std::uint16_t congestion_threshold = 48;       ///< From how many on the kernel holds back.
  std::chrono::nanoseconds time_granularity{1};  ///< The resolution of the file system's times.
  CapabilitySet enable{};   ///< Capabilities to use that are off by default (`-o writeback_cache`, ...).
  CapabilitySet disable{};  ///< Capabilities not to use though they are on by default (`-o no_cache_symlinks`, ...).
  bool handle_signals =
      false;  ///< `run` ends at SIGTERM, SIGINT and SIGHUP where the program has no handler of its own.
  std::optional<::uid_t> only_root_and{};  ///< Refuse others with EACCES: what `allow_root` means.
  /// Called on the thread in `run` when a signal has cut its wait short, and now and then for nothing: for languages
  /// that run their own handlers of signals later. Must not throw; may call `Session::stop`.
  std::function<void()> on_interrupt{};
  /// While this can be read, `on_interrupt` is called again as soon as no handler holds up the thread in `run`: so a
  /// signal that comes just before a wait is not lost, if its handler writes there. -1: none.
  int interrupt_descriptor = -1;
  bool trace = false;                                 ///< Log a line for each message (level info).
  std::optional<CharacterDevice> character_device{};  ///< Serve a character device, not a mount.
};

/// Why `Session::run` returned.
struct Ended {
  enum class Reason {
    unmounted,  ///< The file system is not mounted any more.
    stopped,    ///< `Session::stop`.
    signal,     ///< A signal; `signal` says which.
    aborted,    ///< Somebody cut the connection (`/sys/fs/fuse/connections/N/abort`).
    error,      ///< It cannot go on; `error` says why.
  };
  Reason reason = Reason::unmounted;
  int signal = 0;
  std::optional<Error> error;

  /// Is the connection still there, so that `Session::run` may be called again?
  bool may_run_again() const noexcept { return reason == Reason::stopped || reason == Reason::signal; }

  /// For people: "unmounted", "signal 15 (Terminated)", ...
  std::string to_string() const;
};

}  // namespace fuselage
