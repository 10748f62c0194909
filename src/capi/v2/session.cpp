// fuse_session_*: served by the library's own loop, or message by message.
#include "capi/v2/session.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "capi/v2/watched_run.hpp"

namespace fuselage::capi2 {
namespace {

// More than a program of this interface has to expect, unless it asks for it in `init`.
constexpr std::uint32_t most_written = 1u << 20;

// A session of functions that the program gave.
class CustomSession final : public fuse_session {
 public:
  CustomSession(const fuse_session_ops& ops, void* data) : ops_(ops), data_(data) {}
  ~CustomSession() override {
    if (ops_.destroy != nullptr) ops_.destroy(data_);
  }

  void process(const char* message, std::size_t size, fuse_chan* from) override {
    ops_.process(data_, message, size, from);
  }
  int loop(bool /*one_thread*/) override { return receive_and_process(*this); }
  void exit(bool now) noexcept override {
    if (ops_.exit != nullptr) ops_.exit(data_, now ? 1 : 0);
    exited_.store(now);
  }
  bool exited() const noexcept override { return ops_.exited != nullptr ? ops_.exited(data_) != 0 : exited_.load(); }
  void* user_data() const noexcept override { return data_; }

  static int receive_and_process(fuse_session& session) {
    if (session.channel == nullptr) return -1;
    std::vector<char> buffer(session.channel->buffer_size);
    while (!session.exited()) {
      fuse_chan* from = session.channel;
      const int size = fuse_chan_recv(&from, buffer.data(), buffer.size());
      if (size == -EINTR || size == -EAGAIN) continue;
      if (size <= 0) return size;
      session.process(buffer.data(), static_cast<std::size_t>(size), from);
    }
    return 0;
  }

 private:
  const fuse_session_ops ops_;
  void* const data_;
  std::atomic<bool> exited_{false};
};

// While a loop reads the channel, nobody may take it away.
class InLoop {
 public:
  explicit InLoop(fuse_chan* channel) : channel_(channel) {
    const std::lock_guard lock(channel->mutex);
    channel->in_loop = true;
  }
  InLoop(const InLoop&) = delete;
  InLoop& operator=(const InLoop&) = delete;
  ~InLoop() {
    bool orphaned = false;
    {
      const std::lock_guard lock(channel_->mutex);
      channel_->in_loop = false;
      orphaned = channel_->orphaned;
    }
    if (orphaned) destroy(channel_);
  }

 private:
  fuse_chan* channel_;
};

}  // namespace

ServedSession::~ServedSession() = default;

void ServedSession::end() noexcept {
  running_.store(nullptr);
  if (session_) watched_run().ended(this, session_->statistics());
  session_.reset();
  if (by_hand_) watched_run().ended(this, by_hand_->statistics());
  manual_.store(nullptr);
  by_hand_.reset();
}

SessionOptions ServedSession::session_options(std::size_t max_write) const {
  SessionOptions options;
  options.max_write = static_cast<std::uint32_t>(std::clamp<std::size_t>(max_write, 4096, most_written));
  // Every answer of this interface says how long it holds.
  options.attr_timeout = options.entry_timeout = {};
  options.trace = options_.debug != 0 || watched_run().wants_trace();
  options.character_device = character_device_;
  if (options_.allow_root != 0) options.only_root_and = ::getuid();
  return options;
}

ManualSession* ServedSession::manual(fuse_chan* from) {
  if (ManualSession* const there = manual_.load(std::memory_order_acquire)) return there;
  const std::lock_guard lock(mutex_);
  if (!by_hand_) {
    if (channel == nullptr) channel = from;
    auto session = ManualSession::create(
        file_system(), *this, session_options(from->buffer_size - std::min<std::size_t>(from->buffer_size, 4096)));
    if (!session) {
      complain("{}", session.error().message());
      return nullptr;
    }
    by_hand_.emplace(std::move(*session));
    manual_.store(&*by_hand_, std::memory_order_release);
  }
  return &*by_hand_;
}

void ServedSession::process(const char* message, std::size_t size, fuse_chan* from) {
  ManualSession* const session = manual(from);
  const Result<void> done =
      session != nullptr ? session->process(std::as_bytes(std::span(message, size))) : Result<void>(Error{EIO});
  if (done) return;
  complain("{}", done.error().message());
  exit(true);
}

int ServedSession::send(std::span<const ::iovec> message) noexcept {
  const int sent = channel != nullptr ? fuse_chan_send(channel, message.data(), message.size()) : -ENOTCONN;
  return sent < 0 ? -sent : 0;
}

int ServedSession::loop(bool one_thread) {
  if (channel == nullptr) {
    complain("the session has no channel");
    return -1;
  }
  const InLoop in_loop(channel);
  if (!channel->is_kernel() || manual_.load() != nullptr) return CustomSession::receive_and_process(*this) < 0 ? -1 : 0;
  if (!session_) {
    SessionOptions options = session_options(most_written);
    if (one_thread) options.max_threads = 1;
    auto session = Session::create(file_system(), channel->fd, options);
    if (!session) {
      complain("{}", session.error().message());
      return -1;
    }
    session_.emplace(std::move(*session));
  }
  running_.store(&*session_);
  int code = 0;
  if (!exited_.load()) {
    const Ended ended = session_->run();
    watched_run().left_loop(this, session_->statistics());
    if (ended.reason == Ended::Reason::error) {
      complain("{}", ended.to_string());
      code = -1;
    }
  }
  running_.store(nullptr);
  return code;
}

void ServedSession::exit(bool now) noexcept {
  exited_.store(now);
  if (!now) return;
  if (Session* const session = running_.load()) session->stop();
  if (ManualSession* const session = manual_.load()) session->stop();
}

}  // namespace fuselage::capi2

