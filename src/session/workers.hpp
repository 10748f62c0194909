// The threads that serve a connection: one is hot, others take over when it is held up.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <coroutine>
#include <deque>
#include <fuselage/session_options.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "session/blocking_pool.hpp"
#include "session/connection.hpp"
#include "session/executor.hpp"
#include "session/steward.hpp"
#include "transport/channel.hpp"

namespace fuselage::session {

/// Serves a connection with as few threads as keep it going.
///
/// One worker, the reader, receives a message, handles it, and receives the next. When a handler has not returned
/// within a moment the steward takes the reader's place from it and gives it to another worker; the one that was held
/// up answers when it can, and parks. When as many as `max_threads` are held up, a stand-in receives: it delivers
/// interrupts and queues everything else for the first worker that returns. With one thread, that is the thread that
/// called `run`.
class Workers final : public Executor {
 public:
  explicit Workers(Connection& connection);
  ~Workers() override;

  /// Serves until the connection or `stop` ends it. Not from two threads at once.
  Ended run();

  /// Makes `run` return. Async-signal-safe; the first reason wins.
  void stop(Ended::Reason reason, int signal = 0) noexcept;

  std::size_t threads() const;

  void post(std::coroutine_handle<> coroutine) override;
  void expire_at(Clock::time_point time, std::weak_ptr<Timer> timer) override;
  void run_blocking(std::function<void()> work) override;

 private:
  enum class State { parked, receiving, busy };

  struct Worker {
    Counters* counters = nullptr;
    ::pthread_t id{};
    std::thread thread;  // empty for the thread that called `run`
    std::atomic<State> state{State::busy};
    std::atomic<std::uint64_t> beat{0};  // counts messages
    std::uint64_t beat_seen = 0;         // by the steward
    Request* request = nullptr;          // the object that the next message goes to
    bool is_stand_in = false;
    bool gone = false;  // guarded by mutex_: its thread may be joined
  };

  struct Task {
    std::coroutine_handle<> coroutine;  // to be resumed, or
    Request* request = nullptr;         // to be handled
  };

  Worker& add_worker();
  bool start(void (Workers::*work)(Worker&) noexcept);
  void serve(Worker& worker) noexcept;
  void stand_in(Worker& worker) noexcept;
  Request* receive(Worker& worker) noexcept;
  void serve_request(Worker& worker, Request& request) noexcept;
  bool run_task(Worker& worker) noexcept;
  bool become_reader(Worker& worker);
  bool park(Worker& worker);
  void leave(Worker& worker) noexcept;
  void enqueue(Task task);
  void finish_suspended();

  bool tick() noexcept;
  void relieve_reader();
  void post_stand_in();
  bool may_stop() noexcept;
  void wake_receivers(bool stand_in_too) noexcept;
  std::size_t servers() const;
  bool is_reader(const Worker& worker) const noexcept { return reader_.load(std::memory_order_relaxed) == &worker; }
  bool stopped() const noexcept { return reason_.load(std::memory_order_acquire) != running; }

  // What `stop` was called with, in one number: an Ended::Reason, and above it the signal.
  static constexpr int running = -1;
  static constexpr int reason_bits = 8;
  static constexpr int reason_mask = (1 << reason_bits) - 1;

  Connection& connection_;
  transport::Channel& channel_;
  const unsigned max_threads_;
  BlockingPool pool_;
  Steward steward_;

  std::atomic<int> asked_{running};   // what `stop` was called with
  std::atomic<int> reason_{running};  // the same, once the workers shall return
  std::atomic<int> error_{0};
  std::atomic<Worker*> reader_{nullptr};
  std::atomic<bool> has_tasks_{false};

  mutable std::mutex mutex_;
  std::condition_variable parked_;
  std::vector<std::unique_ptr<Worker>> workers_;  // guarded by mutex_
  std::deque<Task> tasks_;                        // guarded by mutex_
  std::vector<Counters*> spare_counters_;         // guarded by mutex_
  std::size_t parked_count_ = 0;                  // guarded by mutex_
  bool reader_wanted_ = false;                    // guarded by mutex_: nobody receives, a parked worker shall
  std::condition_variable stand_in_wake_;
};

}  // namespace fuselage::session
