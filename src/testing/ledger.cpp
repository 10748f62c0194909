#include "testing/ledger.hpp"

#include <fmt/format.h>

#include <cerrno>

#include "testing/answers.hpp"
#include "testing/rules.hpp"
#include "wire/describe.hpp"
#include "wire/notification.hpp"

namespace fuselage::fake {

std::string Exchange::name() const {
  return fmt::format("{} unique={} ino={}", row != nullptr ? row->name : "(no operation)", unique, ino);
}

std::shared_ptr<Exchange> Ledger::open(std::vector<std::byte> message, const Exchange::Await& await) {
  auto exchange = std::make_shared<Exchange>();
  exchange->ledger = this;
  exchange->await = &await;
  const auto header = wire::copy_out<wire::fuse_in_header>(message);
  const bool trusted = message.size() >= sizeof header && header.len == message.size();
  exchange->unique = header.unique;
  exchange->ino = header.nodeid;
  exchange->row = wire::find_operation(header.opcode);
  exchange->message = std::move(message);
  exchange->wants_answer = trusted && (exchange->row == nullptr || exchange->row->reply != wire::ReplyKind::none);
  exchange->done = !exchange->wants_answer;
  const std::lock_guard lock(mutex_);
  last_unique_ = std::max(last_unique_, header.unique & ~(wire::unique_resend | interrupt_bit));
  if (exchange->wants_answer) waiting_[exchange->unique] = exchange;
  return exchange;
}

int Ledger::receive(const wire::fuse_out_header& header, std::string body) {
  std::unique_lock lock(mutex_);
  if (header.unique == 0) {
    lock.unlock();
    return receive_notification(header, body);
  }
  const auto at = waiting_.find(header.unique);
  if (at == waiting_.end()) {
    if ((header.unique & interrupt_bit) != 0) return receive_interrupt_answer(header, lock);
    lock.unlock();
    violation(fmt::format("an answer to {}, which nobody asked, or was answered before", header.unique));
    return ENOENT;
  }
  const std::shared_ptr<Exchange> exchange = at->second;
  const bool is_lost = next_refusal_ == ENOENT || next_refusal_ == ENODEV;
  if (next_refusal_ != 0 && (is_lost || header.error == 0)) {
    const int refusal = std::exchange(next_refusal_, 0);
    if (is_lost) {
      exchange->done = true;
      exchange->error = refusal;
      waiting_.erase(at);
    }
    return refusal;
  }
  std::string complaint;
  const int code = settle(*exchange, header, std::move(body), complaint);
  if (exchange->done) waiting_.erase(header.unique);
  lock.unlock();
  changed_.notify_all();
  if (!complaint.empty()) violation(complaint);
  return code;
}

// With the lock held.
int Ledger::settle(Exchange& exchange, const wire::fuse_out_header& header, std::string body, std::string& complaint) {
  if (const auto wrong = objection(exchange, header, body, minor_)) {
    complaint = fmt::format("the answer to {} is not one: {}", exchange.name(), *wrong);
    return EINVAL;
  }
  exchange.done = true;
  exchange.error = -header.error;
  exchange.body = std::move(body);
  if (exchange.error == 0 && exchange.row != nullptr) count_entries(exchange);
  return 0;
}

// With the lock held.
void Ledger::count_entries(const Exchange& exchange) {
  const auto count = [this](Ino ino) {
    if (ino != Ino{}) ++lookups_[ino];
  };
  if (exchange.row->reply == wire::ReplyKind::entry || exchange.row->reply == wire::ReplyKind::create) {
    count(Ino{structure<wire::fuse_entry_out>(exchange.body).nodeid});
  } else if (exchange.row->opcode == wire::Opcode::READDIRPLUS) {
    const auto entries = parse_listing(exchange.body, true);
    for (const ListedEntry& entry : entries.value_or(std::vector<ListedEntry>())) {
      if (entry.entry) count(entry.entry->ino);
    }
  }
}

int Ledger::receive_interrupt_answer(const wire::fuse_out_header& header, std::unique_lock<std::mutex>& lock) {
  const std::uint64_t target = header.unique & ~interrupt_bit;
  const bool waits = waiting_.contains(target);
  if (header.error == -EAGAIN) ++refused_interrupts_;
  lock.unlock();
  if (header.error != -EAGAIN && header.error != -EIO) {
    violation(fmt::format("an INTERRUPT was answered {}: only EAGAIN means something", header.error));
  } else if (header.error == -EAGAIN && waits && on_refused_interrupt) {
    on_refused_interrupt(target);
  }
  return waits ? 0 : ENOENT;
}

int Ledger::receive_notification(const wire::fuse_out_header& header, const std::string& body) {
  if (const auto wrong = objection_to_notification(header, body, minor())) {
    violation(fmt::format("a notification is not one: {}", *wrong));
    return EINVAL;
  }
  const std::lock_guard lock(mutex_);
  notifications_.push_back({std::string(wire::find_notification(header.error)->name), body,
                            wire::describe_notification(header, bytes_of(body))});
  changed_.notify_all();
  return notification_code_;
}

void Ledger::close_all() {
  const std::lock_guard lock(mutex_);
  for (const auto& [unique, exchange] : waiting_) {
    exchange->done = true;
    exchange->error = ENODEV;
  }
  waiting_.clear();
  changed_.notify_all();
}

void Ledger::complain_about_unanswered() {
  std::vector<std::shared_ptr<Exchange>> left;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [unique, exchange] : waiting_) left.push_back(exchange);
  }
  for (const auto& exchange : left) violation(fmt::format("{} was never answered", exchange->name()));
}