using namespace fuselage::capi2;

extern "C" {

fuse_session* fuse_session_new(fuse_session_ops* op, void* data) {
  return guarded([&]() -> fuse_session* { return new CustomSession(*op, data); }, static_cast<fuse_session*>(nullptr));
}

void fuse_session_add_chan(fuse_session* se, fuse_chan* ch) {
  se->channel = ch;
  ch->session.store(se);
}

void fuse_session_remove_chan(fuse_chan* ch) {
  fuse_session* const session = ch->session.exchange(nullptr);
  if (session != nullptr && session->channel == ch) session->channel = nullptr;
}

fuse_chan* fuse_session_next_chan(fuse_session* se, fuse_chan* ch) { return ch == nullptr ? se->channel : nullptr; }

void fuse_session_process(fuse_session* se, const char* buf, size_t len, fuse_chan* ch) { se->process(buf, len, ch); }

void fuse_session_process_buf(fuse_session* se, const fuse_buf* buf, fuse_chan* ch) {
  if ((buf->flags & FUSE_BUF_IS_FD) == 0) return se->process(static_cast<const char*>(buf->mem), buf->size, ch);
  std::vector<char> message(buf->size);
  fuse_bufvec source = FUSE_BUFVEC_INIT(buf->size);
  source.buf[0] = *buf;
  fuse_bufvec target = FUSE_BUFVEC_INIT(buf->size);
  target.buf[0].mem = message.data();
  const ssize_t size = fuse_buf_copy(&target, &source, static_cast<fuse_buf_copy_flags>(0));
  if (size > 0) se->process(message.data(), static_cast<std::size_t>(size), ch);
}

int fuse_session_receive_buf(fuse_session* /*se*/, fuse_buf* buf, fuse_chan** chp) {
  const int size = fuse_chan_recv(chp, static_cast<char*>(buf->mem), buf->size);
  if (size < 0) return size;
  buf->size = static_cast<std::size_t>(size);
  buf->flags = static_cast<fuse_buf_flags>(0);
  return size;
}

void fuse_session_destroy(fuse_session* se) {
  fuse_chan* const channel = se->channel;
  delete se;
  if (channel == nullptr) return;
  channel->session.store(nullptr);
  destroy(channel);
}

void fuse_session_exit(fuse_session* se) { se->exit(true); }
void fuse_session_reset(fuse_session* se) { se->exit(false); }
int fuse_session_exited(fuse_session* se) { return se->exited() ? 1 : 0; }
void* fuse_session_data(fuse_session* se) { return se->user_data(); }

int fuse_session_loop(fuse_session* se) {
  const int code = guarded([&] { return se->loop(true); }, -1);
  se->exit(false);
  return code;
}

int fuse_session_loop_mt(fuse_session* se) {
  const int code = guarded([&] { return se->loop(false); }, -1);
  se->exit(false);
  return code;
}

}  // extern "C"
