#include <unistd.h>

#include <atomic>
#include <fuselage/llfuse.hpp>
#include <fuselage/mount.hpp>
#include <stdexcept>

#include "llfuse/options.hpp"
#include "llfuse/signals.hpp"

namespace llfuse {

struct Session::State {
  fuselage::FileSystemRef file_system;
  fuselage::SessionOptions options;
  std::optional<fuselage::Mount> mount;
  std::optional<fuselage::Session> session;
  bool broken = false;  // INIT failed, and the kernel asks only once

  std::atomic<fuselage::Session*> begun{nullptr};    // `session`, for other threads
  std::atomic<fuselage::Session*> running{nullptr};  // the same while `main` runs
  std::atomic<bool> stop_asked{false};
  std::atomic<int> signal{0};
};

Session::Session(fuselage::FileSystemRef file_system, const std::string& mountpoint, const Options& options)
    : state_(new State{.file_system = file_system, .options = {}, .mount = {}, .session = {}}) {
  fuselage::MountOptions mounting;
  if (const auto parsed = parse(options, mounting, state_->options); !parsed) {
    throw std::runtime_error("fuse_lowlevel_new() failed: " + parsed.error().message());
  }
  if (mounting.allow_root) state_->options.only_root_and = ::getuid();
  auto mount = fuselage::Mount::create(mountpoint, mounting);
  if (!mount) throw std::runtime_error("fuse_mount failed: " + mount.error().message());
  state_->mount.emplace(std::move(mount).value());
}

Session::~Session() { close(false); }

std::optional<int> Session::main(unsigned workers, bool handle_signals) {
  State& state = *state_;
  if (workers == 0) throw std::invalid_argument("the number of workers must be at least 1");
  if (!state.mount) throw std::runtime_error("the session was closed");
  if (state.broken) throw std::runtime_error("the file system was not initialised: close it and mount it again");
  std::optional<Signals> signals;
  if (handle_signals) signals.emplace(*this);
  if (!state.session) {
    state.options.max_threads = workers;
    auto session = fuselage::Session::create(state.file_system, *state.mount, state.options);
    if (!session) {
      state.broken = true;
      if (session.error().code() == ENODEV) return std::nullopt;  // unmounted before anything was asked
      throw std::runtime_error("the session cannot begin: " + session.error().message());
    }
    state.begun.store(&state.session.emplace(std::move(session).value()));
  } else if (const auto set = state.session->set_max_threads(workers); !set) {
    throw std::invalid_argument(set.error().message());
  }
  state.running.store(&*state.session);
  if (state.stop_asked.load()) state.session->stop();
  const fuselage::Ended ended = state.session->run();
  state.running.store(nullptr);
  signals.reset();
  state.stop_asked.store(false);
  const int signal = state.signal.exchange(0);
  if (ended.reason == fuselage::Ended::Reason::error) throw std::runtime_error(ended.to_string());
  return signal != 0 && ended.reason == fuselage::Ended::Reason::stopped ? std::optional(signal) : std::nullopt;
}

void Session::on_interrupt(std::function<void()> function, int descriptor) {
  state_->options.on_interrupt = std::move(function);
  state_->options.interrupt_descriptor = descriptor;
}

void Session::stop() noexcept {
  // Whoever begins to run looks for the request after it has shown itself, so one of us two sees the other.
  state_->stop_asked.store(true);
  if (fuselage::Session* session = state_->running.load()) session->stop();
}

void Session::signalled(int number) noexcept {
  int none = 0;
  state_->signal.compare_exchange_strong(none, number);
  stop();
}

void Session::close(bool unmount) {
  state_->begun.store(nullptr);
  state_->session.reset();
  if (!state_->mount) return;
  // What was cut off from outside is left to whoever did that.
  if (!unmount || !state_->mount->mounted()) state_->mount->release();
  state_->mount.reset();
}

fuselage::Notifier Session::notifier() const {
  const fuselage::Session* const session = state_->begun.load();
  return session != nullptr ? session->notifier() : fuselage::Notifier();
}

fuselage::Statistics Session::statistics() const {
  const fuselage::Session* const session = state_->begun.load();
  return session != nullptr ? session->statistics() : fuselage::Statistics();
}

}  // namespace llfuse
