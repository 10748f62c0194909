#include "session/workers.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/log.hpp"
#include "session/notification_queue.hpp"
#include "transport/cpus.hpp"
#include "transport/wake_signal.hpp"

namespace fuselage::session {
namespace {

// How long a worker that is not needed waits for work before it ends. One always stays.
constexpr std::chrono::seconds keep_parked(5);

constexpr std::size_t max_blocking_threads = 256;

// A handler that waits and takes as long is slow: waking another thread costs little beside it.
constexpr std::chrono::microseconds slow_handler(200);
// So many quick handlers in a row, and a station counts as quick again: after one that was slow, and after more.
constexpr unsigned slow_once = 8;
constexpr unsigned slow_again = 32;

// The steward looks less often after so many looks in a row between which workers did at least so much.
constexpr unsigned relaxed_after = 64;
constexpr std::uint64_t quick_steps = 32;

// How often the calling thread has waited for something.
long waits_so_far() noexcept {
  ::rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

// Does the thread wait for something? One that lacks a CPU does not.
bool is_waiting(::pid_t thread) {
  std::string status;
  std::getline(std::ifstream(fmt::format("/proc/self/task/{}/stat", thread)), status);
  const std::size_t state = status.rfind(')') + 2;
  return state < status.size() && (status[state] == 'S' || status[state] == 'D');
}

}  // namespace

Workers::Workers(Connection& connection)
    : connection_(connection),
      max_threads_(std::max(1u, connection.options().max_threads)),
      pool_(max_blocking_threads),
      steward_([this] { return tick(); }, connection.options().interrupt_descriptor) {
  connection_.set_executor(*this);
  stations_.push_back(std::make_unique<Station>(connection.channel(), false));
}

Workers::~Workers() {
  pool_.drain();
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  rest_.notify_all();
  for (const auto& worker : workers_) worker->thread.join();
}

void Workers::add_lane(transport::Channel& lane) { stations_.push_back(std::make_unique<Station>(lane, true)); }

void Workers::Station::note(bool slow) noexcept {
  const unsigned left = slow_for_.load(std::memory_order_relaxed);
  if (slow) {
    slow_for_.store(left != 0 ? slow_again : slow_once, std::memory_order_relaxed);
  } else if (left != 0) {
    slow_for_.store(left - 1, std::memory_order_relaxed);
  }
}

Ended Workers::run() {
  ::sigset_t wake_only;
  ::sigset_t old_mask;
  ::sigemptyset(&wake_only);
  ::sigaddset(&wake_only, transport::wake_signal());
  ::pthread_sigmask(SIG_UNBLOCK, &wake_only, &old_mask);

  connection_.resume();
  connection_.notifications()->resume();
  begin();
  wait_for_workers();
  finish_suspended();
  steward_.end();
  ::pthread_sigmask(SIG_SETMASK, &old_mask, nullptr);

  Ended ended = ended_by(reason_.load());
  if (ended.reason == Ended::Reason::error) ended.error = Error{error_.load()};
  reason_.store(running, std::memory_order_release);
  asked_.store(running, std::memory_order_release);
  return ended;
}

Ended Workers::ended_by(int what) {
  Ended ended;
  ended.reason = static_cast<Ended::Reason>(what & ((1 << reason_bits) - 1));
  ended.signal = what >> reason_bits;
  return ended;
}

// Everybody to their stations; the calling thread serves until it is told to stop.
void Workers::begin() {
  steward_.begin();
  Worker* own = nullptr;
  {
    const std::lock_guard lock(mutex_);
    own = &add_worker();
    own->id = ::pthread_self();
    own->tid = ::gettid();
    // Its own station first, so that nobody else takes the one it can take.
    assign(*stations_.front(), *own);
    std::size_t rested = 0;
    for (const auto& worker : workers_) rested += worker->resting && !worker->is_stand_in ? 1 : 0;
    ++runs_;
    rest_.notify_all();
    for (std::size_t i = 1; i < stations_.size(); ++i) {
      stations_[i]->wanted = 1;
      if (i > rested) start(&Workers::serve);
    }
  }
  serve(*own);
  leave(*own);
}

// The others return as their handlers do. Each stays in the list, where the steward sees whom to wake, until it has
// left.
void Workers::wait_for_workers() {
  std::unique_lock lock(mutex_);
  rest_.wait(lock, [this] {
    return std::all_of(workers_.begin(), workers_.end(),
                       [](const auto& worker) { return worker->gone || worker->resting; });
  });
  std::erase_if(workers_, [](const auto& worker) {
    if (worker->gone && worker->thread.joinable()) worker->thread.join();
    return worker->gone;
  });
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

void Workers::submit(IoOperation& operation) {
  std::call_once(io_begun_, [this] {
    try {
      io_ = std::make_unique<IoRing>();
    } catch (const std::system_error&) {
      // Containers and kernel.io_uring_disabled forbid it.
    }
  });
  if (io_ != nullptr) {
    io_->submit(operation);
  } else {
    Executor::submit(operation);
  }
}

void Workers::cancel(const IoOperation& operation) noexcept {
  if (io_ != nullptr) io_->cancel(operation);
}

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
    worker.thread = std::thread([this, &worker, work, home = transport::home_of_this_thread()] {
      worker.tid = ::gettid();
      home.apply();
      transport::accept_only_wake_signal();
      ::pthread_setname_np(::pthread_self(), "fuse-worker");
      live(worker, work);
    });
    // Here, not there: it may be woken before it has begun.
    worker.id = worker.thread.native_handle();
    return true;
  } catch (const std::system_error& error) {
    base::log(LogLevel::warning, "no further thread: {}", error.what());
    connection_.recycle(*worker.request);
    spare_counters_.push_back(worker.counters);
    workers_.pop_back();
    return false;
  }
}

void Workers::live(Worker& worker, void (Workers::*work)(Worker&) noexcept) noexcept {
  do {
    (this->*work)(worker);
  } while (rest(worker));
  leave(worker);
}

// Between two runs. False: the thread shall end.
bool Workers::rest(Worker& worker) noexcept {
  std::unique_lock lock(mutex_);
  if (!worker.sat_at_lane || !ended_by(reason_.load(std::memory_order_acquire)).may_run_again()) return false;
  leave_station(worker, lock);
  worker.state.store(State::parked, std::memory_order_release);
  worker.resting = true;
  rest_.notify_all();
  const std::uint64_t last_run = runs_;
  rest_.wait(lock, [&] { return ended_ || runs_ != last_run; });
  worker.resting = false;
  worker.state.store(State::busy, std::memory_order_release);
  return !ended_;
}

void Workers::serve(Worker& worker) noexcept {
  while (!stopped()) {
    if (run_task(worker)) continue;
    Station* const station = become_reader(worker);
    if (station == nullptr) {
      if (!park(worker)) break;
      continue;
    }
    while (is_reader(*station, worker) && !has_tasks_.load(std::memory_order_relaxed) && !stopped()) {
      if (Request* request = receive(worker); request != nullptr && connection_.admit(*request, *worker.counters)) {
        worker.naps = has_lanes() && !station->is_lane && request->row().reply == wire::ReplyKind::none;
        if (station->is_slow() && request->row().reply != wire::ReplyKind::none) {
          serve_beside_another(*station, worker, *request);
        } else {
          serve_request(worker, *request);
        }
      }
    }
  }
}

// With the rings at work, what comes from the device is mostly FORGETs, each of which would wake this thread. After one
// it waits a moment, so that the kernel can gather them. False: it was woken.
bool Workers::nap(Worker& worker) noexcept {
  if (!std::exchange(worker.naps, false)) return true;
  const ::timespec moment{0, 2'000'000};
  return ::nanosleep(&moment, nullptr) == 0;
}

// The next message, if there is one; what else may come is dealt with.
inline Request* Workers::receive(Worker& worker) noexcept {
  worker.state.store(State::receiving, std::memory_order_release);
  transport::Received received;
  if (nap(worker)) received = worker.station->channel.receive(*worker.request);
  // Sequentially consistent, like the steward's look before it falls asleep: one of us sees the other.
  worker.state.exchange(State::busy, std::memory_order_seq_cst);
  worker.step();
  if (steward_.asleep()) steward_.poke();
  if (received.kind == transport::Received::Kind::message && received.slot != nullptr) {
    return static_cast<Request*>(received.slot);
  }
  deal_with(received, worker);
  return nullptr;
}

// What is no message, or none that can be handled.
void Workers::deal_with(const transport::Received& received, const Worker& worker) noexcept {
  using Kind = transport::Received::Kind;
  switch (received.kind) {
    case Kind::message:
      connection_.count_malformed();
      base::log(LogLevel::warning, "a message without a usable header was dropped");
      return;
    case Kind::woken:
      if (!worker.thread.joinable()) interrupted();
      // Somebody who was late to sit down here may have taken the place and left it again.
      if (is_reader(*worker.station, worker)) worker.station->channel.attach();
      return;
    case Kind::closed:
      return end(Ended::Reason::unmounted);
    case Kind::aborted:
      return end(Ended::Reason::aborted);
    case Kind::failed:
      error_.store(received.error);
      return end(Ended::Reason::error);
  }
}

// There is nothing to receive any more. The steward, who sees to the rest, may be waiting for this CPU.
void Workers::end(Ended::Reason reason) noexcept {
  stop(reason);
  std::this_thread::sleep_for(std::chrono::microseconds(100));
}

void Workers::serve_request(Worker& worker, Request& request) noexcept {
  if (!connection_.serve(request) && &request == worker.request) worker.request = &connection_.acquire();
}

// Where handlers were slow lately, the next message shall not wait until the steward notices that this one is, too.
void Workers::serve_beside_another(Station& station, Worker& worker, Request& request) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (is_reader(station, worker) && !has_tasks_.load(std::memory_order_relaxed)) {
      station.reader.store(nullptr, std::memory_order_relaxed);
      station.wanted = 1;
      if (!call_worker(station)) {
        station.wanted = 0;
        station.reader.store(&worker, std::memory_order_relaxed);
      }
    }
  }
  const Clock::time_point began = Clock::now();
  const long waits = waits_so_far();
  serve_request(worker, request);
  station.note(Clock::now() - began >= slow_handler && waits_so_far() != waits);
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
  worker.step();
  if (steward_.asleep()) steward_.poke();
  if (task.coroutine) {
    task.coroutine.resume();
  } else if (!task.request->dequeue() || connection_.serve(*task.request)) {
    connection_.recycle(*task.request);
  }
  return true;
}

