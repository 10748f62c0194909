#include "transport/uring.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "transport/wake_signal.hpp"

namespace fuselage::transport {
namespace {

constexpr unsigned reserve = 4;  // a queue has this many entries for each request of its depth

Error unavailable(std::string why) { return Error{EOPNOTSUPP, std::move(why)}; }

// What the module says; a reason without asking the kernel, which would log it.
Result<void> check_module() {
  std::ifstream file("/sys/module/fuse/parameters/enable_uring");
  char enabled = 0;
  if (!(file >> enabled)) return unavailable("this kernel has no FUSE over io_uring (Linux 6.14 has)");
  if (enabled != 'Y' && enabled != '1') {
    return unavailable("it is switched off (echo 1 > /sys/module/fuse/parameters/enable_uring)");
  }
  return {};
}

// "fuse-ring/52" where the kernel says which connection the device belongs to (since Linux 6.17).
std::string name_for(int device) {
  constexpr std::size_t longest = 15;
  constexpr std::string_view key = "fuse_connection:";
  std::string name = "fuse-ring";
  std::ifstream file(fmt::format("/proc/self/fdinfo/{}", device));
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    name += '/';
    name += line.substr(line.find_first_not_of(" \t", key.size()));
  }
  return name.substr(0, longest);
}

}  // namespace

Uring::Uring(int device, Channel& classic, const Options& options)
    : device_(device),
      classic_(classic),
      options_(options),
      home_(CpuMask::of_this_thread()),
      thread_name_(name_for(device)),
      caretaker_([this] { look_after(); }) {}

Result<std::unique_ptr<Uring>> Uring::create(int device, Channel& classic, const Options& options) try {
  struct stat status {};
  if (::fstat(device, &status) != 0 || !S_ISCHR(status.st_mode)) return unavailable("this is not /dev/fuse");
  if (auto enabled = check_module(); !enabled) return enabled.error();
  std::unique_ptr<Uring> uring(new Uring(device, classic, options));
  if (auto done = uring->on_caretaker(&Uring::set_up); !done) return unavailable(done.error().message());
  return uring;
} catch (...) {
  return unavailable(error_of_current_exception().message());
}

// A ring for each CPU that our threads may run on, or as many as there may be threads; the queues of all other CPUs are
// dealt out among them.
Result<void> Uring::set_up() try {
  const unsigned possible = possible_cpus();
  const std::vector<unsigned> own = home_.cpus();
  if (possible == 0 || own.empty() || own.back() >= possible) return unavailable("the CPUs cannot be counted");
  const std::size_t count = std::clamp<std::size_t>(options_.max_lanes, 1, own.size());
  std::vector<std::vector<unsigned>> shares(count);
  for (std::size_t i = 0; i < own.size(); ++i) shares[i % count].push_back(own[i]);
  for (auto& share : shares) lanes_.push_back(std::make_unique<UringLane>(*this, std::move(share)));
  for (unsigned cpu = 0; cpu < possible; ++cpu) {
    const auto at = std::find(own.begin(), own.end(), cpu);
    const std::size_t lane = (at != own.end() ? static_cast<std::size_t>(at - own.begin()) : cpu) % count;
    auto queue = std::make_unique<UringLane::Queue>();
    queue->id = static_cast<std::uint16_t>(cpu);
    lanes_[lane]->queues_.push_back(std::move(queue));
  }
  bell_ = std::make_unique<RingBell>();
  return probe();
} catch (const std::system_error& error) {
  // Seccomp filters of containers refuse it so, and the sysctl kernel.io_uring_disabled.
  return unavailable(fmt::format("{}: {}", error.what(), Error{error.code().value()}.message()));
}

