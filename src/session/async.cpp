#include <atomic>
#include <fuselage/async.hpp>
#include <mutex>

#include "session/executor.hpp"
#include "session/rendezvous.hpp"
#include "session/request.hpp"

namespace fuselage {
session::Executor& session::Executor::of(const Context& context) {
  // A context without a request is one that a test made: there is nobody to wait with.
  if (context.services() == nullptr) {
    throw std::system_error(EINVAL, std::generic_category(), "waiting needs the context of a request");
  }
  return Incoming::of(*context.services()).executor();
}

namespace detail {

// A sleep ends once: at its time, or when its request is told to give up.
class Sleeper final : public session::Timer {
 public:
  Sleeper(session::Executor& executor, std::stop_token stop, session::Executor::Clock::time_point until)
      : executor_(executor), stop_(std::move(stop)), until_(until) {}

  void expire() noexcept override { over(); }

  /// True if the coroutine shall stay suspended.
  bool suspend(std::coroutine_handle<> waiting, const std::shared_ptr<Sleeper>& self) {
    waiting_ = waiting;
    executor_.expire_at(until_, self);
    cancel_.emplace(stop_, Cancel{this});
    return rendezvous_.suspend();
  }

  Result<void> end() {
    cancel_.reset();
    if (cut_short_.load()) return Error{EINTR};
    return {};
  }

 private:
  struct Cancel {
    Sleeper* sleeper;
    void operator()() const noexcept {
      sleeper->cut_short_.store(true);
      sleeper->over();
    }
  };

  void over() noexcept {
    if (rendezvous_.end()) executor_.post(waiting_);
  }

  session::Executor& executor_;
  std::stop_token stop_;
  session::Executor::Clock::time_point until_;
  std::coroutine_handle<> waiting_;
  std::optional<std::stop_callback<Cancel>> cancel_;
  session::Rendezvous rendezvous_;
  std::atomic<bool> cut_short_{false};
};

void start_blocking(const Context& context, std::function<void()> work, std::coroutine_handle<> waiting) {
  session::Executor& executor = session::Executor::of(context);
  executor.run_blocking([&executor, work = std::move(work), waiting] {
    work();
    executor.post(waiting);
  });
}

}  // namespace detail

sleep_for::sleep_for(const Context& context, std::chrono::nanoseconds duration) {
  session::Executor& executor = session::Executor::of(context);
  sleeper_ = std::make_shared<detail::Sleeper>(executor, context.stop_token(), executor.now() + duration);
}

sleep_for::~sleep_for() = default;

bool sleep_for::await_suspend(std::coroutine_handle<> waiting) {
  // The coroutine may be resumed, and this object destroyed, before `suspend` returns: hold on to the sleeper.
  const std::shared_ptr<detail::Sleeper> sleeper = sleeper_;
  return sleeper->suspend(waiting, sleeper);
}

Result<void> sleep_for::await_resume() { return sleeper_->end(); }

}  // namespace fuselage