bool Ledger::is_done(const Exchange& exchange) const {
  const std::lock_guard lock(mutex_);
  return exchange.done;
}

bool Ledger::wait(const Exchange& exchange, std::chrono::nanoseconds limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] { return exchange.done; });
}

void Ledger::violation(const std::string& what) const {
  if (report_) {
    report_(what);
    return;
  }
  fmt::print(stderr, "fake kernel: {}\n", what);
  std::abort();
}

std::uint64_t Ledger::next_unique() {
  constexpr std::uint64_t step = 2;  // the odd ones belong to interrupts
  const std::lock_guard lock(mutex_);
  return last_unique_ += step;
}

void Ledger::forget(Ino ino, std::uint64_t count) {
  std::uint64_t known = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto at = lookups_.find(ino);
    known = at != lookups_.end() ? at->second : 0;
    if (at != lookups_.end() && (at->second -= std::min(at->second, count)) == 0) lookups_.erase(at);
  }
  if (count > known) {
    violation(fmt::format("the test forgets {} lookups of node {}, which has {}", count,
                          static_cast<std::uint64_t>(ino), known));
  }
}

std::map<Ino, std::uint64_t> Ledger::lookups() const {
  const std::lock_guard lock(mutex_);
  return lookups_;
}

std::vector<Notified> Ledger::take_notifications() {
  const std::lock_guard lock(mutex_);
  return std::exchange(notifications_, {});
}

void Ledger::answer_notifications(int code) {
  const std::lock_guard lock(mutex_);
  notification_code_ = code;
}

void Ledger::refuse_next_answer(int code) {
  const std::lock_guard lock(mutex_);
  next_refusal_ = code;
}

std::uint64_t Ledger::refused_interrupts() const {
  const std::lock_guard lock(mutex_);
  return refused_interrupts_;
}

unsigned Ledger::minor() const {
  const std::lock_guard lock(mutex_);
  return minor_;
}

void Ledger::agree(unsigned minor) {
  const std::lock_guard lock(mutex_);
  minor_ = minor;
}

}  // namespace fuselage::fake

namespace fuselage {

std::uint64_t PendingRequest::unique() const noexcept { return exchange_->unique; }

bool PendingRequest::answered() const { return exchange_->ledger->is_done(*exchange_); }

int PendingRequest::code() const {
  if (!answered()) (*exchange_->await)(*exchange_);
  return answered() ? exchange_->error : ETIMEDOUT;
}

const std::string& PendingRequest::body() const {
  static_cast<void>(code());
  return exchange_->body;
}

std::string PendingRequest::to_string() const {
  if (!answered()) return exchange_->name() + ": not answered";
  wire::fuse_out_header header{};
  header.len = static_cast<std::uint32_t>(sizeof header + exchange_->body.size());
  header.error = -exchange_->error;
  header.unique = exchange_->unique;
  if (exchange_->row == nullptr) return fmt::format("{}: error {}", exchange_->name(), exchange_->error);
  return exchange_->name() + ": " +
         wire::describe_reply(exchange_->row->opcode, header, bytes_of(std::string_view(exchange_->body)));
}

}  // namespace fuselage
