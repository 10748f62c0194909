// An io_uring for the I/O that coroutine handlers wait for.
#pragma once

#include <liburing.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/unique_fd.hpp"
#include "session/executor.hpp"

namespace fuselage::session {

/// One ring and one thread, which submits what it is given and tells each operation its result. The ring belongs to
/// that thread alone, for the kernel takes back what a thread has submitted when it ends, as workers do.
class IoRing {
 public:
  /// Throws `std::system_error` where io_uring cannot be had.
  IoRing();
  /// After `drain`.
  ~IoRing();
  IoRing(const IoRing&) = delete;
  IoRing& operator=(const IoRing&) = delete;

  /// `operation.done` will be called once, on the ring's thread. From any thread.
  void submit(IoOperation& operation);
  /// Asks the kernel to give an operation up; `done` is called all the same. From any thread.
  void cancel(const IoOperation& operation) noexcept;
  /// Waits until nothing is under way.
  void drain() noexcept;

 private:
  struct Order {
    IoOperation* operation = nullptr;  // null: cancel number
    std::uint64_t number = 0;
  };

  bool set_up() noexcept;
  void serve() noexcept;
  void prepare(const Order& order) noexcept;
  void listen() noexcept;
  ::io_uring_sqe& next_entry() noexcept;
  void give(Order order);
  void complete(std::uint64_t number, int result) noexcept;

  base::UniqueFd bell_;
  std::uint64_t rings_ = 0;  // what is read from bell_
  ::io_uring ring_{};
  std::unordered_map<std::uint64_t, IoOperation*> submitted_;  // of the ring's thread

  std::mutex mutex_;
  std::condition_variable idle_;
  std::vector<Order> orders_;      // guarded by mutex_
  std::uint64_t last_number_ = 0;  // guarded by mutex_
  std::size_t under_way_ = 0;      // guarded by mutex_
  std::optional<int> set_up_;      // guarded by mutex_: whether that failed, as soon as it is known
  bool over_ = false;              // guarded by mutex_
  std::thread thread_;
};

}  // namespace fuselage::session
