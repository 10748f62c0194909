#include "session/connection.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "session/negotiate.hpp"
#include "session/notification_queue.hpp"
#include "session/transport_choice.hpp"
#include "wire/decoder.hpp"
#include "wire/encoder.hpp"

namespace fuselage::session {

using wire::Missing;
using wire::Opcode;

Connection::Connection(Handler& handler, transport::Channel& channel, const SessionOptions& options)
    : handler_(handler),
      channel_(channel),
      options_(options),
      implemented_(handler.implemented()),
      notifications_(std::make_shared<detail::NotificationQueue>(channel)) {}

Connection::~Connection() { end(); }

bool Connection::admit(Request& request, Counters& counters) noexcept {
  const wire::OperationRow* row = wire::find_operation(request.header().opcode);
  if (row == nullptr) {
    // ENOSYS is what the kernel expects for what a server has never heard of.
    count_malformed();
    request.channel->send(request, wire::error_header(request.header().unique, ENOSYS), {});
    return false;
  }
  if (!accept(request, *row)) return false;
  request.begin(*row, counters);
  return true;
}

bool Connection::serve(Request& request) noexcept {
  const wire::OperationRow& row = request.row();
  const std::size_t index = wire::index_of(row.opcode);
  bool suspended = false;
  if (is_own(request)) {
    serve_own(request);
  } else if (refuses(request)) {
    request.fail(Error{EACCES});
  } else if (!implemented_.contains(static_cast<std::uint32_t>(row.opcode))) {
    serve_missing(request);
  } else {
    request.suspended_mark = &suspended;
    handler_.functions[index](handler_, request);
    if (suspended) return false;
    if (!request.is_answered()) {
      base::log(LogLevel::error, "{} ino={} unique={}: EIO (the handler did not answer)", row.name,
                request.header().nodeid, request.header().unique);
      request.fail(Error{EIO});
    }
  }
  request.reset();
  return true;
}

bool Connection::is_own(const Request& request) const noexcept {
  return handler_.functions[wire::index_of(request.row().opcode)] == nullptr;
}

// `allow_root`: the kernel knows only "everybody", so the others are kept out here. What closes and forgets is let in.
bool Connection::refuses(const Request& request) const noexcept {
  const ::uid_t uid = request.context().uid;
  if (!options_.only_root_and || uid == 0 || uid == *options_.only_root_and) return false;
  return !request.row().is_farewell();
}

// Checks length and state. A message that cannot be right is answered EIO if its header can be trusted that far, never
// ENOSYS, which the kernel would remember.
bool Connection::accept(Request& request, const wire::OperationRow& row) noexcept {
  const State state = this->state();
  const bool in_order = row.opcode == first() ? state == State::fresh : state == State::ready;
  const auto arranged = wire::arrange(request.message, row, agreement_.minor, agreement_.flags);
  if (in_order && arranged) return true;
  count_malformed();
  base::log(LogLevel::warning, "{} unique={}: refused ({})", row.name, request.header().unique,
            in_order ? arranged.error().message() : std::string("not at this point of the connection"));
  if (row.reply != wire::ReplyKind::none) {
    request.channel->send(request, wire::error_header(request.header().unique, EIO), {});
  } else {
    request.channel->release(request);
  }
  return false;
}

Opcode Connection::first() const noexcept { return options_.character_device ? Opcode::CUSE_INIT : Opcode::INIT; }

void Connection::serve_own(Request& request) noexcept {
  switch (request.row().opcode) {
    case Opcode::INIT:
    case Opcode::CUSE_INIT:
      if (request.row().opcode != first()) {
        request.fail(Error{EIO});  // the other kind of connection
      } else if (options_.character_device) {
        serve_device_init(request);
      } else {
        serve_init(request);
      }
      return;
    case Opcode::INTERRUPT:
      interrupt(request);
      request.finish();
      return;
    case Opcode::NOTIFY_REPLY: {
      const auto in = wire::copy_out<wire::fuse_notify_retrieve_in>(request.message.arguments);
      notifications_->retrieved(
          request.header().unique, in.offset,
          request.message.payload.first(std::min<std::size_t>(in.size, request.message.payload.size())));
      request.finish();
      return;
    }
    case Opcode::DESTROY:
      request.answer();
      return;
    default:
      request.fail(Error{EIO});
      return;
  }
}

void Connection::serve_missing(Request& request) noexcept {
  switch (request.row().missing) {
    case Missing::enosys:
      request.fail(Error{ENOSYS});
      return;
    case Missing::eperm:
      request.fail(Error{EPERM});
      return;
    case Missing::enoent:
      request.fail(Error{ENOENT});
      return;
    case Missing::enotty:
      request.fail(Error{ENOTTY});
      return;
    case Missing::open: {
      const bool is_file = request.row().opcode == Opcode::OPEN;
      const auto capability = is_file ? wire::Capability::NO_OPEN_SUPPORT : wire::Capability::NO_OPENDIR_SUPPORT;
      const auto release = is_file ? Opcode::RELEASE : Opcode::RELEASEDIR;
      // Once told ENOSYS the kernel does not ask for the release either (fuse_file_put).
      if (wire::has(agreement_.flags, capability) && !implemented_.contains(static_cast<std::uint32_t>(release))) {
        request.fail(Error{ENOSYS});
      } else {
        request.answer(wire::fuse_open_out{});
      }
      return;
    }
    case Missing::statfs: {
      wire::fuse_statfs_out out{};
      out.st.namelen = 255;
      out.st.bsize = out.st.frsize = 4096;
      request.answer(out);
      return;
    }
    case Missing::success:
      request.answer();
      return;
    case Missing::drop:
      request.finish();
      return;
  }
}

void Connection::serve_init(Request& request) noexcept try {
  Negotiation negotiation;
  const auto in = wire::copy_out<wire::fuse_init_in>(request.message.arguments);
  if (in.major > wire::kernel_major) {
    // The kernel asks again with our major version (fuse_send_init).
    wire::fuse_init_out out{};
    out.major = wire::kernel_major;
    out.minor = wire::kernel_minor;
    request.answer(out);
    return;
  }
  if (!speaks(in.major, in.minor)) {
    request.fail(Error{EPROTO});
    return;
  }
  propose(negotiation, in, options_, implemented_);
  agreement_.minor = negotiation.minor;
  negotiation.notifier = Notifier(notifications_);
  if (const Result<void> initialised = handler_.init(negotiation); !initialised) {
    request.fail(Error{EIO});
    fail(initialised.error());
    return;
  }
  const Result<wire::fuse_init_out> agreed = agree_with(negotiation);
  if (!agreed) {
    request.fail(Error{EIO});
    fail(agreed.error());
    return;
  }
  const wire::fuse_init_out& out = *agreed;
  notifications_->begin(agreement_.minor);
  state_.store(State::ready, std::memory_order_release);
  const ::iovec part{const_cast<wire::fuse_init_out*>(&out), wire::init_out_size(agreement_.minor)};
  if (!request.answer(std::span(&part, 1))) fail(Error{ENODEV, "unmounted before it was ready"});
} catch (...) {
  request.fail(Error{EIO});
  fail(error_of_current_exception());
}

// The session fails if not.
bool Connection::speaks(std::uint32_t major, std::uint32_t minor) noexcept {
  if (major >= wire::kernel_major && minor >= wire::oldest_minor) return true;
  fail(Error{EPROTO, fmt::format("the kernel speaks FUSE {}.{}, but at least {}.{} is needed: use a newer kernel",
                                 major, minor, wire::kernel_major, wire::oldest_minor)});
  return false;
}

void Connection::serve_device_init(Request& request) noexcept try {
  constexpr std::size_t most_information = 4096;  // CUSE_INIT_INFO_MAX of the kernel
  const auto in = wire::copy_out<wire::cuse_init_in>(request.message.arguments);
  if (!speaks(in.major, in.minor)) {
    request.fail(Error{EPROTO});
    return;
  }
  const CharacterDevice& device = *options_.character_device;
  std::string information;
  for (const std::string& line : device.information) information.append(line.c_str(), line.size() + 1);
  if (information.size() > most_information) {
    request.fail(Error{EIO});
    fail(Error{EINVAL, fmt::format("the information about the device takes {} bytes, {} are the most",
                                   information.size(), most_information)});
    return;
  }
  Negotiation negotiation;
  propose(negotiation, in, options_);
  negotiation.notifier = Notifier(notifications_);
  if (const Result<void> initialised = handler_.init(negotiation); !initialised) {
    request.fail(Error{EIO});
    fail(initialised.error());
    return;
  }
  wire::cuse_init_out out = agree_on_device(negotiation, options_, agreement_);
  notifications_->begin(agreement_.minor);
  state_.store(State::ready, std::memory_order_release);
  const ::iovec parts[] = {{&out, sizeof out}, {information.data(), information.size()}};
  if (!request.answer(std::span(parts))) {
    fail(Error{ENODEV, "the device was closed before it was ready"});
  } else if (device.announced) {
    device.announced();
  }
} catch (...) {
  request.fail(Error{EIO});
  fail(error_of_current_exception());
}

// The answer to INIT, and what follows from it.
Result<wire::fuse_init_out> Connection::agree_with(Negotiation& negotiation) {
  wire::fuse_init_out out = agree(negotiation, options_, agreement_);
  bool ring = wire::has(agreement_.flags, wire::Capability::OVER_IO_URING);
  if (transport_choice_ != nullptr) {
    const auto prepared = transport_choice_->prepare(ring, agreement_.max_write);
    if (!prepared) return prepared.error();
    ring = *prepared;
  } else {
    ring = false;
  }
  if (!ring) agreement_.flags &= ~wire::bit(wire::Capability::OVER_IO_URING);
  out.flags2 = static_cast<std::uint32_t>(agreement_.flags >> 32);
  if (wire::has(agreement_.flags, wire::Capability::WRITEBACK_CACHE)) {
    // The kernel asks without writing back first (fuse_lseek), so the file system would answer for an older, perhaps
    // shorter file. Without an answer the kernel takes the whole file for data.
    constexpr auto lseek = std::uint64_t{1} << static_cast<unsigned>(Opcode::LSEEK);
    implemented_ = OperationSet(implemented_.bits() & ~lseek);
  }
  return out;
}

void Connection::fail(Error error) noexcept {
  const std::lock_guard lock(mutex_);
  failure_ = std::move(error);
  state_.store(State::failed, std::memory_order_release);
}

Error Connection::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_.value_or(Error{EIO});
}