// With mutex_ held.
void Workers::assign(Station& station, Worker& worker) noexcept {
  station.wanted = 0;
  station.reader.store(&worker, std::memory_order_relaxed);
  worker.station = &station;
  // On its way, where it may have to wait for the CPU: no other thread would be there sooner.
  worker.state.store(State::receiving, std::memory_order_release);
}

// Sits down at a station that needs somebody, unless the worker has one; null: there is none.
Workers::Station* Workers::become_reader(Worker& worker) {
  std::unique_lock lock(mutex_);
  if (worker.station != nullptr && is_reader(*worker.station, worker)) return worker.station;
  leave_station(worker, lock);
  Station* const station = find_station(worker);
  if (station == nullptr) return nullptr;
  const Worker* const current = station->reader.load(std::memory_order_relaxed);
  assign(*station, worker);
  // A stand-in that is just receiving brings one more message: handlers run in order of arrival, so wait for it. When
  // that takes so long that the steward posts it again, there is no end to wait for.
  while (current != nullptr && is_reader(*station, worker) && current->state.load() == State::receiving && !stopped()) {
    station->channel.wake(current->id);
    lock.unlock();
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    lock.lock();
  }
  lock.unlock();
  sit_down(worker);
  worker.step();
  worker.state.store(State::busy, std::memory_order_release);
  return station;
}

