// The floor over io_uring: a ring and a thread for each CPU, pinned to it; each turn is one io_uring_enter that commits
// what is answered and waits for more. INIT, FORGET and INTERRUPT stay on /dev/fuse.
#include <liburing.h>
#include <pthread.h>
#include <sys/uio.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "raw.hpp"

namespace {

namespace wire = bench::wire;

constexpr unsigned depth = 8;
constexpr std::uint32_t command_register = 1;
constexpr std::uint32_t command_commit = 2;

// Where the kernel puts one request, and takes its answer.
struct Entry {
  wire::fuse_uring_req_header header{};
  ::iovec parts[2]{};
};

void fail(const char* what, int error) {
  std::fprintf(stderr, "bench-raw-ring: %s: %s\n", what, std::strerror(error));
  std::_Exit(1);
}

class Ring {
 public:
  Ring(bench::Raw& raw, int device, unsigned cpu) : raw_(raw), device_(device), cpu_(cpu) {
    ::io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SQE128 | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL;
    parameters.cq_entries = 2 * depth;
    if (const int error = ::io_uring_queue_init_params(depth, &ring_, &parameters); error < 0) fail("io_uring", -error);
    ::io_uring_register_ring_fd(&ring_);
    for (Entry& entry : entries_) {
      void* const payload = std::aligned_alloc(4096, bench::max_write);
      if (payload == nullptr) fail("memory", ENOMEM);
      entry.parts[0] = {&entry.header, sizeof entry.header};
      entry.parts[1] = {payload, bench::max_write};
      submit(entry, command_register, 0);
    }
    ::io_uring_submit(&ring_);
  }

  void run() {
    for (;;) {
      if (const int error = ::io_uring_submit_and_wait(&ring_, 1); error < 0 && error != -EINTR) return;
      ::io_uring_cqe* completion = nullptr;
      unsigned head = 0;
      unsigned count = 0;
      io_uring_for_each_cqe(&ring_, head, completion) {
        ++count;
        if (completion->res < 0) return;  // unmounted
        answer(*static_cast<Entry*>(::io_uring_cqe_get_data(completion)));
      }
      ::io_uring_cq_advance(&ring_, count);
    }
  }

 private:
  void submit(Entry& entry, std::uint32_t command, std::uint64_t commit_id) {
    ::io_uring_sqe* const sqe = ::io_uring_get_sqe(&ring_);
    ::io_uring_prep_rw(IORING_OP_URING_CMD, sqe, device_, entry.parts, 2, 0);
    sqe->off = 0;
    sqe->cmd_op = command;
    ::io_uring_sqe_set_data(sqe, &entry);
    wire::fuse_uring_cmd_req request{};
    request.commit_id = commit_id;
    request.qid = static_cast<std::uint16_t>(cpu_);
    std::memcpy(sqe->cmd, &request, sizeof request);
  }

  void answer(Entry& entry) {
    wire::fuse_in_header header;
    std::memcpy(&header, entry.header.in_out, sizeof header);
    auto* const payload = static_cast<char*>(entry.parts[1].iov_base);
    // What has a name and no arguments has the name in the payload; the arguments are elsewhere in any case.
    const auto answer = raw_.answer({header, reinterpret_cast<const char*>(entry.header.op_in), payload}, payload);
    if (answer.body != payload && answer.size > 0) std::memcpy(payload, answer.body, answer.size);
    const wire::fuse_out_header out{static_cast<std::uint32_t>(sizeof out + answer.size), -answer.error, header.unique};
    std::memcpy(entry.header.in_out, &out, sizeof out);
    entry.header.ring_ent_in_out.payload_sz = static_cast<std::uint32_t>(answer.size);
    submit(entry, command_commit, entry.header.ring_ent_in_out.commit_id);
  }

  bench::Raw& raw_;
  const int device_;
  const unsigned cpu_;
  ::io_uring ring_{};
  Entry entries_[depth];
};

void serve_cpu(bench::Raw& raw, int device, unsigned cpu) {
  ::cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
  Ring ring(raw, device, cpu);
  ring.run();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  bench::Raw raw(true);
  const int device = bench::mount_raw(argv[1], "bench-raw-ring");
  std::vector<char> message(bench::max_write + 4096);
  std::vector<char> out(bench::max_write);
  bool started = false;
  for (;;) {
    const ssize_t size = ::read(device, message.data(), message.size());
    if (size < 0 && errno == ENODEV) std::_Exit(0);
    if (size < 0 && (errno == EINTR || errno == ENOENT)) continue;
    if (size < 0) return 1;
    const auto& header = *reinterpret_cast<const wire::fuse_in_header*>(message.data());
    const char* arguments = message.data() + sizeof header;
    const auto answer =
        raw.answer({header, arguments, arguments + bench::Raw::arguments_size(header.opcode)}, out.data());
    if (answer.none) continue;
    const wire::fuse_out_header reply{static_cast<std::uint32_t>(sizeof reply + answer.size), -answer.error,
                                      header.unique};
    const ::iovec parts[] = {{const_cast<wire::fuse_out_header*>(&reply), sizeof reply},
                             {const_cast<void*>(answer.body), answer.size}};
    [[maybe_unused]] const ssize_t sent = ::writev(device, parts, answer.size > 0 ? 2 : 1);
    if (started) continue;
    started = true;  // that was INIT
    const auto cpus = static_cast<unsigned>(::sysconf(_SC_NPROCESSORS_CONF));
    for (unsigned cpu = 0; cpu < cpus; ++cpu) std::thread(serve_cpu, std::ref(raw), device, cpu).detach();
  }
}