void Connection::interrupt(Request& request) noexcept {
  const auto target = wire::copy_out<wire::fuse_interrupt_in>(request.message.arguments).unique;
  if (interrupt(target, &request)) return;
  // Another thread has read the request but not begun it, or has just answered it. EAGAIN makes the kernel send the
  // interrupt again as long as the request is not answered (fuse_dev_do_write). It does not look among the requests of
  // the rings, so that for these the interrupt is kept.
  if (transport_choice_ != nullptr && transport_choice_->uring() != nullptr) {
    const std::lock_guard lock(mutex_);
    early_.push_back({target, Executor::Clock::now()});
    return;
  }
  request.channel->send(request, wire::error_header(request.header().unique, EAGAIN), {});
}

// `bearer`: the request that is the INTERRUPT itself.
bool Connection::interrupt(std::uint64_t target, const Request* bearer) noexcept {
  Request* found = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto is_target = [&](const auto& other) { return other.get() != bearer && other->unanswered() == target; };
    if (const auto at = std::find_if(requests_.begin(), requests_.end(), is_target); at != requests_.end()) {
      found = at->get();
    }
  }
  // Request objects live as long as the connection, so this one may have ended meanwhile but is still there.
  if (found == nullptr || !found->interrupt(target)) return false;
  interrupts_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool Connection::look_for_interrupts(Executor::Clock::time_point now) noexcept {
  constexpr std::chrono::seconds kept(2);         // what is not found by then was answered long ago
  constexpr std::chrono::milliseconds quick(20);  // who is answered sooner need not be looked at
  std::vector<EarlyInterrupt> early;
  std::vector<std::pair<Request*, std::uint64_t>> slow;
  bool again = false;
  {
    const std::lock_guard lock(mutex_);
    early.swap(early_);
    for (const auto& request : requests_) {
      const std::uint64_t unique = request->unanswered();
      if (unique == 0 || request->was_examined(unique)) continue;
      if (request->age() < quick) {
        again = true;
      } else {
        slow.emplace_back(request.get(), unique);
      }
    }
  }
  for (const auto& [request, unique] : slow) {
    if (request->examine(unique)) interrupt(unique, nullptr);
  }
  std::erase_if(early,
                [&](const EarlyInterrupt& one) { return now - one.since > kept || interrupt(one.unique, nullptr); });
  const std::lock_guard lock(mutex_);
  early_.insert(early_.end(), early.begin(), early.end());
  return again || !early_.empty();
}

