#include <signal.h>
#include <string.h>

#include <fuselage/session.hpp>
#include <optional>

#include "base/log.hpp"
#include "inode/dispatcher.hpp"
#include "session/connection.hpp"
#include "session/signals.hpp"
#include "session/transport_choice.hpp"
#include "session/workers.hpp"
#include "transport/device.hpp"

namespace fuselage {

// In the order in which one uses the other.
struct Session::State {
  State(const FileSystemRef& file_system, int device, const SessionOptions& options)
      : dispatcher(file_system),
        channel(device),
        transport(device, channel, options),
        connection(dispatcher, channel, options),
        workers(connection) {
    connection.set_transport_choice(transport);
  }

  inode::Dispatcher dispatcher;
  transport::Device channel;
  session::TransportChoice transport;  // outlives the threads that have sat at its rings
  session::Connection connection;
  session::Workers workers;

  ~State() { connection.end(); }  // while the workers are still there for what it destroys
};

Session::Session(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Session> Session::create(FileSystemRef file_system, Mount& mount, SessionOptions options) {
  return create(file_system, mount.device(), std::move(options));
}

Result<Session> Session::create(FileSystemRef file_system, int device, SessionOptions options) try {
  auto state = std::make_unique<State>(file_system, device, options);
  session::Connection& connection = state->connection;
  session::Counters& counters = connection.new_counters();
  session::Request& request = connection.acquire();
  while (connection.state() == session::Connection::State::fresh) {
    using Kind = transport::Received::Kind;
    const transport::Received received = state->channel.receive(request);
    switch (received.kind) {
      case Kind::message:
        if (received.slot != nullptr && connection.admit(request, counters)) connection.serve(request);
        break;
      case Kind::woken:
        break;
      case Kind::closed:
      case Kind::aborted:
        return Error{ENODEV, "unmounted before the session began"};
      case Kind::failed:
        return Error{received.error,
                     fmt::format("reading the first request failed: {}{}", Error{received.error}.message(),
                                 received.error == EPERM ? " (nothing is mounted with this descriptor)" : "")};
    }
  }
  connection.recycle(request);
  if (connection.state() != session::Connection::State::ready) return connection.failure();
  if (const auto opened = state->transport.open(connection.agreement().max_write); !opened) return opened.error();
  if (state->transport.uring() != nullptr) {
    for (const auto& lane : state->transport.uring()->lanes()) state->workers.add_lane(*lane);
  }
  return Session(std::move(state));
} catch (...) {
  return error_of_current_exception();
}

Ended Session::run() {
  std::optional<session::SignalGuard> guard;
  if (state_->connection.options().handle_signals) {
    guard.emplace(
        [](void* workers, int number) noexcept {
          static_cast<session::Workers*>(workers)->stop(Ended::Reason::signal, number);
        },
        &state_->workers);
  }
  const Ended ended = state_->workers.run();
  if (!ended.may_run_again() && state_->transport.uring() != nullptr) state_->transport.uring()->retire();
  return ended;
}

Result<void> Session::set_max_threads(unsigned count) {
  if (count == 0) return Error{EINVAL, "at least one thread is needed"};
  if (count == 1 && state_->transport.uring() != nullptr) {
    return Error{EINVAL, "one thread cannot serve a session that uses io_uring already: mount with transport=device"};
  }
  state_->workers.set_max_threads(count);
  return {};
}

void Session::stop() noexcept { state_->workers.stop(Ended::Reason::stopped); }

Notifier Session::notifier() const { return Notifier(state_->connection.notifications()); }

Statistics Session::statistics() const {
  Statistics statistics = state_->connection.statistics();
  statistics.threads = state_->workers.threads();
  if (state_->transport.uring() != nullptr) statistics.transport = state_->transport.uring()->lanes().front()->name();
  statistics.transport_reason = state_->transport.reason();
  return statistics;
}

std::vector<std::string> Session::under_way(std::chrono::nanoseconds age) const {
  return state_->connection.under_way(age);
}

std::string Ended::to_string() const {
  switch (reason) {
    case Reason::unmounted:
      return "unmounted";
    case Reason::stopped:
      return "stopped";
    case Reason::signal:
      return fmt::format("signal {} ({})", signal, ::sigabbrev_np(signal) != nullptr ? ::sigabbrev_np(signal) : "?");
    case Reason::aborted:
      return "the connection was aborted";
    case Reason::error:
      return fmt::format("error: {}", error ? error->message() : "unknown");
  }
  return "unknown";
}

}  // namespace fuselage
