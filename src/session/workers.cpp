#include "session/workers.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "session/notification_queue.hpp"
#include "transport/wake_signal.hpp"

namespace fuselage::session {
namespace {

// How long a worker that is not needed waits for work before it ends. One always stays.
constexpr std::chrono::seconds keep_parked(5);

constexpr std::size_t max_blocking_threads = 256;

}  // namespace

Workers::Workers(Connection& connection)
    : connection_(connection),
      channel_(connection.channel()),
      max_threads_(std::max(1u, connection.options().max_threads)),
      pool_(max_blocking_threads),
      steward_([this] { return tick(); }) {
  connection_.set_executor(*this);
}

Workers::~Workers() { pool_.drain(); }

Ended Workers::run() {
  ::sigset_t wake_only;
  ::sigset_t old_mask;
  ::sigemptyset(&wake_only);
  ::sigaddset(&wake_only, transport::wake_signal());
  ::pthread_sigmask(SIG_UNBLOCK, &wake_only, &old_mask);

  connection_.resume();
  connection_.notifications()->resume();
  steward_.begin();
  Worker* own = nullptr;
  {
    const std::lock_guard lock(mutex_);
    own = &add_worker();
    own->id = ::pthread_self();
  }
  serve(*own);
  // The others return as their handlers do; then what is suspended and can end does so here.
  for (std::unique_lock lock(mutex_); !workers_.empty(); workers_.pop_back()) {
    Worker& last = *workers_.back();  // it stays in the list, where the steward sees whom to wake, until it has left
    lock.unlock();
    if (last.thread.joinable()) last.thread.join();
    lock.lock();
  }
  finish_suspended();
  steward_.end();
  ::pthread_sigmask(SIG_SETMASK, &old_mask, nullptr);

  Ended ended;
  const int reason = reason_.load();
  ended.reason = static_cast<Ended::Reason>(reason & reason_mask);
  ended.signal = reason >> reason_bits;
  if (ended.reason == Ended::Reason::error) ended.error = Error{error_.load()};
  reason_.store(running, std::memory_order_release);
  asked_.store(running, std::memory_order_release);
  return ended;
}

void Workers::stop(Ended::Reason reason, int signal) noexcept {
  int expected = running;
  asked_.compare_exchange_strong(expected, static_cast<int>(reason) | signal << reason_bits);
  steward_.poke();
}

std::size_t Workers::threads() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(workers_.begin(), workers_.end(), [](const auto& worker) { return !worker->gone; }));
}

void Workers::post(std::coroutine_handle<> coroutine) { enqueue({coroutine, nullptr}); }

void Workers::expire_at(Clock::time_point time, std::weak_ptr<Timer> timer) {
  steward_.expire_at(time, std::move(timer));
}

void Workers::run_blocking(std::function<void()> work) { pool_.run(std::move(work)); }

Workers::Worker& Workers::add_worker() {
  Worker& worker = *workers_.emplace_back(std::make_unique<Worker>());
  if (spare_counters_.empty()) spare_counters_.push_back(&connection_.new_counters());
  worker.counters = spare_counters_.back();
  spare_counters_.pop_back();
  worker.request = &connection_.acquire();
  return worker;
}

// With mutex_ held. False: none is wanted any more, or the system has none.
bool Workers::start(void (Workers::*work)(Worker&) noexcept) {
  if (stopped()) return false;
  std::erase_if(workers_, [](const auto& worker) {
    if (worker->gone) worker->thread.join();
    return worker->gone;
  });
  Worker& worker = add_worker();
  try {
    worker.thread = std::thread([this, &worker, work] {
      transport::accept_only_wake_signal();
      worker.id = ::pthread_self();
      (this->*work)(worker);
    });
    return true;
  } catch (const std::system_error& error) {
    base::log(LogLevel::warning, "no further thread: {}", error.what());
    connection_.recycle(*worker.request);
    spare_counters_.push_back(worker.counters);
    workers_.pop_back();
    return false;
  }
}

void Workers::serve(Worker& worker) noexcept {
  while (!stopped()) {
    if (run_task(worker)) continue;
    if (!become_reader(worker)) {
      if (!park(worker)) break;
      continue;
    }
    while (is_reader(worker) && !has_tasks_.load(std::memory_order_relaxed) && !stopped()) {
      if (Request* request = receive(worker); request != nullptr && connection_.admit(*request, *worker.counters)) {
        serve_request(worker, *request);
      }
    }
  }
  leave(worker);
}

