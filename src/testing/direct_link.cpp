// The session's core on the thread of the test: nothing happens unless it is told to.
#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "base/log.hpp"
#include "inode/dispatcher.hpp"
#include "session/connection.hpp"
#include "session/notification_queue.hpp"
#include "testing/link.hpp"
#include "testing/rules.hpp"

namespace fuselage::fake {
namespace {

/// Hands everything to the ledger.
class CollectingChannel final : public transport::Channel {
 public:
  explicit CollectingChannel(Ledger& ledger) noexcept : ledger_(ledger) {}

  transport::Received receive(transport::Slot& /*spare*/) noexcept override {
    return {transport::Received::Kind::closed, nullptr, 0};
  }
  int send(transport::Slot& /*slot*/, const wire::fuse_out_header& header,
           std::span<const ::iovec> body) noexcept override {
    return ledger_.receive(header, joined(body));
  }
  int notify(const wire::fuse_out_header& header, std::span<const ::iovec> body) noexcept override {
    return ledger_.receive(header, joined(body));
  }
  void wake(::pthread_t /*reader*/) noexcept override {}
  Result<std::int32_t> open_backing(int fd) noexcept override {
    if (fd < 0) return Error{EBADF};
    return ++last_backing_;
  }
  Result<void> close_backing(std::int32_t id) noexcept override {
    if (id <= 0 || id > last_backing_) return Error{ENOENT};
    return {};
  }
  const char* name() const noexcept override { return "fake kernel"; }

 private:
  static std::string joined(std::span<const ::iovec> parts) {
    std::string whole;
    for (const ::iovec& part : parts) whole.append(static_cast<const char*>(part.iov_base), part.iov_len);
    return whole;
  }

  Ledger& ledger_;
  std::int32_t last_backing_ = 0;
};

/// Does things when it is told to, in the order in which they came; its clock stands still in between. What is put into
/// it may come from any thread.
class InlineExecutor final : public session::Executor {
 public:
  void post(std::coroutine_handle<> coroutine) override { put(coroutine); }
  void run_blocking(std::function<void()> work) override { put(std::move(work)); }
  void expire_at(Clock::time_point time, std::weak_ptr<session::Timer> timer) override {
    const std::lock_guard lock(mutex_);
    timers_.emplace(time, std::move(timer));
  }
  Clock::time_point now() const noexcept override {
    const std::lock_guard lock(mutex_);
    return now_;
  }

  bool run_one() {
    std::function<void()> next;
    {
      const std::lock_guard lock(mutex_);
      if (tasks_.empty()) return false;
      next = std::move(tasks_.front());
      tasks_.pop_front();
    }
    next();
    return true;
  }

  /// Moves the clock to the next timer that is due at `limit`, and expires it; false, and to `limit`, if there is none.
  bool expire_next(Clock::time_point limit) {
    std::shared_ptr<session::Timer> timer;
    {
      const std::lock_guard lock(mutex_);
      const auto next = timers_.begin();
      if (next == timers_.end() || next->first > limit) {
        now_ = limit;
        return false;
      }
      now_ = std::max(now_, next->first);
      timer = next->second.lock();
      timers_.erase(next);
    }
    if (timer) timer->expire();
    return true;
  }

 private:
  void put(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }

  mutable std::mutex mutex_;
  std::deque<std::function<void()>> tasks_;                                 // guarded by mutex_
  std::multimap<Clock::time_point, std::weak_ptr<session::Timer>> timers_;  // guarded by mutex_
  Clock::time_point now_{std::chrono::hours(1)};                            // guarded by mutex_
};

class DirectLink final : public Link {
 public:
  DirectLink(const FileSystemRef& file_system, Ledger& ledger, const FakeKernelOptions& options)
      : ledger_(ledger),
        in_parts_(options.in_parts),
        dispatcher_(file_system),
        channel_(ledger),
        connection_(dispatcher_, channel_, options.session),
        counters_(connection_.shared_counters()) {
    connection_.set_executor(executor_);
    connection_.notifications()->send_by_hand();
  }
  ~DirectLink() override { end(); }

  void deliver(Bytes message) override {
    session::Request& request = connection_.acquire();
    if (message.size() > request.buffer.size()) {
      ledger_.violation(fmt::format("a message of {} bytes is longer than the session reads", message.size()));
    } else if (place(request, message) && connection_.admit(request, counters_) && !connection_.serve(request)) {
      return;  // suspended: the object comes back by itself
    }
    connection_.recycle(request);
  }

  Result<void> begun() override {
    if (connection_.state() == session::Connection::State::ready) return {};
    return connection_.failure();
  }

  void await(Exchange& exchange) override {
    run_pending();
    if (ledger_.is_done(exchange)) return;
    ledger_.violation(
        fmt::format("{} is looked at, but its handler has not answered and waits for something else: "
                    "interrupt it, advance the clock, or let happen what it waits for",
                    exchange.name()));
  }

  bool run_pending() override {
    bool ran = false;
    while (executor_.run_one() || connection_.notifications()->send_next()) ran = true;
    return ran;
  }

  void advance(std::chrono::nanoseconds duration) override {
    const auto limit = executor_.now() + duration;
    run_pending();
    while (executor_.expire_next(limit)) run_pending();
    if (connection_.options().deadline.count() > 0) connection_.expire_requests(limit);
    run_pending();
  }

  Ended stop() override {
    connection_.stop();
    run_pending();
    return {Ended::Reason::stopped, 0, {}};
  }
  void resume() override { connection_.resume(); }

  Ended end() override {
    connection_.end();
    return {Ended::Reason::unmounted, 0, {}};
  }

  Statistics statistics() const override { return connection_.statistics(); }

 private:
  // Puts the message where a transport would.
  bool place(transport::Slot& slot, Bytes message) {
    std::copy(message.begin(), message.end(), slot.buffer.begin());
    const std::span<std::byte> whole = slot.buffer.first(message.size());
    auto split = wire::split(whole);
    if (!split) {
      connection_.count_malformed();
      base::log(LogLevel::warning, "a message without a usable header was dropped");
      return false;
    }
    constexpr std::size_t page = transport::Channel::page;
    const std::size_t used = (message.size() + page - 1) / page * page;
    slot.reply_buffer = slot.buffer.subspan(std::min(used, slot.buffer.size()));
    slot.message = *split;
    if (in_parts_) take_apart(slot.message);
    return true;
  }

  // An io_uring entry has the header, 128 bytes for the arguments, and the payload in three places.
  static void take_apart(wire::Message& message) {
    const wire::OperationRow* row = wire::find_operation(message.header->opcode);
    const Bytes all = message.arguments;
    const std::size_t arguments = std::min<std::size_t>(row != nullptr ? row->arguments : 0, all.size());
    message.arguments = all.first(arguments);
    message.payload = all.subspan(arguments);
    message.contiguous = false;
  }

  Ledger& ledger_;
  const bool in_parts_;
  InlineExecutor executor_;
  inode::Dispatcher dispatcher_;
  CollectingChannel channel_;
  session::Connection connection_;
  session::Counters& counters_;
};

}  // namespace

std::unique_ptr<Link> make_direct_link(const FileSystemRef& file_system, Ledger& ledger,
                                       const FakeKernelOptions& options) {
  return std::make_unique<DirectLink>(file_system, ledger, options);
}

}  // namespace fuselage::fake
