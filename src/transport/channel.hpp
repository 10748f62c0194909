// The seam between the protocol and what carries it: whole messages in, whole answers out.
#pragma once

#include <pthread.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <fuselage/result.hpp>
#include <span>

#include "wire/message.hpp"

namespace fuselage::transport {

class Channel;

/// Where one message lives from its arrival until it is answered. Whoever handles messages derives from it and keeps
/// its own state beside the bytes, so that a message in flight is one object.
class Slot {
 public:
  Slot() = default;
  virtual ~Slot() = default;
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  // Receivers store these two atomically: whoever looks for overdue requests reads them meanwhile.
  Channel* channel = nullptr;          ///< Where the message came from and its answer goes.
  void* place = nullptr;               ///< For the channel: what else belongs to the message; null once answered.
  wire::Message message;               ///< Set by `Channel::receive`; valid until the slot is given to it again.
  std::span<std::byte> buffer;         ///< For channels that read into the slot: at least `Channel::slot_size` bytes.
  std::span<std::byte> reply_buffer;   ///< Set by `receive`: memory in which the payload of the answer may be built.
  wire::fuse_in_header header_copy{};  ///< For channels whose header does not outlive the answer.
};

/// What came of waiting for a message.
struct Received {
  enum class Kind {
    message,  ///< `slot` holds one.
    woken,    ///< `wake` or a signal cut the wait short.
    closed,   ///< The other side is gone: unmounted.
    aborted,  ///< The other side cut the connection.
    failed,   ///< `error` says why.
  };
  Kind kind = Kind::woken;
  Slot* slot = nullptr;
  int error = 0;
};

/// Moves messages. `receive` is called by one thread at a time per slot, everything else from any thread.
class Channel {
 public:
  Channel() = default;
  virtual ~Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// How large `Slot::buffer` must be for messages with up to `max_write` bytes of data.
  static constexpr std::size_t slot_size(std::size_t max_write) noexcept { return max_write + 2 * page; }
  static constexpr std::size_t page = 4096;

  /// Waits for a message. Channels that read into memory of the caller use `spare`; others answer with a slot of their
  /// own.
  virtual Received receive(Slot& spare) noexcept = 0;

  /// Sends the answer to the message in `slot`. 0, or the errno: ENOENT means that nobody waits for it any more.
  virtual int send(Slot& slot, const wire::fuse_out_header& header, std::span<const ::iovec> body) noexcept = 0;

  /// The message in `slot` gets no answer: whatever holds it may be used again.
  virtual void release(Slot& /*slot*/) noexcept {}

  /// Sends a message that answers nothing (a notification). May block as long as the kernel needs locks for it.
  virtual int notify(const wire::fuse_out_header& header, std::span<const ::iovec> body) noexcept = 0;

  /// The calling thread receives from now on, in the place of any other that has called this. At once if that one is
  /// not in `receive`; otherwise it is woken and waited for. May be called again.
  virtual void attach() noexcept {}
  /// The calling thread does not receive any more.
  virtual void detach() noexcept {}

  /// Cuts short a `receive` that `reader` is blocked in, if it still is in one. It may come too early to be seen:
  /// repeat until it was.
  virtual void wake(::pthread_t reader) noexcept = 0;

  /// Kernel passthrough: registers a file; its number, or the errno.
  virtual Result<std::int32_t> open_backing(int fd) noexcept = 0;
  virtual Result<void> close_backing(std::int32_t id) noexcept = 0;

  /// For statistics: "device", ...
  virtual const char* name() const noexcept = 0;
};

}  // namespace fuselage::transport