// The next message, if there is one; what else may come is dealt with.
Request* Workers::receive(Worker& worker) noexcept {
  using Kind = transport::Received::Kind;
  worker.state.store(State::receiving, std::memory_order_release);
  const transport::Received received = channel_.receive(*worker.request);
  // Sequentially consistent, like the steward's look before it falls asleep: one of us sees the other.
  worker.state.exchange(State::busy, std::memory_order_seq_cst);
  worker.beat.fetch_add(1, std::memory_order_relaxed);
  switch (received.kind) {
    case Kind::message:
      if (steward_.asleep()) steward_.poke();
      if (received.slot == nullptr) {
        connection_.count_malformed();
        base::log(LogLevel::warning, "a message without a usable header was dropped");
      }
      return static_cast<Request*>(received.slot);
    case Kind::woken:
      return nullptr;
    case Kind::closed:
      stop(Ended::Reason::unmounted);
      return nullptr;
    case Kind::aborted:
      stop(Ended::Reason::aborted);
      return nullptr;
    case Kind::failed:
      error_.store(received.error);
      stop(Ended::Reason::error);
      return nullptr;
  }
  return nullptr;
}

void Workers::serve_request(Worker& worker, Request& request) noexcept {
  if (!connection_.serve(request) && &request == worker.request) worker.request = &connection_.acquire();
}

bool Workers::run_task(Worker& worker) noexcept {
  Task task;
  {
    const std::lock_guard lock(mutex_);
    if (tasks_.empty()) return false;
    task = tasks_.front();
    tasks_.pop_front();
    has_tasks_.store(!tasks_.empty(), std::memory_order_relaxed);
  }
  worker.beat.fetch_add(1, std::memory_order_relaxed);
  if (steward_.asleep()) steward_.poke();
  if (task.coroutine) {
    task.coroutine.resume();
  } else if (!task.request->dequeue() || connection_.serve(*task.request)) {
    connection_.recycle(*task.request);
  }
  return true;
}

bool Workers::become_reader(Worker& worker) {
  std::unique_lock lock(mutex_);
  Worker* const current = reader_.load(std::memory_order_relaxed);
  if (current != nullptr && current != &worker && !current->is_stand_in) return false;
  reader_.store(&worker, std::memory_order_relaxed);
  reader_wanted_ = false;
  // A stand-in that is just receiving brings one more message: handlers run in order of arrival, so wait for it. When
  // that takes so long that the steward posts it again, there is no end to wait for.
  while (current != nullptr && current->is_stand_in && is_reader(worker) && current->state.load() == State::receiving &&
         !stopped()) {
    channel_.wake(current->id);
    lock.unlock();
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    lock.lock();
  }
  return true;
}

// Waits until there is something to do. False: the worker is not needed any more.
bool Workers::park(Worker& worker) {
  std::unique_lock lock(mutex_);
  const auto needed = [this] { return stopped() || !tasks_.empty() || reader_wanted_; };
  worker.state.store(State::parked, std::memory_order_release);
  ++parked_count_;
  bool stays = true;
  if (parked_count_ == 1 || !worker.thread.joinable()) {
    parked_.wait(lock, needed);
  } else {
    stays = parked_.wait_for(lock, keep_parked, needed);
  }
  --parked_count_;
  worker.state.store(State::busy, std::memory_order_release);
  return stays;
}

void Workers::leave(Worker& worker) noexcept {
  const std::lock_guard lock(mutex_);
  Worker* self = &worker;
  reader_.compare_exchange_strong(self, nullptr);
  worker.state.store(State::parked, std::memory_order_release);
  connection_.recycle(*worker.request);
  spare_counters_.push_back(worker.counters);
  worker.gone = true;
}

// The thread that keeps the way clear while every worker is held up.
void Workers::stand_in(Worker& worker) noexcept {
  while (!stopped()) {
    {
      std::unique_lock lock(mutex_);
      worker.state.store(State::parked, std::memory_order_release);
      stand_in_wake_.wait(lock, [&] { return stopped() || is_reader(worker); });
    }
    while (is_reader(worker) && !stopped()) {
      Request* const request = receive(worker);
      if (request == nullptr || !connection_.admit(*request, *worker.counters)) continue;
      if (connection_.is_own(*request)) {
        connection_.serve(*request);
      } else {
        worker.request = &connection_.acquire();
        request->queue();
        enqueue({nullptr, request});
      }
    }
  }
  leave(worker);
}

void Workers::enqueue(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(task);
    has_tasks_.store(true, std::memory_order_relaxed);
    if (parked_count_ > 0) {
      parked_.notify_one();
    } else if (!stopped() && servers() > 0 && servers() < max_threads_) {
      start(&Workers::serve);
    } else {
      wake_receivers(false);
    }
  }
  if (steward_.asleep()) steward_.poke();  // which repeats the wake-up if it came too early to be seen
}