void Workers::sit_down(Worker& worker) noexcept {
  worker.sat_at_lane = worker.sat_at_lane || worker.station->is_lane;
  worker.station->channel.attach();
}

// With mutex_ held, by `lock`: does not read from where it did.
void Workers::leave_station(Worker& worker, std::unique_lock<std::mutex>& lock) noexcept {
  Station* const station = std::exchange(worker.station, nullptr);
  if (station == nullptr) return;
  Worker* self = &worker;
  station->reader.compare_exchange_strong(self, nullptr);
  lock.unlock();
  station->channel.detach();
  lock.lock();
}

// With mutex_ held: a station where nobody or only a stand-in receives.
Workers::Station* Workers::find_station(const Worker& worker) const {
  Station* found = nullptr;
  for (const auto& station : stations_) {
    if (station->is_lane && !worker.thread.joinable()) continue;
    const Worker* const reader = station->reader.load(std::memory_order_relaxed);
    if (reader == nullptr) return station.get();
    if (reader->is_stand_in && found == nullptr) found = station.get();
  }
  return found;
}

// Waits until there is something to do. False: the worker is not needed any more.
bool Workers::park(Worker& worker) {
  std::unique_lock lock(mutex_);
  const bool is_thread = worker.thread.joinable();
  const auto needed = [&] {
    return stopped() || !tasks_.empty() || std::any_of(stations_.begin(), stations_.end(), [&](const auto& station) {
             return station->wanted != 0 && (is_thread || !station->is_lane);
           });
  };
  worker.state.store(State::parked, std::memory_order_release);
  bool stays = true;
  if (!is_thread) {
    caller_is_parked_ = true;
    while (!needed()) {
      lock.unlock();
      if (!caller_wake_.wait()) interrupted();
      lock.lock();
    }
    caller_is_parked_ = false;
  } else {
    ++parked_threads_;
    if (parked_threads_ == 1 || worker.sat_at_lane) {
      parked_.wait(lock, needed);
    } else {
      stays = parked_.wait_for(lock, keep_parked, needed);
    }
    --parked_threads_;
  }
  worker.state.store(State::busy, std::memory_order_release);
  return stays;
}

