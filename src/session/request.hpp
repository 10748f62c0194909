// One request in flight.
#pragma once

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <fuselage/context.hpp>
#include <fuselage/result.hpp>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <type_traits>
#include <vector>

#include "base/buffer.hpp"
#include "session/counters.hpp"
#include "session/executor.hpp"
#include "transport/channel.hpp"
#include "wire/operations.hpp"

namespace fuselage::session {

class Connection;

/// What can be known of a message, without the right to answer it: all that FORGET's dispatch is given.
class Incoming : public transport::Slot, private detail::RequestServices {
 public:
  const wire::fuse_in_header& header() const noexcept { return *message.header; }
  const wire::OperationRow& row() const noexcept { return *row_.load(std::memory_order_relaxed); }
  Ino ino() const noexcept { return Ino{header().nodeid}; }
  const Context& context() const noexcept { return context_; }
  Context& context() noexcept { return context_; }
  Connection& connection() const noexcept { return *connection_; }
  Executor& executor() const noexcept;

  /// The request behind a context.
  static Incoming& of(detail::RequestServices& services) noexcept { return static_cast<Incoming&>(services); }

  /// A copy of `value` that lives as long as the request: for arguments that handlers take by reference.
  template <class T>
  T& keep(const T& value) noexcept {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= alignof(std::max_align_t));
    const std::size_t at = (kept_ + alignof(T) - 1) / alignof(T) * alignof(T);
    static_assert(sizeof(T) + alignof(T) <= reserved_ / 4, "make the arena larger");
    kept_ = at + sizeof(T);
    return *new (arena_ + at) T(value);
  }

  /// Memory for an answer of up to `size` bytes.
  std::span<std::byte> reply_buffer(std::size_t size) override;

  /// Memory that lives as long as the request, aligned for any value.
  std::span<std::byte> memory(std::size_t size) override;

 protected:
  Incoming(Connection& connection, std::size_t slot_size);

  bool interrupted() const noexcept override;
  std::stop_token stop_token() override;
  std::vector<::gid_t> supplementary_groups() const override;
  std::vector<SecurityContext> security_contexts() const override;

  Connection* connection_;
  base::Buffer memory_;
  std::atomic<const wire::OperationRow*> row_{nullptr};  // atomic for the threads that look for overdue requests
  Context context_;

  // The request that is not answered yet, by its unique number; 0: there is none. Whoever sets it to 0 answers.
  std::atomic<std::uint64_t> unanswered_{0};
  std::atomic<std::uint64_t> interrupted_{0};  // the request that was interrupted last
  std::atomic<std::int64_t> started_{0};       // on the steady clock, in nanoseconds

 private:
  std::mutex stop_mutex_;
  std::optional<std::stop_source> stop_source_;  // guarded by stop_mutex_
  std::atomic<bool> has_stop_source_{false};

  base::Buffer large_reply_;                      // where the slot has no room for an answer
  static constexpr std::size_t reserved_ = 1024;  // of the arena, for `keep`
  std::size_t kept_ = 0;
  alignas(std::max_align_t) std::byte arena_[2048];
  std::vector<std::unique_ptr<std::byte[]>> long_kept_;  // what found no room in the arena

  friend class Request;
};

/// A message that is answered exactly once. It owns its bytes: a request that is suspended keeps its buffer, and the
/// worker goes on with another request object.
class Request final : public Incoming {
 public:
  Request(Connection& connection, std::size_t slot_size) : Incoming(connection, slot_size) {}

  /// Takes up the message in the slot, whose row is known and whose length was checked.
  void begin(const wire::OperationRow& row, Counters& counters) noexcept;

  /// Answers with a body; the header is made here. True if the answer reached the kernel: false if it was answered
  /// before, or nobody waits for it any more.
  bool answer(std::span<const ::iovec> body) noexcept;
  bool answer() noexcept { return answer(std::span<const ::iovec>()); }
  /// The same with the bytes of a structure.
  template <class Structure>
  requires(!std::is_convertible_v<const Structure&, std::span<const ::iovec>>)  // arrays of parts are parts
      bool answer(const Structure& structure) noexcept {
    static_assert(std::is_trivially_copyable_v<Structure>);
    const ::iovec part{const_cast<Structure*>(&structure), sizeof structure};
    return answer(std::span(&part, 1));
  }
  /// Answers with an error; its message, if it has one of its own, is worth a log line to the caller of this.
  bool fail(const Error& error) noexcept;
  /// Ends a message that gets no answer.
  void finish() noexcept;

  bool is_answered() const noexcept { return unanswered_.load(std::memory_order_acquire) == 0; }
  std::uint64_t unanswered() const noexcept { return unanswered_.load(std::memory_order_acquire); }

  /// How long ago it began.
  std::chrono::nanoseconds age() const noexcept {
    return Executor::Clock::now().time_since_epoch() - std::chrono::nanoseconds(started_.load());
  }

  /// Nobody has time for it yet: from now on an interrupt answers it at once.
  void queue() noexcept;
  /// Somebody has time now. False: an interrupt answered it meanwhile.
  bool dequeue() noexcept { return queued_.exchange(false, std::memory_order_acq_rel); }

  /// If `unique` is this request's and not answered yet: tells the handler to give up. From any thread.
  bool interrupt(std::uint64_t unique) noexcept;
  /// Was the caller interrupted before the kernel gave us the request `unique`? From any thread, once.
  bool examine(std::uint64_t unique) noexcept;
  bool was_examined(std::uint64_t unique) const noexcept { return examined_.load() == unique; }
  /// Tells the handler that the session stops. From any thread.
  void stop() noexcept;
  /// If it has not been answered `deadline` after it began: answers ETIMEDOUT. From any thread.
  bool expire(std::chrono::nanoseconds deadline, Executor::Clock::time_point now) noexcept;

  /// The handler is a coroutine that goes on later: `root` owns everything that is suspended, and calls
  /// `Connection::recycle` when it is done. From here on the worker has no right to the request.
  void suspend(std::coroutine_handle<> root) noexcept;
  bool is_suspended() const noexcept { return static_cast<bool>(root_); }
  /// Destroys the suspended coroutine; at the end of a session only.
  void abandon() noexcept;
  /// Where `suspend` leaves its mark for the worker, who may not look at the request any more.
  bool* suspended_mark = nullptr;
  /// Makes the object fit for the next message.
  void reset() noexcept;
  /// Gives memory back that earlier messages have touched.
  void release_memory() noexcept { memory_.shrink_resident(transport::Channel::page); }

 private:
  bool claim() noexcept;
  void leave_worker() noexcept;
  std::int64_t now() const noexcept;
  bool send(int error, std::span<const ::iovec> body) noexcept;

  std::atomic<Counters*> counters_{nullptr};
  std::atomic<bool> queued_{false};
  std::atomic<std::uint64_t> examined_{0};
  std::atomic<::pid_t> caller_{0};  // atomic for the threads that look for lost interrupts
  std::coroutine_handle<> root_;
};

}  // namespace fuselage::session