void Connection::stop() noexcept {
  stopping_.store(true, std::memory_order_release);
  std::vector<Request*> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& request : requests_) all.push_back(request.get());
  }
  for (Request* request : all) request->stop();
}

void Connection::end() noexcept {
  notifications_->end();
  const State before = state_.exchange(State::ended);
  for (const auto& request : requests_) {
    if (!request->is_suspended()) continue;
    base::log(LogLevel::error, "{} ino={} unique={}: EIO (the session ended while its handler was waiting)",
              request->row().name, request->header().nodeid, request->header().unique);
    request->fail(Error{EIO});
    request->abandon();
  }
  if (before == State::ready) handler_.destroy();
}

Request& Connection::acquire() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) {
    requests_.push_back(std::make_unique<Request>(*this, transport::Channel::slot_size(options_.max_write)));
    free_.reserve(requests_.size());
    return *requests_.back();
  }
  Request* request = free_.back();
  free_.pop_back();
  return *request;
}

void Connection::recycle(Request& request) noexcept {
  request.reset();
  const std::lock_guard lock(mutex_);
  // What a burst of large requests has touched is given back; the next few messages find warm memory.
  constexpr std::size_t kept_warm = 8;
  if (free_.size() >= kept_warm) request.release_memory();
  free_.push_back(&request);
}

