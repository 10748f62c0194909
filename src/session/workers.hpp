// The threads that serve a connection: one is hot, others take over when it is held up.
#pragma once

#include <pthread.h>
#include <semaphore.h>

#include <algorithm>
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
#include "session/io_ring.hpp"
#include "session/steward.hpp"
#include "transport/channel.hpp"

namespace fuselage::session {

/// Serves a connection with as few threads as keep it going.
///
/// A station is a channel that somebody must receive from: the device, and each lane of io_uring. One worker, its
/// reader, receives a message, handles it, and receives the next. When a handler has not returned
/// within a moment the steward takes the reader's place from it and gives it to another worker; the one that was held
/// up answers when it can, and parks. After that, for as long as handlers are slow, another worker is called before
/// each. When as many as `max_threads` are held up, a stand-in receives: it delivers interrupts and queues everything
/// else for the first worker that returns. With one thread, that is the thread that called `run`; it never sits at a
/// lane.
///
/// A thread that has sat at a lane rests between two runs instead of ending, because the kernel would take back what it
/// has submitted. After a run that cannot be followed by another, all have ended.
class Workers final : public Executor {
 public:
  explicit Workers(Connection& connection);
  ~Workers() override;

  /// Receives from this one too; before the first `run`.
  void add_lane(transport::Channel& lane);

  /// Serves until the connection or `stop` ends it. Not from two threads at once.
  Ended run();

  /// Makes `run` return. Async-signal-safe; the first reason wins.
  void stop(Ended::Reason reason, int signal = 0) noexcept;

  std::size_t threads() const;

  /// How many at most, from the next run on.
  void set_max_threads(unsigned count) noexcept { max_threads_ = std::max(1u, count); }

  void post(std::coroutine_handle<> coroutine) override;
  void expire_at(Clock::time_point time, std::weak_ptr<Timer> timer) override;
  void run_blocking(std::function<void()> work) override;
  void submit(IoOperation& operation) override;
  void cancel(const IoOperation& operation) noexcept override;

 private:
  enum class State { parked, receiving, busy };

  struct Worker;

  struct Station {
    explicit Station(transport::Channel& of, bool lane) : channel(of), is_lane(lane) {}
    transport::Channel& channel;
    const bool is_lane;
    std::atomic<Worker*> reader{nullptr};
    unsigned wanted = 0;  // guarded by mutex_: nobody receives, a worker shall; for so many looks of the steward

    /// A handler was slow, or quick. After a slow one, the next few messages are handled beside another reader.
    void note(bool slow) noexcept;
    bool is_slow() const noexcept { return slow_for_.load(std::memory_order_relaxed) != 0; }

   private:
    std::atomic<unsigned> slow_for_{0};  // so many more quick handlers
  };

  struct Worker {
    Counters* counters = nullptr;
    ::pthread_t id{};
    std::atomic<::pid_t> tid{0};
    std::thread thread;  // empty for the thread that called `run`
    std::atomic<State> state{State::busy};
    std::atomic<std::uint64_t> beat{0};  // counts what the worker has begun; only the worker writes it
    std::uint64_t beat_seen = 0;         // by the steward
    Request* request = nullptr;          // the object that the next message goes to
    Station* station = nullptr;          // that it receives from, or did until another took it; guarded by mutex_
    bool is_stand_in = false;
    bool sat_at_lane = false;
    bool naps = false;     // before it looks for the next message
    bool resting = false;  // guarded by mutex_: until the next `run`
    bool gone = false;     // guarded by mutex_: its thread may be joined

