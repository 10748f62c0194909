// The state of one connection to the kernel. It does no I/O but through its channel, and starts no threads: a test can
// drive it message by message.
#pragma once

#include <atomic>
#include <fuselage/negotiation.hpp>
#include <fuselage/operation_set.hpp>
#include <fuselage/session_options.hpp>
#include <fuselage/statistics.hpp>
#include <memory>
#include <mutex>
#include <vector>

#include "session/counters.hpp"
#include "session/executor.hpp"
#include "session/request.hpp"
#include "transport/channel.hpp"

namespace fuselage::detail {
class NotificationQueue;
}

namespace fuselage::session {

class TransportChoice;

/// What serves the requests. A row's function decodes, calls the file system, and answers or suspends.
class Handler {
 public:
  using Function = void (*)(Handler& handler, Request& request);

  virtual ~Handler() = default;
  virtual OperationSet implemented() const noexcept = 0;
  virtual Result<void> init(Negotiation& negotiation) = 0;
  virtual void destroy() noexcept = 0;

  /// For each row of the operation table, in its order; null for those that the session serves itself.
  std::span<const Function> functions;
};

/// What was agreed on at INIT; constant from then on.
struct Agreement {
  std::uint32_t minor = 0;
  std::uint64_t flags = 0;  // capability bits
  std::uint32_t max_write = 0;
};

/// Checks messages, sends those of the file system to their handler, and serves the session's own. Thread-safe.
class Connection {
 public:
  Connection(Handler& handler, transport::Channel& channel, const SessionOptions& options);
  ~Connection();

  /// Takes up the message in the request's slot: checks it and starts its clock. False: it was malformed and is done
  /// with; the object may be used again.
  bool admit(Request& request, Counters& counters) noexcept;

  /// Serves what was admitted. True: it is answered, and the object may be used again. False: it was suspended, and the
  /// object comes back to the pool by itself.
  bool serve(Request& request) noexcept;

  /// Will `serve` do without the file system? Then any thread may do it, at once.
  bool is_own(const Request& request) const noexcept;

  enum class State { fresh, ready, failed, ended };
  State state() const noexcept { return state_.load(std::memory_order_acquire); }
  /// Why the state is `failed`.
  Error failure() const;

  /// Tells all handlers to give up; `interrupted()` is true from now on until `resume`.
  void stop() noexcept;
  void resume() noexcept { stopping_.store(false, std::memory_order_release); }
  bool stopping() const noexcept { return stopping_.load(std::memory_order_acquire); }

  /// Ends the connection: destroys what is still suspended, answering it EIO, and calls the handler's `destroy`.
  void end() noexcept;

  /// Request objects: one is either in the pool, with a worker, or suspended.
  Request& acquire();
  void recycle(Request& request) noexcept;
  /// How many are suspended.
  std::size_t suspended() const noexcept { return suspended_.load(std::memory_order_acquire); }
  void count_suspended(int change) noexcept { suspended_.fetch_add(static_cast<std::size_t>(change)); }

  /// Answers ETIMEDOUT for those whose time is up; true if a request is still under way.
  bool expire_requests(Executor::Clock::time_point now) noexcept;

  /// Delivers interrupts that found no request yet, or that the kernel has lost; true if some may still be found.
  bool look_for_interrupts(Executor::Clock::time_point now) noexcept;

  /// A line for each request that was not answered within `age`.
  std::vector<std::string> under_way(std::chrono::nanoseconds age) const;

  /// A shard for one worker; it lives as long as the connection.
  Counters& new_counters();
  /// The shard for everybody else.
  Counters& shared_counters() noexcept { return shared_counters_; }
  Statistics statistics() const;
  void count_malformed() noexcept { malformed_.fetch_add(1, std::memory_order_relaxed); }

  const Agreement& agreement() const noexcept { return agreement_; }
  const SessionOptions& options() const noexcept { return options_; }
  transport::Channel& channel() const noexcept { return channel_; }
  const std::shared_ptr<detail::NotificationQueue>& notifications() const noexcept { return notifications_; }

  /// Who decides about io_uring; null: it is not used. Set before the first message.
  void set_transport_choice(TransportChoice& choice) noexcept { transport_choice_ = &choice; }

  /// Who runs suspended requests on; set before the first message.
  void set_executor(Executor& executor) noexcept { executor_ = &executor; }
  Executor& executor() const noexcept { return *executor_; }

 private:
  bool accept(Request& request, const wire::OperationRow& row) noexcept;
  bool refuses(const Request& request) const noexcept;
  void serve_own(Request& request) noexcept;
  void serve_missing(Request& request) noexcept;
  wire::Opcode first() const noexcept;
  void serve_init(Request& request) noexcept;
  void serve_device_init(Request& request) noexcept;
  bool speaks(std::uint32_t major, std::uint32_t minor) noexcept;
  Result<wire::fuse_init_out> agree_with(Negotiation& negotiation);
  void interrupt(Request& request) noexcept;
  bool interrupt(std::uint64_t target, const Request* bearer) noexcept;
  void fail(Error error) noexcept;

  Handler& handler_;
  transport::Channel& channel_;
  const SessionOptions options_;
  OperationSet implemented_;  // constant once the state is `ready`
  Executor* executor_ = nullptr;
  TransportChoice* transport_choice_ = nullptr;
  Agreement agreement_;
  std::atomic<State> state_{State::fresh};
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> suspended_{0};
  std::atomic<std::uint64_t> malformed_{0};
  Counters shared_counters_{Counters::Writers::many};
  std::atomic<std::uint64_t> interrupts_{0};
  std::atomic<std::uint64_t> deadlines_{0};
  std::shared_ptr<detail::NotificationQueue> notifications_;

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Request>> requests_;  // all there are, guarded by mutex_
  std::vector<Request*> free_;                      // guarded by mutex_
  std::vector<std::unique_ptr<Counters>> shards_;   // guarded by mutex_
  std::optional<Error> failure_;                    // guarded by mutex_

  // INTERRUPTs that came before their request was taken up.
  struct EarlyInterrupt {
    std::uint64_t unique = 0;
    Executor::Clock::time_point since;
  };
  std::vector<EarlyInterrupt> early_;  // guarded by mutex_
};

}  // namespace fuselage::session