bool Connection::expire_requests(Executor::Clock::time_point now) noexcept {
  const std::lock_guard lock(mutex_);
  bool under_way = false;
  for (const auto& request : requests_) {
    if (request->is_answered()) continue;
    if (request->expire(options_.deadline, now)) {
      deadlines_.fetch_add(1, std::memory_order_relaxed);
    } else {
      under_way = true;
    }
  }
  return under_way;
}

std::vector<std::string> Connection::under_way(std::chrono::nanoseconds age) const {
  std::vector<std::string> lines;
  const std::lock_guard lock(mutex_);
  for (const auto& request : requests_) {
    const std::uint64_t unique = request->unanswered();
    const auto took = request->age();
    if (unique == 0 || took < age) continue;
    lines.push_back(fmt::format("{} ino={} unique={} pid={} for {:.1f} s", request->row().name,
                                request->header().nodeid, unique, request->context().pid,
                                std::chrono::duration<double>(took).count()));
  }
  return lines;
}

Counters& Connection::new_counters() {
  const std::lock_guard lock(mutex_);
  return *shards_.emplace_back(std::make_unique<Counters>(Counters::Writers::one));
}

Statistics Connection::statistics() const {
  Statistics statistics;
  {
    const std::lock_guard lock(mutex_);
    add(statistics, shared_counters_);
    for (const auto& shard : shards_) add(statistics, *shard);
  }
  std::erase_if(statistics.operations, [](const OperationStatistics& operation) { return operation.count == 0; });
  statistics.notifications = notifications_->sent();
  statistics.interrupts = interrupts_.load(std::memory_order_relaxed);
  statistics.deadlines = deadlines_.load(std::memory_order_relaxed);
  statistics.malformed = malformed_.load(std::memory_order_relaxed);
  statistics.transport = channel_.name();
  return statistics;
}

}  // namespace fuselage::session