    void step() noexcept { beat.store(beat.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
  };

  // For the thread that called `run`: unlike a condition variable, it tells that a signal has come.
  class Wakeup {
   public:
    Wakeup() noexcept { ::sem_init(&semaphore_, 0, 0); }
    Wakeup(const Wakeup&) = delete;
    Wakeup& operator=(const Wakeup&) = delete;
    ~Wakeup() { ::sem_destroy(&semaphore_); }
    void post() noexcept { ::sem_post(&semaphore_); }
    /// False: a signal has cut it short.
    bool wait() noexcept { return ::sem_wait(&semaphore_) == 0; }

   private:
    ::sem_t semaphore_{};
  };

  struct Task {
    std::coroutine_handle<> coroutine;  // to be resumed, or
    Request* request = nullptr;         // to be handled
  };

  Worker& add_worker();
  bool start(void (Workers::*work)(Worker&) noexcept);
  void live(Worker& worker, void (Workers::*work)(Worker&) noexcept) noexcept;
  void serve(Worker& worker) noexcept;
  void stand_in(Worker& worker) noexcept;
  void stand_in_at(Worker& worker, const Station& station) noexcept;
  bool rest(Worker& worker) noexcept;
  void begin();
  void wait_for_workers();
  Request* receive(Worker& worker) noexcept;
  void deal_with(const transport::Received& received, const Worker& worker) noexcept;
  void end(Ended::Reason reason) noexcept;
  void serve_request(Worker& worker, Request& request) noexcept;
  void serve_beside_another(Station& station, Worker& worker, Request& request) noexcept;
  bool run_task(Worker& worker) noexcept;
  bool nap(Worker& worker) noexcept;
  static void assign(Station& station, Worker& worker) noexcept;
  Station* become_reader(Worker& worker);
  void sit_down(Worker& worker) noexcept;
  void leave_station(Worker& worker, std::unique_lock<std::mutex>& lock) noexcept;
  Station* find_station(const Worker& worker) const;
  bool park(Worker& worker);
  void leave(Worker& worker) noexcept;
  void interrupted() const noexcept;
  void enqueue(Task task);
  void finish_suspended();

  Steward::Pace tick() noexcept;
  Steward::Pace pace(bool active, bool quick) noexcept;
  bool look_for_signals() noexcept;
  void relieve_reader(Station& station);
  void find_reader(Station& station);
  bool call_worker(const Station& station);
  bool wake_parked(bool for_lane) noexcept;
  void post_stand_in(Station& station);
  bool may_stop() noexcept;
  void wake_receivers(bool stand_in_too) noexcept;
  std::size_t servers() const;
  static bool is_reader(const Station& station, const Worker& worker) noexcept {
    return station.reader.load(std::memory_order_relaxed) == &worker;
  }
  bool has_lanes() const noexcept { return stations_.size() > 1; }
  bool stopped() const noexcept { return reason_.load(std::memory_order_acquire) != running; }

  // What `stop` was called with, in one number: an Ended::Reason, and above it the signal.
  static constexpr int running = -1;
  static constexpr int reason_bits = 8;
  static Ended ended_by(int what);

  Connection& connection_;
  unsigned max_threads_;                            // constant while `run` runs
  std::vector<std::unique_ptr<Station>> stations_;  // the device, and the lanes; constant while `run` runs
  BlockingPool pool_;
  std::once_flag io_begun_;
  std::unique_ptr<IoRing> io_;  // null: not needed yet, or not to be had
  Steward steward_;
  unsigned quick_looks_ = 0;  // of the steward, who alone uses it

  std::atomic<int> asked_{running};   // what `stop` was called with
  std::atomic<int> reason_{running};  // the same, once the workers shall return
  std::atomic<int> error_{0};
  std::atomic<bool> has_tasks_{false};

  mutable std::mutex mutex_;
  std::condition_variable parked_;                // threads of our own
  Wakeup caller_wake_;                            // the thread that called `run`, which can do less
  std::vector<std::unique_ptr<Worker>> workers_;  // guarded by mutex_
  std::deque<Task> tasks_;                        // guarded by mutex_
  std::vector<Counters*> spare_counters_;         // guarded by mutex_
  std::size_t parked_threads_ = 0;                // guarded by mutex_
  bool caller_is_parked_ = false;                 // guarded by mutex_
  std::uint64_t runs_ = 0;                        // guarded by mutex_
  bool ended_ = false;                            // guarded by mutex_: there will be no further run
  std::condition_variable stand_in_wake_;
  std::condition_variable rest_;
};

}  // namespace fuselage::session
