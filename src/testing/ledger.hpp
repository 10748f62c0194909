// What the fake kernel has asked and was told: it judges every answer as the kernel would.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <fuselage/testing/fake_kernel.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "wire/decoder.hpp"
#include "wire/operations.hpp"

namespace fuselage::fake {

class Ledger;

/// One message to the session, and its answer. The ledger's mutex guards what changes.
class Exchange {
 public:
  /// Gets the answer, however this kernel gets answers; gives up when there is none to be had.
  using Await = std::function<void(Exchange&)>;

  std::uint64_t unique = 0;
  std::uint64_t ino = 0;
  const wire::OperationRow* row = nullptr;  // null: no such operation
  std::vector<std::byte> message;
  bool wants_answer = false;
  bool done = false;  // answered, or nobody waits any more
  int error = 0;
  std::string body;
  Ledger* ledger = nullptr;
  const Await* await = nullptr;

  /// The fixed structure as it was sent.
  template <class T>
  T arguments() const {
    return wire::copy_out<T>(Bytes(message).subspan(std::min(message.size(), sizeof(wire::fuse_in_header))));
  }
  std::string name() const;
};

/// Thread-safe.
class Ledger {
 public:
  explicit Ledger(std::function<void(const std::string&)> report) : report_(std::move(report)) {}

  /// Writes a message down before it is sent. A message whose header cannot be trusted is not expected to be answered.
  std::shared_ptr<Exchange> open(std::vector<std::byte> message, const Exchange::Await& await);

  /// Takes what the session sent; the errno that the kernel would give it.
  int receive(const wire::fuse_out_header& header, std::string body);

  /// What nobody will answer any more is done with.
  void close_all();
  /// Complains about every request that was not answered.
  void complain_about_unanswered();

  bool is_done(const Exchange& exchange) const;
  /// Waits for another thread to deliver the answer.
  bool wait(const Exchange& exchange, std::chrono::nanoseconds limit);
  void violation(const std::string& what) const;

  std::uint64_t next_unique();
  void forget(Ino ino, std::uint64_t count);
  std::map<Ino, std::uint64_t> lookups() const;
  std::vector<Notified> take_notifications();

  void answer_notifications(int code);
  void refuse_next_answer(int code);

  /// For INTERRUPT: did the session find its request?
  std::uint64_t refused_interrupts() const;

  unsigned minor() const;
  void agree(unsigned minor);
  /// Told, without the lock, of interrupts that came too early: the kernel sends them again.
  std::function<void(std::uint64_t unique)> on_refused_interrupt;

 private:
  int receive_notification(const wire::fuse_out_header& header, const std::string& body);
  int receive_interrupt_answer(const wire::fuse_out_header& header, std::unique_lock<std::mutex>& lock);
  int settle(Exchange& exchange, const wire::fuse_out_header& header, std::string body, std::string& complaint);
  void count_entries(const Exchange& exchange);

  const std::function<void(const std::string&)> report_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, std::shared_ptr<Exchange>> waiting_;
  std::uint64_t last_unique_ = 0;
  std::map<Ino, std::uint64_t> lookups_;
  std::vector<Notified> notifications_;
  std::uint64_t refused_interrupts_ = 0;
  int notification_code_ = 0;
  int next_refusal_ = 0;
  unsigned minor_ = wire::kernel_minor;
};

}  // namespace fuselage::fake
