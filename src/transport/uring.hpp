// FUSE over io_uring: one lane for each CPU, whose requests are received, handled and answered by one thread there.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/buffer.hpp"
#include "transport/channel.hpp"
#include "transport/cpus.hpp"
#include "transport/ring.hpp"

namespace fuselage::transport {

class Uring;

/// One ring, and the queues of the kernel that it serves: that of its CPU, and perhaps some of CPUs where none of our
/// threads may run.
///
/// `receive` is called by the thread that has attached itself, the owner. While the owner is in a handler another
/// thread may attach itself instead; the former owner finds out at its next step and is told so by a `woken`. So each
/// completion is seen by exactly one of them, and only the owner ever touches the ring. Answers of other threads are
/// left in an inbox for the owner, who is woken for it at most once. Owners are woken by an empty completion, and the
/// wake signal stays blocked.
class UringLane final : public Channel {
 public:
  /// Throws `std::system_error`.
  UringLane(Uring& uring, std::vector<unsigned> cpus);
  ~UringLane() override = default;

  Received receive(Slot& spare) noexcept override;
  int send(Slot& slot, const wire::fuse_out_header& header, std::span<const ::iovec> body) noexcept override;
  void release(Slot& slot) noexcept override;
  int notify(const wire::fuse_out_header& header, std::span<const ::iovec> body) noexcept override;
  void wake(::pthread_t reader) noexcept override;
  void attach() noexcept override;
  void detach() noexcept override;
  Result<std::int32_t> open_backing(int fd) noexcept override;
  Result<void> close_backing(std::int32_t id) noexcept override;
  const char* name() const noexcept override { return "io_uring"; }

  /// Where the calling thread may run when it is not tied to a lane; empty if it is not tied.
  static CpuMask home_of_this_thread();

 private:
  friend class Uring;
  struct Seat;

  // The caretaker at a ring that nobody else sits at.
  class Visit {
   public:
    explicit Visit(UringLane& lane) noexcept;
    ~Visit();
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
    explicit operator bool() const noexcept { return owner_ == 0; }

   private:
    UringLane& lane_;
    std::uintptr_t owner_ = 0;  // who sits there instead
  };

  // One of the kernel's queues, by the number of its CPU.
  struct Queue {
    std::uint16_t id = 0;
    std::size_t entries = 0;  // that live
    std::size_t held = 0;     // by requests that are not answered
  };
  // Memory that the kernel puts a request into, and we its answer.
  struct Entry {
    base::Buffer memory;
    ::iovec parts[2] = {};
    Queue* queue = nullptr;
    std::uint64_t commit_id = 0;
    Entry* next = nullptr;  // in the inbox
  };

  static Seat& seat() noexcept;
  bool enter() noexcept;
  void leave() noexcept;
  void ring_bell() noexcept;
  void seat_down(Seat& own) noexcept;

  void add_entries(Queue& queue, std::size_t count);
  void grow(Queue& queue) noexcept;
  void fetch_one(const Queue& queue) noexcept;
  bool fetch_by(const UringLane& lane) noexcept;
  static void conclude(Entry& entry, const wire::fuse_out_header& header, std::size_t size) noexcept;
  void hand_in(Entry& entry) noexcept;
  void commit(Entry& entry) noexcept;
  void collect() noexcept;
  void look_in() noexcept;
  enum class Next { message, woken, none };
  Next take_next(Slot& spare) noexcept;
  void fill(Slot& slot, Entry& entry) noexcept;
  int submit(unsigned wait_for = 0) noexcept;
  void prepare(wire::UringCommand command, const Queue& queue, Entry* entry) noexcept;
  void nudge() noexcept;
  Result<void> first_failure() noexcept;

  Uring& uring_;
  const std::vector<unsigned> cpus_;
  const CpuMask mask_;
  Ring ring_;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::uint64_t fetches_ = 0;
  std::atomic<std::uint64_t> file_{0};  // the node of one that was asked about; 0: none yet

  std::atomic<std::uintptr_t> owner_{0};  // its seat; the lowest bit says that it is at the ring just now
  std::atomic<Entry*> inbox_{nullptr};    // answered by others, the newest first
  std::atomic<bool> nudged_{false};       // the owner was woken for the inbox and has not looked yet
};

/// All lanes of a connection, and the thread that looks after them while nobody else does. Create it before INIT is
/// answered, for from that answer on the kernel waits for the rings; the threads that were attached must have ended
/// before it is destroyed.
class Uring {
 public:
  struct Options {
    std::size_t depth = 8;      ///< Requests of one CPU under way at once before a queue grows.
    std::size_t max_lanes = 1;  ///< Threads to serve with, at least 1.
    bool copies = false;        ///< Copy requests out of the ring, so that they outlive their answer.
  };

  /// Finds out whether the kernel and this process can do it. EOPNOTSUPP with a message that says why not.
  static Result<std::unique_ptr<Uring>> create(int device, Channel& classic, const Options& options);
  ~Uring();

  /// After INIT was answered: gives the kernel the memory for requests of up to `max_write` bytes of data. If it fails
  /// the kernel goes on with the device.
  Result<void> open(std::uint32_t max_write);

  /// The connection is over: nobody looks after the lanes any more.
  void retire() noexcept;

  const std::vector<std::unique_ptr<UringLane>>& lanes() const noexcept { return lanes_; }
  /// The smallest `max_write` that can be served: the kernel has no room in an entry for more than that, but sends
  /// extended attributes of 64 KiB whatever was agreed on.
  static constexpr std::uint32_t smallest_max_write = 1u << 17;
  /// How much address space the entries of all queues may take before they grow.
  static constexpr std::size_t most_memory = std::size_t{1} << 30;

 private:
  friend class UringLane;

  Uring(int device, Channel& classic, const Options& options);
  using Job = Result<void> (Uring::*)();

  Result<void> set_up();
  Result<void> probe();
  Result<void> add_all_entries();
  Result<void> refuse();
  Result<void> on_caretaker(Job job);
  void look_after() noexcept;
  void call_caretaker() noexcept;

  const int device_;
  Channel& classic_;
  const Options options_;
  const CpuMask home_;
  const std::string thread_name_;  // tells whose rings the thread serves
  std::size_t payload_size_ = 0;
  std::size_t entries_per_queue_ = 0;
  std::vector<std::unique_ptr<UringLane>> lanes_;
  std::unique_ptr<RingBell> bell_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool over_ = false;    // guarded by mutex_
  bool called_ = false;  // guarded by mutex_
  Job job_ = nullptr;    // guarded by mutex_
  Result<void> done_;    // guarded by mutex_: what came of the job
  std::thread caretaker_;
};

}  // namespace fuselage::transport
