#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/log.hpp"
#include "transport/uring.hpp"
#include "transport/wake_signal.hpp"
#include "wire/notification.hpp"

namespace fuselage::transport {
namespace {

constexpr unsigned submissions = 128;
constexpr unsigned completions = 1024;
// Answers wait for the end of this many requests at most, when more requests are there already.
constexpr unsigned batch = 8;
constexpr std::uintptr_t at_the_ring = 1;

constexpr std::size_t header_room = Channel::page;

::sigset_t wake_signal_only() noexcept {
  ::sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, wake_signal());
  return set;
}

// What `fetch_one` asks for has numbers of its own, below those of the session's retrievals and even, as all are.
constexpr std::uint64_t first_fetch = std::uint64_t{1} << 61;
constexpr bool is_fetch(std::uint64_t unique) noexcept { return unique >> 61 == 1; }

// Those that are only about files: the kernel has nothing else in its page cache that it could be asked about.
constexpr bool is_about_file(std::uint32_t opcode) noexcept {
  return opcode == static_cast<std::uint32_t>(wire::Opcode::OPEN) ||
         opcode == static_cast<std::uint32_t>(wire::Opcode::READ) ||
         opcode == static_cast<std::uint32_t>(wire::Opcode::WRITE);
}

// That nothing has to be said to a message.
wire::fuse_out_header done(const Slot& slot) noexcept {
  return {sizeof(wire::fuse_out_header), 0, slot.header_copy.unique};
}

}  // namespace

// What a thread has while it is attached to a lane.
struct alignas(8) UringLane::Seat {
  UringLane* lane = nullptr;
  int registered = -1;

  std::uintptr_t token() const noexcept { return reinterpret_cast<std::uintptr_t>(this); }
};

UringLane::Seat& UringLane::seat() noexcept {
  thread_local Seat seat;
  return seat;
}

UringLane::UringLane(Uring& uring, std::vector<unsigned> cpus)
    : uring_(uring), cpus_(std::move(cpus)), mask_(CpuMask::of(cpus_)), ring_(submissions, completions) {}

// Takes the ring for a moment; false if another thread is the owner.
bool UringLane::enter() noexcept {
  const Seat& own = seat();
  if (own.lane != this) return false;
  std::uintptr_t expected = own.token();
  return owner_.compare_exchange_strong(expected, own.token() | at_the_ring, std::memory_order_acq_rel);
}

void UringLane::leave() noexcept { owner_.store(seat().token(), std::memory_order_release); }