// With mutex_ held: how many workers there are, without the stand-in.
std::size_t Workers::servers() const {
  return static_cast<std::size_t>(std::count_if(
      workers_.begin(), workers_.end(), [](const auto& worker) { return !worker->gone && !worker->is_stand_in; }));
}

// With mutex_ held.
void Workers::wake_receivers(bool stand_in_too) noexcept {
  for (const auto& worker : workers_) {
    if (worker->state.load(std::memory_order_acquire) == State::receiving && (stand_in_too || !worker->is_stand_in)) {
      channel_.wake(worker->id);
    }
  }
}

// A notification that is just being sent may need a lock whose holder waits for an answer of ours: it comes first,
// unless the connection is gone, which sets it free.
bool Workers::may_stop() noexcept {
  const int asked = asked_.load(std::memory_order_acquire);
  if (asked == running) return false;
  const auto reason = static_cast<Ended::Reason>(asked & reason_mask);
  const bool is_connected = reason == Ended::Reason::stopped || reason == Ended::Reason::signal;
  if (!connection_.notifications()->pause() && is_connected) return false;
  reason_.store(asked, std::memory_order_release);
  return true;
}

// The steward's look at the workers. True: something is going on that wants another look soon.
bool Workers::tick() noexcept try {
  if (stopped() || may_stop()) {
    if (!connection_.stopping()) connection_.stop();
    const std::lock_guard lock(mutex_);
    wake_receivers(true);
    parked_.notify_all();
    stand_in_wake_.notify_all();
    return std::any_of(workers_.begin(), workers_.end(), [](const auto& worker) { return !worker->gone; });
  }
  bool active = asked_.load(std::memory_order_acquire) != running;
  if (connection_.options().deadline.count() > 0) active = connection_.expire_requests(Clock::now());
  const std::lock_guard lock(mutex_);
  relieve_reader();
  for (const auto& worker : workers_) {
    const std::uint64_t beat = worker->beat.load(std::memory_order_relaxed);
    if (beat != worker->beat_seen) active = true;
    worker->beat_seen = beat;
  }
  const Worker* const reader = reader_.load(std::memory_order_relaxed);
  if (reader != nullptr && reader->state.load(std::memory_order_seq_cst) == State::busy) active = true;
  if (!tasks_.empty() && parked_count_ == 0) {
    wake_receivers(false);
    active = true;
  }
  return active;
} catch (...) {
  base::log(LogLevel::error, "looking after the workers failed: {}", error_of_current_exception().message());
  return true;
}

// With mutex_ held. If the reader has been busy with one message since the last look, somebody else shall receive.
void Workers::relieve_reader() {
  Worker* const held_up = reader_.load(std::memory_order_relaxed);
  if (held_up == nullptr || held_up->is_stand_in || held_up->state.load(std::memory_order_acquire) != State::busy ||
      held_up->beat.load(std::memory_order_relaxed) != held_up->beat_seen) {
    return;
  }
  reader_.store(nullptr, std::memory_order_relaxed);
  reader_wanted_ = true;
  if (parked_count_ > 0) {
    parked_.notify_one();
  } else if (servers() >= max_threads_ || !start(&Workers::serve)) {
    post_stand_in();
  }
}

// With mutex_ held.
void Workers::post_stand_in() {
  const auto find = [this] {
    return std::find_if(workers_.begin(), workers_.end(),
                        [](const auto& worker) { return worker->is_stand_in && !worker->gone; });
  };
  auto at = find();
  if (at == workers_.end()) {
    if (!start(&Workers::stand_in)) return;
    workers_.back()->is_stand_in = true;
    at = workers_.end() - 1;
  }
  reader_wanted_ = false;
  reader_.store(at->get(), std::memory_order_relaxed);
  stand_in_wake_.notify_all();
}

// After the last worker has left: what was suspended and has been told to stop runs to its end on this thread.
void Workers::finish_suspended() {
  for (;;) {
    pool_.drain();
    std::deque<Task> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(tasks_);
      has_tasks_.store(false, std::memory_order_relaxed);
    }
    if (tasks.empty()) return;
    for (const Task& task : tasks) {
      if (task.coroutine) {
        task.coroutine.resume();
        continue;
      }
      // It was queued and never begun. A question is asked again if it matters; a farewell is not.
      if (task.request->dequeue()) {
        if (task.request->row().is_farewell()) {
          connection_.serve(*task.request);
        } else {
          task.request->fail(Error{EINTR});
        }
      }
      task.request->reset();
      connection_.recycle(*task.request);
    }
  }
}

}  // namespace fuselage::session
