#include "session/request.hpp"

#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "base/log.hpp"
#include "session/connection.hpp"
#include "wire/decoder.hpp"
#include "wire/describe.hpp"
#include "wire/encoder.hpp"

namespace fuselage::session {
namespace {

// Operations that make a node: only they carry the caller's umask, behind the mode.
std::uint32_t umask_of(const wire::OperationRow& row, std::span<const std::byte> arguments) noexcept {
  switch (row.opcode) {
    case wire::Opcode::CREATE:
    case wire::Opcode::TMPFILE:
      return wire::copy_out<wire::fuse_create_in>(arguments).umask;
    case wire::Opcode::MKNOD:
      return wire::copy_out<wire::fuse_mknod_in>(arguments).umask;
    case wire::Opcode::MKDIR:
      return wire::copy_out<wire::fuse_mkdir_in>(arguments).umask;
    default:
      return 0;
  }
}

std::vector<::gid_t> groups_from_proc(::pid_t pid) {
  std::vector<::gid_t> groups;
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("Groups:")) continue;
    std::istringstream numbers(line.substr(7));
    for (::gid_t group = 0; numbers >> group;) groups.push_back(group);
    break;
  }
  return groups;
}

// A signal that waits for the thread and that it does not block.
bool has_pending_signal(::pid_t thread) noexcept try {
  std::ifstream status("/proc/" + std::to_string(thread) + "/status");
  std::uint64_t pending = 0;
  std::uint64_t blocked = 0;
  for (std::string line; std::getline(status, line);) {
    const auto value = [&line] { return std::strtoull(line.c_str() + line.find(':') + 1, nullptr, 16); };
    if (line.starts_with("SigPnd:") || line.starts_with("ShdPnd:")) pending |= value();
    if (line.starts_with("SigBlk:")) blocked = value();
  }
  return (pending & ~blocked) != 0;
} catch (...) {
  return false;
}

}  // namespace

Incoming::Incoming(Connection& connection, std::size_t slot_size) : connection_(&connection), memory_(slot_size) {
  channel = &connection.channel();
  buffer = memory_.bytes();
  context_.attach(this);
}

Executor& Incoming::executor() const noexcept { return connection_->executor(); }

std::span<std::byte> Incoming::reply_buffer(std::size_t size) {
  if (size <= Slot::reply_buffer.size()) return Slot::reply_buffer.first(size);
  if (large_reply_.bytes().size() < size) large_reply_ = base::Buffer(size);
  return large_reply_.bytes().first(size);
}

std::span<std::byte> Incoming::memory(std::size_t size) {
  constexpr std::size_t alignment = alignof(std::max_align_t);
  const std::size_t at = (kept_ + alignment - 1) / alignment * alignment;
  if (size > sizeof(arena_) || at + size > sizeof(arena_) - reserved_) {
    long_kept_.push_back(std::make_unique<std::byte[]>(size));
    return {long_kept_.back().get(), size};
  }
  kept_ = at + size;
  return {arena_ + at, size};
}

bool Incoming::interrupted() const noexcept {
  return interrupted_.load(std::memory_order_acquire) == header().unique || connection_->stopping();
}

std::stop_token Incoming::stop_token() {
  const std::lock_guard lock(stop_mutex_);
  if (!stop_source_) {
    stop_source_.emplace();
    has_stop_source_.store(true, std::memory_order_release);
    // Whoever interrupts looks for the source after it has left its mark, so one of us two sees the other.
    if (interrupted()) stop_source_->request_stop();
  }
  return stop_source_->get_token();
}

std::vector<::gid_t> Incoming::supplementary_groups() const {
  if (const auto extensions = wire::Extensions::parse(message.extensions); extensions && !extensions->groups.empty()) {
    return {extensions->groups.begin(), extensions->groups.end()};
  }
  return groups_from_proc(context_.pid);
}

std::vector<SecurityContext> Incoming::security_contexts() const {
  std::vector<SecurityContext> contexts;
  if (const auto extensions = wire::Extensions::parse(message.extensions)) {
    for (const wire::SecurityContext& context : extensions->security_contexts) {
      contexts.push_back({std::string(context.name), std::string(text_of(context.value))});
    }
  }
  return contexts;
}

void Request::begin(const wire::OperationRow& row, Counters& counters) noexcept {
  row_.store(&row, std::memory_order_relaxed);
  counters_.store(&counters, std::memory_order_relaxed);
  context_.uid = header().uid;
  context_.gid = header().gid;
  context_.pid = static_cast<::pid_t>(header().pid);
  caller_.store(context_.pid, std::memory_order_relaxed);
  context_.umask = umask_of(row, message.arguments);
  context_.unique = header().unique;
  started_.store(now(), std::memory_order_relaxed);
  unanswered_.store(header().unique, std::memory_order_release);
}

std::int64_t Request::now() const noexcept { return executor().now().time_since_epoch().count(); }

bool Request::claim() noexcept { return unanswered_.exchange(0, std::memory_order_acq_rel) != 0; }

bool Request::answer(std::span<const ::iovec> body) noexcept { return claim() && send(0, body); }

