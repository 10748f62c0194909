// A real session with real threads, behind a socket that stands for /dev/fuse.
#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <fuselage/session.hpp>
#include <thread>

#include "base/unique_fd.hpp"
#include "testing/link.hpp"
#include "wire/decoder.hpp"

namespace fuselage::fake {
namespace {

// A whole message must fit into the socket's buffer: 32 pages, its structure, and what the system counts beside it.
constexpr int socket_buffer = 1 << 20;
constexpr std::size_t longest_message = 256 * 1024;

class SocketLink final : public Link {
 public:
  SocketLink(const FileSystemRef& file_system, Ledger& ledger, const FakeKernelOptions& options)
      : ledger_(ledger), patience_(options.patience) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      throw std::system_error(errno, std::generic_category(), "socketpair");
    }
    kernel_.reset(ends[0]);
    device_.reset(ends[1]);
    for (const int end : ends) {
      // The privileged form is not bound by the system's limit; where it fails the limit is still enough.
      if (::setsockopt(end, SOL_SOCKET, SO_SNDBUFFORCE, &socket_buffer, sizeof socket_buffer) != 0) {
        ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &socket_buffer, sizeof socket_buffer);
      }
    }
    reader_ = std::thread([this] { collect(); });
    server_ = std::thread([this, file_system, session = options.session] { serve(file_system, session); });
  }
  ~SocketLink() override { end(); }

  void deliver(Bytes message) override {
    while (::send(kernel_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0) {
      if (errno == EINTR) continue;
      // ENODEV is what the caller gets once the connection is gone; `close_all` says so.
      if (errno != EPIPE && errno != ECONNRESET) {
        ledger_.violation(fmt::format("a message of {} bytes was not sent: {}", message.size(),
                                      std::generic_category().message(errno)));
      }
      return;
    }
  }

  Result<void> begun() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return created_.has_value(); });
    return *created_;
  }

  void await(Exchange& exchange) override {
    if (!ledger_.wait(exchange, patience_)) ledger_.violation(fmt::format("no answer came to {}", exchange.name()));
  }

  bool run_pending() override { return false; }
  void advance(std::chrono::nanoseconds /*duration*/) override {
    ledger_.violation("time cannot be moved in socket mode");
  }

  Ended stop() override {
    {
      const std::lock_guard lock(mutex_);
      if (session_) session_->stop();
    }
    return join();
  }

  void resume() override {
    server_ = std::thread([this] { ended_ = session_->run(); });
  }

  Ended end() override {
    ::shutdown(kernel_.get(), SHUT_WR);
    Ended ended = join();
    session_.reset();
    ::shutdown(kernel_.get(), SHUT_RDWR);
    if (reader_.joinable()) reader_.join();
    return ended;
  }

  Statistics statistics() const override {
    const std::lock_guard lock(mutex_);
    return session_ ? session_->statistics() : Statistics{};
  }

 private:
  void serve(const FileSystemRef& file_system, const SessionOptions& options) {
    Result<Session> session = Session::create(file_system, device_.get(), options);
    {
      const std::lock_guard lock(mutex_);
      if (session) session_.emplace(std::move(*session));
      created_ = session ? Result<void>() : Result<void>(session.error());
    }
    changed_.notify_all();
    if (session_) ended_ = session_->run();
  }

  // Takes what the session sends, until it is gone.
  void collect() {
    std::vector<std::byte> buffer(longest_message);
    for (;;) {
      const ssize_t size = ::recv(kernel_.get(), buffer.data(), buffer.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < static_cast<ssize_t>(sizeof(wire::fuse_out_header))) {
        if (size > 0) ledger_.violation("an answer is shorter than its header");
        if (size <= 0) return;
        continue;
      }
      const Bytes whole = Bytes(buffer).first(static_cast<std::size_t>(size));
      const auto header = wire::copy_out<wire::fuse_out_header>(whole);
      ledger_.receive(header, std::string(text_of(whole.subspan(sizeof header))));
    }
  }

  Ended join() {
    if (server_.joinable()) server_.join();
    return ended_;
  }

  Ledger& ledger_;
  const std::chrono::nanoseconds patience_;
  base::UniqueFd kernel_;
  base::UniqueFd device_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Session> session_;       // set once, guarded by mutex_ until then
  std::optional<Result<void>> created_;  // guarded by mutex_
  Ended ended_;                          // written by server_, read when it was joined
  std::thread reader_;
  std::thread server_;
};

}  // namespace

std::unique_ptr<Link> make_socket_link(const FileSystemRef& file_system, Ledger& ledger,
                                       const FakeKernelOptions& options) {
  return std::make_unique<SocketLink>(file_system, ledger, options);
}

}  // namespace fuselage::fake