void UringLane::attach() noexcept {
  Seat& own = seat();
  if (own.lane != nullptr && own.lane != this) own.lane->detach();
  for (bool has_rung = false;;) {
    std::uintptr_t owner = owner_.load(std::memory_order_acquire);
    if (owner == own.token()) return;
    if ((owner & at_the_ring) == 0) {
      if (owner_.compare_exchange_weak(owner, own.token(), std::memory_order_seq_cst)) break;
      continue;
    }
    if (!std::exchange(has_rung, true)) ring_bell();
    const ::timespec moment{0, 50'000};
    ::nanosleep(&moment, nullptr);
  }
  if (own.lane != this) seat_down(own);
  // What the one before us has finished.
  if (enter()) {
    collect();
    if (ring_.prepared() != 0) submit();
    leave();
  }
}

void UringLane::seat_down(Seat& own) noexcept {
  own.lane = this;
  ::pthread_setname_np(::pthread_self(), uring_.thread_name_.c_str());
  own.registered = ring_.register_for_thread();
  const ::sigset_t signal = wake_signal_only();
  ::pthread_sigmask(SIG_BLOCK, &signal, nullptr);
  mask_.apply();
}

void UringLane::detach() noexcept {
  Seat& own = seat();
  if (own.lane != this) return;
  if (enter()) {
    collect();
    if (ring_.prepared() != 0) submit();
    owner_.store(0, std::memory_order_seq_cst);
  }
  ring_.unregister_for_thread(own.registered);
  own.registered = -1;
  own.lane = nullptr;
  uring_.home_.apply();
  const ::sigset_t signal = wake_signal_only();
  ::pthread_sigmask(SIG_UNBLOCK, &signal, nullptr);
  // What somebody has left for us after we looked.
  if (inbox_.load(std::memory_order_seq_cst) != nullptr || nudged_.load(std::memory_order_seq_cst))
    uring_.call_caretaker();
}

void UringLane::wake(::pthread_t /*reader*/) noexcept { ring_bell(); }

void UringLane::ring_bell() noexcept { uring_.bell_->ring(ring_); }

// Somebody has to look into the inbox: the owner, or where there is none, the caretaker.
void UringLane::nudge() noexcept {
  if (nudged_.exchange(true, std::memory_order_seq_cst)) return;
  if (owner_.load(std::memory_order_seq_cst) != 0) {
    ring_bell();
  } else {
    uring_.call_caretaker();
  }
}

Received UringLane::receive(Slot& spare) noexcept {
  using Kind = Received::Kind;
  if (!enter()) return {};
  Received received;
  for (bool waits = true; waits;) {
    collect();
    switch (take_next(spare)) {
      case Next::message:
        received = {Kind::message, &spare, 0};
        waits = false;
        break;
      case Next::woken:
        if (ring_.prepared() != 0) submit();
        waits = false;
        break;
      case Next::none:
        const int error = submit(1);
        if (error == 0 || error == EINTR || error == EAGAIN || error == EBUSY) break;
        received = {Kind::failed, nullptr, error};
        waits = false;
    }
  }
  leave();
  return received;
}

// The next message, if one is there. What the kernel takes back is buried: it does so when the connection ends, which
// the reader of the device is told with its reason, and when a thread that has submitted ends.
UringLane::Next UringLane::take_next(Slot& spare) noexcept {
  while (::io_uring_cqe* const completed = ring_.peek()) {
    auto* const entry = static_cast<Entry*>(::io_uring_cqe_get_data(completed));
    const int result = completed->res;
    ring_.consume();
    if (entry == nullptr) return Next::woken;
    if (result < 0) {
      --entry->queue->entries;
      continue;
    }
    ++entry->queue->held;
    fill(spare, *entry);
    if (is_fetch(spare.header_copy.unique)) {
      conclude(*entry, done(spare), 0);
      commit(*entry);
      continue;
    }
    if (is_about_file(spare.header_copy.opcode)) file_.store(spare.header_copy.nodeid, std::memory_order_relaxed);
    grow(*entry->queue);
    if (ring_.prepared() >= batch) submit();
    return Next::message;
  }
  return Next::none;
}

void UringLane::fill(Slot& slot, Entry& entry) noexcept {
  const auto* const head = reinterpret_cast<const wire::fuse_uring_req_header*>(entry.memory.bytes().data());
  std::span<std::byte> payload = entry.memory.bytes().subspan(header_room);
  std::memcpy(&slot.header_copy, head->in_out, sizeof slot.header_copy);
  entry.commit_id = head->ring_ent_in_out.commit_id;
  const std::size_t size = std::min<std::size_t>(head->ring_ent_in_out.payload_sz, payload.size());
  std::span<const std::byte> arguments(reinterpret_cast<const std::byte*>(head->op_in), wire::uring_op_size);
  if (uring_.options_.copies) {
    std::memcpy(slot.buffer.data(), arguments.data(), arguments.size());
    std::memcpy(slot.buffer.data() + header_room, payload.data(), size);
    arguments = slot.buffer.first(arguments.size());
    payload = slot.buffer.subspan(header_room);
  }
  std::atomic_ref<Channel*>(slot.channel).store(this, std::memory_order_relaxed);
  slot.message = {&slot.header_copy, arguments, payload.first(size), {}, false};
  // The arguments of this one are in front of its payload (fuse_retrieve, fuse_set_zero_arg0).
  if (slot.header_copy.opcode == static_cast<std::uint32_t>(wire::Opcode::NOTIFY_REPLY)) {
    slot.message = {&slot.header_copy, payload.first(size), {}, {}, true};
  }
  // What came with the request stays where it is until the answer takes its place.
  slot.reply_buffer = payload.subspan(std::min(payload.size(), (size + page - 1) / page * page));
  std::atomic_ref(slot.place).store(&entry, std::memory_order_relaxed);
}

int UringLane::send(Slot& slot, const wire::fuse_out_header& header, std::span<const ::iovec> body) noexcept {
  auto* const entry = static_cast<Entry*>(slot.place);
  const std::span<std::byte> payload = entry->memory.bytes().subspan(header_room);
  std::size_t end = 0;
  for (const ::iovec& part : body) end += part.iov_len;
  if (end > uring_.payload_size_) return EMSGSIZE;
  conclude(*entry, header, end);
  // From the back: what was built in the entry itself moves away from where the parts before it go.
  for (std::size_t i = body.size(); i-- > 0;) {
    const ::iovec& part = body[i];
    end -= part.iov_len;
    if (part.iov_len != 0 && part.iov_base != payload.data() + end) {
      std::memmove(payload.data() + end, part.iov_base, part.iov_len);
    }
  }
  std::atomic_ref(slot.place).store(nullptr, std::memory_order_relaxed);
  hand_in(*entry);
  return 0;
}

void UringLane::conclude(Entry& entry, const wire::fuse_out_header& header, std::size_t size) noexcept {
  auto* const head = reinterpret_cast<wire::fuse_uring_req_header*>(entry.memory.bytes().data());
  head->ring_ent_in_out.payload_sz = static_cast<std::uint32_t>(size);
  std::memcpy(head->in_out, &header, sizeof header);
}

// Only NOTIFY_REPLY comes this way: the kernel wants its entry back all the same.
void UringLane::release(Slot& slot) noexcept {
  if (slot.place == nullptr) return;
  send(slot, done(slot), {});
}

void UringLane::hand_in(Entry& entry) noexcept {
  if (enter()) {
    commit(entry);
    leave();
    return;
  }
  entry.next = inbox_.load(std::memory_order_relaxed);
  while (!inbox_.compare_exchange_weak(entry.next, &entry, std::memory_order_seq_cst, std::memory_order_relaxed)) {
  }
  nudge();
}

// At the ring: everything that others have answered.
void UringLane::collect() noexcept {
  if (nudged_.load(std::memory_order_seq_cst)) nudged_.exchange(false, std::memory_order_seq_cst);
  if (inbox_.load(std::memory_order_seq_cst) == nullptr) return;
  for (Entry* entry = inbox_.exchange(nullptr, std::memory_order_seq_cst); entry != nullptr;) {
    Entry* const next = entry->next;
    commit(*entry);
    entry = next;
  }
}

void UringLane::commit(Entry& entry) noexcept {
  --entry.queue->held;
  prepare(wire::UringCommand::commit_and_fetch, *entry.queue, &entry);
}

void UringLane::prepare(wire::UringCommand command, const Queue& queue, Entry* entry) noexcept {
  ::io_uring_sqe* sqe = ring_.prepare();
  for (; sqe == nullptr; sqe = ring_.prepare()) submit();
  sqe->opcode = IORING_OP_URING_CMD;
  sqe->fd = uring_.device_;
  sqe->cmd_op = static_cast<std::uint32_t>(command);
  wire::fuse_uring_cmd_req request{};
  request.qid = queue.id;
  if (command == wire::UringCommand::register_entry && entry != nullptr) {
    sqe->addr = reinterpret_cast<std::uint64_t>(entry->parts);
    sqe->len = 2;
  } else if (entry != nullptr) {
    request.commit_id = entry->commit_id;
  }
  ::io_uring_sqe_set_data(sqe, entry);
  std::memcpy(sqe->cmd, &request, sizeof request);
}

int UringLane::submit(unsigned wait_for) noexcept { return ring_.enter(wait_for, seat().registered); }

void UringLane::add_entries(Queue& queue, std::size_t count) {
  for (; count != 0; --count) {
    auto entry = std::make_unique<Entry>();
    entry->memory = base::Buffer(header_room + uring_.payload_size_);
    entry->parts[0] = {entry->memory.bytes().data(), sizeof(wire::fuse_uring_req_header)};
    entry->parts[1] = {entry->memory.bytes().data() + header_room, uring_.payload_size_};
    entry->queue = &queue;
    entries_.push_back(std::move(entry));
    ++queue.entries;
    prepare(wire::UringCommand::register_entry, queue, entries_.back().get());
  }
}

// A request that waits keeps its entry: as many as at first stay free.
void UringLane::grow(Queue& queue) noexcept try {
  const std::size_t wanted = uring_.entries_per_queue_ + queue.held - 1;
  if (queue.entries >= wanted) return;
  const std::size_t missing = wanted - queue.entries;
  add_entries(queue, missing);
  submit();
  for (std::size_t i = 0; i < missing; ++i) fetch_one(queue);
} catch (const std::bad_alloc&) {
  if (ring_.prepared() != 0) submit();
}

// In a burst more requests come than there are entries. The kernel keeps them until one is answered: registering
// another entry fetches nothing (fuse_uring_do_register), and if all that have an entry wait for one that has none,
// nothing ever would. But it can be asked for a message that needs no answer, about nothing in a file that it knows, to
// the queue of the CPU where it is asked; giving that one back fetches the request that has waited longest.
void UringLane::fetch_one(const Queue& queue) noexcept {
  if (std::find(cpus_.begin(), cpus_.end(), queue.id) == cpus_.end()) return;  // out of reach
  if (cpus_.size() > 1) CpuMask::of({queue.id}).apply();
  if (!fetch_by(*this)) {
    std::any_of(uring_.lanes_.begin(), uring_.lanes_.end(), [this](const auto& lane) { return fetch_by(*lane); });
  }
  if (cpus_.size() > 1) mask_.apply();
}

// By the file that `lane` has seen last.
bool UringLane::fetch_by(const UringLane& lane) noexcept {
  const std::uint64_t file = lane.file_.load(std::memory_order_relaxed);
  if (file == 0) return false;
  const auto ask = wire::Notification::retrieve(first_fetch + 2 * fetches_++, file, 0, 0);
  const auto parts = ask.iovecs();
  return ::writev(uring_.device_, parts.data(), static_cast<int>(parts.size())) > 0;
}

// At the ring, right after the first entries were submitted: has the kernel refused one? Leaves what it finds.
Result<void> UringLane::first_failure() noexcept {
  for (unsigned i = 0; ::io_uring_cqe* const completed = ring_.completion(i); ++i) {
    if (completed->res < 0) return Error{-completed->res};
  }
  return {};
}

int UringLane::notify(const wire::fuse_out_header& header, std::span<const ::iovec> body) noexcept {
  return uring_.classic_.notify(header, body);
}

Result<std::int32_t> UringLane::open_backing(int fd) noexcept { return uring_.classic_.open_backing(fd); }

Result<void> UringLane::close_backing(std::int32_t id) noexcept { return uring_.classic_.close_backing(id); }

UringLane::Visit::Visit(UringLane& lane) noexcept : lane_(lane) {
  Seat& own = seat();
  if (lane.owner_.compare_exchange_strong(owner_, own.token() | at_the_ring, std::memory_order_seq_cst)) {
    own.lane = &lane;
  }
}

UringLane::Visit::~Visit() {
  if (owner_ != 0) return;
  seat().lane = nullptr;
  lane_.owner_.store(0, std::memory_order_seq_cst);
}

// The caretaker sees to what was left for the owner of a lane; if there is one after all, he is sent.
void UringLane::look_in() noexcept {
  do {
    const Visit visit(*this);
    if (!visit) return ring_bell();
    collect();
    submit();
  } while (inbox_.load(std::memory_order_seq_cst) != nullptr);
}

CpuMask UringLane::home_of_this_thread() {
  const UringLane* const lane = seat().lane;
  return lane != nullptr ? lane->uring_.home_ : CpuMask();
}

CpuMask home_of_this_thread() { return UringLane::home_of_this_thread(); }

}  // namespace fuselage::transport