void Workers::leave(Worker& worker) noexcept {
  std::unique_lock lock(mutex_);
  leave_station(worker, lock);
  worker.state.store(State::parked, std::memory_order_release);
  connection_.recycle(*worker.request);
  spare_counters_.push_back(worker.counters);
  worker.gone = true;
  rest_.notify_all();
}

void Workers::interrupted() const noexcept {
  if (const auto& told = connection_.options().on_interrupt) told();
}

// The thread that keeps the way clear while every worker is held up.
void Workers::stand_in(Worker& worker) noexcept {
  std::unique_lock lock(mutex_);
  while (!stopped()) {
    worker.state.store(State::parked, std::memory_order_release);
    stand_in_wake_.wait(lock, [&] { return stopped() || worker.station != nullptr; });
    if (worker.station == nullptr) return;
    lock.unlock();
    sit_down(worker);
    stand_in_at(worker, *worker.station);
    lock.lock();
    leave_station(worker, lock);
  }
}

void Workers::stand_in_at(Worker& worker, const Station& station) noexcept {
  while (is_reader(station, worker) && !stopped()) {
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

void Workers::enqueue(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(task);
    has_tasks_.store(true, std::memory_order_relaxed);
    if (!wake_parked(false)) {
      const bool may_start = !stopped() && servers() > 0 && servers() < max_threads_;
      if (!may_start || !start(&Workers::serve)) wake_receivers(false);
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
    if (worker->state.load(std::memory_order_acquire) != State::receiving || worker->station == nullptr) continue;
    if (stand_in_too || !worker->is_stand_in) worker->station->channel.wake(worker->id);
  }
}

// A notification that is just being sent may need a lock whose holder waits for an answer of ours: it comes first,
// unless the connection is gone, which sets it free.
bool Workers::may_stop() noexcept {
  const int asked = asked_.load(std::memory_order_acquire);
  if (asked == running) return false;
  if (!connection_.notifications()->pause() && ended_by(asked).may_run_again()) return false;
  reason_.store(asked, std::memory_order_release);
  return true;
}

// The steward's look at the workers.
Steward::Pace Workers::tick() noexcept try {
  using Pace = Steward::Pace;
  if (stopped() || may_stop()) {
    if (!connection_.stopping()) connection_.stop();
    const std::lock_guard lock(mutex_);
    wake_receivers(true);
    parked_.notify_all();
    caller_wake_.post();
    stand_in_wake_.notify_all();
    const bool some_work = std::any_of(workers_.begin(), workers_.end(),
                                       [](const auto& worker) { return !worker->gone && !worker->resting; });
    return some_work ? Pace::alert : Pace::asleep;
  }
  bool quick = asked_.load(std::memory_order_acquire) == running;
  bool active = !quick;
  if (connection_.options().deadline.count() > 0) active = connection_.expire_requests(Clock::now()) || active;
  if (has_lanes()) active = connection_.look_for_interrupts(Clock::now()) || active;
  const std::lock_guard lock(mutex_);
  for (const auto& station : stations_) relieve_reader(*station);
  std::uint64_t most_steps = 0;
  for (const auto& worker : workers_) {
    const std::uint64_t beat = worker->beat.load(std::memory_order_relaxed);
    const std::uint64_t steps = beat - worker->beat_seen;
    worker->beat_seen = beat;
    most_steps = std::max(most_steps, steps);
    if (steps < quick_steps && worker->state.load(std::memory_order_relaxed) == State::busy) quick = false;
  }
  active = active || most_steps != 0;
  quick = quick && most_steps >= quick_steps && tasks_.empty();
  for (const auto& station : stations_) {
    const Worker* const reader = station->reader.load(std::memory_order_relaxed);
    if (reader == nullptr || reader->state.load(std::memory_order_seq_cst) == State::busy) active = true;
    if (reader == nullptr || station->is_slow()) quick = false;
  }
  if (!tasks_.empty()) {
    if (!wake_parked(false)) wake_receivers(false);
    active = true;
  }
  if (connection_.options().interrupt_descriptor >= 0) active = look_for_signals() || active;
  return pace(active, quick);
} catch (...) {
  base::log(LogLevel::error, "looking after the workers failed: {}", error_of_current_exception().message());
  return Steward::Pace::alert;
}

// With mutex_ held. A signal that came just before the thread in `run` began to wait did not cut that short: it is
// woken until it has looked.
bool Workers::look_for_signals() noexcept {
  ::pollfd asked{connection_.options().interrupt_descriptor, POLLIN, 0};
  if (::poll(&asked, 1, 0) <= 0) return false;
  for (const auto& worker : workers_) {
    const bool is_own = !worker->gone && !worker->thread.joinable();
    if (is_own && worker->state.load(std::memory_order_acquire) != State::busy) {
      stations_.front()->channel.wake(worker->id);
    }
  }
  return true;
}

// While message after message is quickly handled there is little to look for.
Steward::Pace Workers::pace(bool active, bool quick) noexcept {
  quick_looks_ = quick ? std::min(quick_looks_ + 1, relaxed_after) : 0;
  if (!active) return Steward::Pace::asleep;
  return quick_looks_ == relaxed_after ? Steward::Pace::relaxed : Steward::Pace::alert;
}

// With mutex_ held. If the reader has been busy with one message since the last look, somebody else shall receive.
void Workers::relieve_reader(Station& station) {
  constexpr unsigned patience = 4;  // looks, until a worker that was called counts as lost to other work
  const Worker* const held_up = station.reader.load(std::memory_order_relaxed);
  if (held_up == nullptr) {
    if (++station.wanted > patience) find_reader(station);
    return;
  }
  if (held_up->is_stand_in || held_up->state.load(std::memory_order_acquire) != State::busy ||
      held_up->beat.load(std::memory_order_relaxed) != held_up->beat_seen) {
    return;
  }
  if (is_waiting(held_up->tid)) station.note(true);
  station.reader.store(nullptr, std::memory_order_relaxed);
  find_reader(station);
}

// With mutex_ held.
void Workers::find_reader(Station& station) {
  station.wanted = 1;
  if (!call_worker(station)) post_stand_in(station);
}

// With mutex_ held. False: there is nobody but a stand-in.
bool Workers::call_worker(const Station& station) {
  return wake_parked(station.is_lane) || (servers() < max_threads_ && start(&Workers::serve));
}

// With mutex_ held. False: nobody is parked who could do it.
bool Workers::wake_parked(bool for_lane) noexcept {
  if (parked_threads_ > 0) {
    parked_.notify_one();
  } else if (caller_is_parked_ && !for_lane) {
    caller_wake_.post();
  } else {
    return false;
  }
  return true;
}

// With mutex_ held.
void Workers::post_stand_in(Station& station) {
  const auto is_free = [](const auto& worker) {
    return worker->is_stand_in && !worker->gone && !worker->resting && worker->station == nullptr;
  };
  auto at = std::find_if(workers_.begin(), workers_.end(), is_free);
  if (at == workers_.end()) {
    if (!start(&Workers::stand_in)) return;
    workers_.back()->is_stand_in = true;
    at = workers_.end() - 1;
  }
  assign(station, **at);
  stand_in_wake_.notify_all();
}

// After the last worker has left: what was suspended and has been told to stop runs to its end on this thread.
void Workers::finish_suspended() {
  for (;;) {
    pool_.drain();
    if (io_ != nullptr) io_->drain();
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
