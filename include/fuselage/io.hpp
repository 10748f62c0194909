// Module: session.
//
// System calls that a coroutine handler waits for without holding a thread. The library hands them to an io_uring of
// the session; where the system has none, a pool of threads makes the same calls.
//
//   Reply<Data> read(const Context& context, Ino, const OpenFile& file, Range range) override {
//     const std::span<std::byte> buffer = context.reply_buffer(range.size);
//     const auto size = co_await io::read(context, fd_of(file), buffer, range.offset);
//     if (!size) co_return size.error();
//     co_return Data::borrow(buffer.first(*size));
//   }
//
// Each function only describes the call: it is made when the result is awaited, once. What it was given (buffers,
// paths, addresses) must stay where it is until then. `co_await` gives a `Result` with the errno of the call; EINTR
// where the caller was interrupted or the session stops, even if the call was carried out meanwhile. A call on a
// regular file is rarely cut short by that, one on a socket or pipe always.
//
// The coroutine goes on on a thread of the session. Thread-safe.
#pragma once

#include <sys/socket.h>
#include <sys/stat.h>

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <fuselage/context.hpp>
#include <fuselage/result.hpp>
#include <fuselage/types.hpp>
#include <memory>
#include <span>
#include <type_traits>

namespace fuselage::io {

namespace detail {

class Operation;

struct Delete {
  void operator()(Operation* operation) const noexcept;
};
using Owner = std::unique_ptr<Operation, Delete>;

void limit(Operation& operation, std::chrono::nanoseconds duration) noexcept;
bool start(Operation& operation, std::coroutine_handle<> waiting);
Result<int> end(Operation& operation);

}  // namespace detail

/// A call to wait for: `Result<T> result = co_await call;`.
template <class T>
class [[nodiscard]] Call {
 public:
  explicit Call(detail::Owner operation) noexcept : operation_(std::move(operation)) {}

  /// Gives up with ETIMEDOUT what takes longer than `duration`. A call on a regular file is rarely cut short.
  Call within(std::chrono::nanoseconds duration) && noexcept {
    detail::limit(*operation_, duration);
    return std::move(*this);
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting) { return detail::start(*operation_, waiting); }
  Result<T> await_resume() {
    const Result<int> result = detail::end(*operation_);
    if (!result) return result.error();
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return static_cast<T>(*result);
    }
  }

 private:
  detail::Owner operation_;
};

/// pread(2): how much was read, 0 at the end of the file. `offset` `current` for pipes and terminals.
Call<std::size_t> read(const Context& context, int fd, std::span<std::byte> buffer, std::uint64_t offset);
/// pwrite(2): how much was written.
Call<std::size_t> write(const Context& context, int fd, Bytes bytes, std::uint64_t offset);
/// The offset of files that have none.
inline constexpr std::uint64_t current = UINT64_MAX;

/// fsync(2), or fdatasync(2) if `data_only`.
Call<void> fsync(const Context& context, int fd, bool data_only = false);

/// statx(2) into `attributes`.
Call<void> statx(const Context& context, int directory, const char* path, int flags, unsigned mask,
                 struct ::statx& attributes);

/// openat(2): the new descriptor, which is the caller's to close. O_CLOEXEC is always set. If the wait is cut short,
/// what was opened is closed again.
Call<int> openat(const Context& context, int directory, const char* path, int flags, ::mode_t mode = 0);

/// connect(2) of a socket, which may be a blocking one.
Call<void> connect(const Context& context, int socket, const ::sockaddr& address, ::socklen_t size);
/// send(2), always with MSG_NOSIGNAL: how much was sent.
Call<std::size_t> send(const Context& context, int socket, Bytes bytes, int flags = 0);
/// recv(2): how much arrived, 0 when the other side has nothing more to say.
Call<std::size_t> recv(const Context& context, int socket, std::span<std::byte> buffer, int flags = 0);

}  // namespace fuselage::io
