#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <fuselage/manual_session.hpp>
#include <map>
#include <mutex>
#include <thread>

#include "inode/dispatcher.hpp"
#include "session/blocking_pool.hpp"
#include "session/connection.hpp"
#include "session/notification_queue.hpp"
#include "wire/message.hpp"

namespace fuselage {
namespace {

// Hands everything to the carrier.
class CarriedChannel final : public transport::Channel {
 public:
  explicit CarriedChannel(Carrier& carrier) noexcept : carrier_(carrier) {}

  transport::Received receive(transport::Slot& /*spare*/) noexcept override {
    return {transport::Received::Kind::failed, nullptr, ENOTSUP};
  }
  int send(transport::Slot& /*slot*/, const wire::fuse_out_header& header,
           std::span<const ::iovec> body) noexcept override {
    return notify(header, body);
  }
  int notify(const wire::fuse_out_header& header, std::span<const ::iovec> body) noexcept override {
    std::array<::iovec, 9> parts;
    if (body.size() >= parts.size()) return EINVAL;
    parts[0] = {const_cast<wire::fuse_out_header*>(&header), sizeof header};
    std::copy(body.begin(), body.end(), parts.begin() + 1);
    return carrier_.send(std::span(parts).first(1 + body.size()));
  }
  void wake(::pthread_t /*reader*/) noexcept override {}
  Result<std::int32_t> open_backing(int /*fd*/) noexcept override { return Error{EOPNOTSUPP}; }
  Result<void> close_backing(std::int32_t /*id*/) noexcept override { return Error{EOPNOTSUPP}; }
  const char* name() const noexcept override { return "by hand"; }

 private:
  Carrier& carrier_;
};

// One thread, begun when it is first needed, for timers and for what goes on after it waited.
class LazyExecutor final : public session::Executor {
 public:
  ~LazyExecutor() override { end(); }

  void post(std::coroutine_handle<> coroutine) override {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(coroutine);
    wake();
  }
  void expire_at(Clock::time_point time, std::weak_ptr<session::Timer> timer) override {
    const std::lock_guard lock(mutex_);
    timers_.emplace(time, std::move(timer));
    wake();
  }
  void run_blocking(std::function<void()> work) override { pool_.run(std::move(work)); }

  void end() noexcept {
    pool_.drain();
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      wake_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  // For the holder of mutex_.
  void wake() {
    if (!thread_.joinable()) thread_ = std::thread([this] { serve(); });
    wake_.notify_one();
  }

  void serve() noexcept {
    std::unique_lock lock(mutex_);
    while (!ended_ || !tasks_.empty()) {
      if (!tasks_.empty()) {
        const std::coroutine_handle<> next = tasks_.front();
        tasks_.pop_front();
        lock.unlock();
        next.resume();
        lock.lock();
      } else if (timers_.empty()) {
        wake_.wait(lock);
      } else if (const auto first = timers_.begin(); first->first <= Clock::now()) {
        const std::shared_ptr<session::Timer> due = first->second.lock();
        timers_.erase(first);
        lock.unlock();
        if (due) due->expire();
        lock.lock();
      } else {
        wake_.wait_until(lock, first->first);
      }
    }
  }

  session::BlockingPool pool_{64};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::coroutine_handle<>> tasks_;                               // guarded by mutex_
  std::multimap<Clock::time_point, std::weak_ptr<session::Timer>> timers_;  // guarded by mutex_
  bool ended_ = false;                                                      // guarded by mutex_
  std::thread thread_;                                                      // guarded by mutex_
};

}  // namespace

struct ManualSession::State {
  State(const FileSystemRef& file_system, Carrier& carrier, const SessionOptions& options)
      : dispatcher(file_system),
        channel(carrier),
        connection(dispatcher, channel, options),
        counters(connection.shared_counters()) {
    connection.set_executor(executor);
    connection.notifications()->resume();
  }
  ~State() {
    connection.notifications()->end();
    connection.stop();  // who sleeps wakes up and has its say
    executor.end();
    connection.end();
  }

  LazyExecutor executor;
  inode::Dispatcher dispatcher;
  CarriedChannel channel;
  session::Connection connection;
  session::Counters& counters;
};

ManualSession::ManualSession(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
ManualSession::ManualSession(ManualSession&&) noexcept = default;
ManualSession& ManualSession::operator=(ManualSession&&) noexcept = default;
ManualSession::~ManualSession() = default;

Result<ManualSession> ManualSession::create(FileSystemRef file_system, Carrier& carrier, SessionOptions options) try {
  return ManualSession(std::make_unique<State>(file_system, carrier, options));
} catch (...) {
  return error_of_current_exception();
}

Result<void> ManualSession::process(Bytes message) try {
  session::Connection& connection = state_->connection;
  session::Request& request = connection.acquire();
  if (message.size() > request.buffer.size()) {
    connection.recycle(request);
    return Error{EMSGSIZE};
  }
  std::copy(message.begin(), message.end(), request.buffer.begin());
  if (auto split = wire::split(request.buffer.first(message.size()))) {
    constexpr std::size_t page = transport::Channel::page;
    request.message = *split;
    static_cast<transport::Slot&>(request).reply_buffer =
        request.buffer.subspan(std::min((message.size() + page - 1) / page * page, request.buffer.size()));
    if (connection.admit(request, state_->counters) && !connection.serve(request)) return {};  // it waits
  } else {
    connection.count_malformed();
  }
  connection.recycle(request);
  if (connection.state() == session::Connection::State::failed) return connection.failure();
  return {};
} catch (...) {
  return error_of_current_exception();
}

void ManualSession::stop() noexcept { state_->connection.stop(); }

Notifier ManualSession::notifier() const { return Notifier(state_->connection.notifications()); }

Statistics ManualSession::statistics() const { return state_->connection.statistics(); }

}  // namespace fuselage