bool Request::fail(const Error& error) noexcept {
  if (row().reply == wire::ReplyKind::none) {
    finish();  // whatever went wrong with a FORGET, the kernel does not want to hear of it
    return false;
  }
  return claim() && send(error.code(), std::span<const ::iovec>());
}

bool Request::send(int error, std::span<const ::iovec> body) noexcept {
  std::size_t size = 0;
  for (const ::iovec& part : body) size += part.iov_len;
  wire::fuse_out_header header = wire::reply_header(this->header().unique, size);
  header.error = -error;
  const std::chrono::nanoseconds took(now() - started_.load(std::memory_order_relaxed));
  counters_.load(std::memory_order_relaxed)->record(row().opcode, error != 0, message.payload.size(), size, took);
  if (connection_->options().trace) {
    base::log(LogLevel::info, "{} -> {} in {} us",
              wire::describe(message, connection_->agreement().minor, connection_->agreement().flags),
              error != 0 ? Error{error}.message() : fmt::format("{} bytes", size), took.count() / 1000);
  }
  const int failure = channel->send(*this, header, body);
  // ENOENT: the caller was killed meanwhile. ENODEV: the connection is gone. Both are nobody's mistake.
  if (failure != 0 && failure != ENOENT && failure != ENODEV) {
    base::log(LogLevel::warning, "{} ino={} unique={}: the kernel refused the answer: {}", row().name,
              this->header().nodeid, this->header().unique, Error{failure}.message());
    // The caller still waits; an answer without a body is always understood.
    if (error == 0) channel->send(*this, wire::error_header(this->header().unique, EIO), {});
  }
  return failure == 0;
}

void Request::finish() noexcept {
  if (!claim()) return;
  const std::chrono::nanoseconds took(now() - started_.load(std::memory_order_relaxed));
  counters_.load(std::memory_order_relaxed)->record(row().opcode, false, message.payload.size(), 0, took);
  channel->release(*this);
}

bool Request::interrupt(std::uint64_t unique) noexcept {
  if (unanswered() != unique) return false;
  interrupted_.store(unique, std::memory_order_release);
  if (dequeue()) {
    fail(Error{EINTR});
  } else {
    stop();
  }
  return true;
}

// On the rings the kernel forgets an interrupt that comes while it still has the request itself
// (fuse_uring_prepare_send does not look, as fuse_dev_do_read does). The signal is still pending then, for the caller
// sleeps in the kernel.
bool Request::examine(std::uint64_t unique) noexcept {
  examined_.store(unique);
  const ::pid_t caller = caller_.load(std::memory_order_relaxed);
  if (caller == 0 || interrupted_.load() == unique || !has_pending_signal(caller)) return false;
  // A signal to the whole process may be on its way to another thread.
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return has_pending_signal(caller) && unanswered() == unique;
}

void Request::stop() noexcept {
  if (!has_stop_source_.load(std::memory_order_acquire)) return;
  std::optional<std::stop_source> source;
  {
    const std::lock_guard lock(stop_mutex_);
    if (stop_source_ && interrupted()) source = stop_source_;
  }
  if (source) source->request_stop();  // outside the lock: it runs callbacks
}

bool Request::expire(std::chrono::nanoseconds deadline, Executor::Clock::time_point now) noexcept {
  std::uint64_t unique = unanswered();
  if (unique == 0) return false;
  const std::chrono::nanoseconds started(started_.load(std::memory_order_relaxed));
  if (now.time_since_epoch() - started < deadline) return false;
  // From here on the object may go on to another message, but a number is never used twice: at most this fails.
  const wire::OperationRow& late = row();
  if (late.reply == wire::ReplyKind::none) return false;
  transport::Slot answered;
  answered.channel = std::atomic_ref(channel).load(std::memory_order_acquire);
  answered.place = std::atomic_ref(place).load(std::memory_order_acquire);
  if (!unanswered_.compare_exchange_strong(unique, 0, std::memory_order_acq_rel)) return false;
  base::log(LogLevel::warning, "{} unique={}: no answer in time, answered ETIMEDOUT", late.name, unique);
  connection_->shared_counters().record(late.opcode, true, 0, 0, now.time_since_epoch() - started);
  answered.channel->send(answered, wire::error_header(unique, ETIMEDOUT), {});
  return true;
}

void Request::leave_worker() noexcept { counters_.store(&connection_->shared_counters(), std::memory_order_relaxed); }

void Request::queue() noexcept {
  leave_worker();
  queued_.store(true, std::memory_order_release);
}

void Request::suspend(std::coroutine_handle<> root) noexcept {
  root_ = root;
  leave_worker();
  connection_->count_suspended(1);
  if (suspended_mark != nullptr) *suspended_mark = true;
}

void Request::abandon() noexcept {
  if (!root_) return;
  std::exchange(root_, nullptr).destroy();
  connection_->count_suspended(-1);
}

void Request::reset() noexcept {
  if (std::exchange(root_, nullptr)) connection_->count_suspended(-1);
  if (has_stop_source_.load(std::memory_order_relaxed)) {
    has_stop_source_.store(false);
    const std::lock_guard lock(stop_mutex_);
    stop_source_.reset();
  }
  kept_ = 0;
  long_kept_.clear();
  suspended_mark = nullptr;
}

}  // namespace fuselage::session