// Do io_uring, seccomp and security modules let a command through to FUSE? On a ring of ordinary entries it is refused
// there before anything else happens, with EINVAL (fuse_uring_cmd). Once INIT is answered with the flag it would be too
// late to find out: the kernel holds all requests back until each queue has an entry, or one was refused.
Result<void> Uring::probe() {
  ::io_uring ring{};
  if (const int error = ::io_uring_queue_init(1, &ring, 0); error < 0) return Error{-error};
  ::io_uring_sqe* const sqe = ::io_uring_get_sqe(&ring);
  ::io_uring_prep_rw(IORING_OP_URING_CMD, sqe, device_, nullptr, 0, 0);
  sqe->cmd_op = static_cast<std::uint32_t>(wire::UringCommand::register_entry);
  ::io_uring_cqe* completed = nullptr;
  int error = -::io_uring_submit_and_wait(&ring, 1);
  if (error <= 0) error = ::io_uring_peek_cqe(&ring, &completed) == 0 ? -completed->res : EIO;
  ::io_uring_queue_exit(&ring);
  if (error == EINVAL) return {};
  return unavailable(fmt::format("the kernel refuses it: {}", Error{error}.message()));
}

Result<void> Uring::open(std::uint32_t max_write) {
  // As fuse_uring_create has it: whole pages, as many as INIT's max_pages says.
  payload_size_ = (std::size_t{max_write} + Channel::page - 1) / Channel::page * Channel::page;
  std::size_t queues = 0;
  for (const auto& lane : lanes_) queues += lane->queues_.size();
  entries_per_queue_ = std::clamp<std::size_t>(most_memory / (queues * payload_size_), 2,
                                               std::max<std::size_t>(options_.depth, 1) * reserve);
  auto opened = on_caretaker(&Uring::add_all_entries);
  if (opened) return {};
  if (auto refused = on_caretaker(&Uring::refuse); !refused) return refused;
  return opened;
}

// On a thread that does nothing else: the kernel interrupts the waits of whoever has set up a ring when that is closed
// (io_ring_exit_work), which callers of ours that were never sent a signal must not notice.
Result<void> Uring::on_caretaker(Job job) {
  std::unique_lock lock(mutex_);
  job_ = job;
  wake_.notify_all();
  wake_.wait(lock, [this] { return job_ == nullptr; });
  return std::move(done_);
}

// The kernel copies a request in the context of the thread that submitted its entry. The caretaker is never held up,
// and these are the entries of the first requests, and later of bursts.
Result<void> Uring::add_all_entries() {
  for (const auto& lane : lanes_) {
    const UringLane::Visit visit(*lane);
    for (const auto& queue : lane->queues_) lane->add_entries(*queue, entries_per_queue_);
    const int error = lane->submit();
    if (error != 0) return Error{error};
    if (auto failure = lane->first_failure(); !failure) return failure;
  }
  return {};
}

// Makes the kernel go on with the device: it gives up on the first entry that is not right.
Result<void> Uring::refuse() {
  UringLane& lane = *lanes_.front();
  const UringLane::Visit visit(lane);
  const UringLane::Queue impossible{UINT16_MAX};
  lane.prepare(wire::UringCommand::register_entry, impossible, nullptr);
  lane.submit();
  return {};
}

void Uring::look_after() noexcept {
  accept_only_wake_signal();
  ::pthread_setname_np(::pthread_self(), "fuse-caretaker");
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return over_ || called_ || job_ != nullptr; });
    if (job_ != nullptr) {
      try {
        done_ = (this->*job_)();
      } catch (...) {
        done_ = error_of_current_exception();
      }
      job_ = nullptr;
      wake_.notify_all();
    }
    const bool is_last = over_;
    called_ = false;
    lock.unlock();
    for (const auto& lane : lanes_) lane->look_in();
    if (is_last) return;
    lock.lock();
  }
}

void Uring::call_caretaker() noexcept {
  {
    const std::lock_guard lock(mutex_);
    called_ = true;
  }
  wake_.notify_all();
}

void Uring::retire() noexcept {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  wake_.notify_all();
  if (caretaker_.joinable()) caretaker_.join();
}

Uring::~Uring() { retire(); }

}  // namespace fuselage::transport
