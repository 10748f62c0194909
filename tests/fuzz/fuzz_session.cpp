// Whole sessions: INIT, then whatever the input says, against the memory file system with handlers that sometimes wait.
// Nothing may crash, leak, or break a rule of the fake kernel: each request answered once, in its shape.
//
// The input is a program. Its head says which kernel it is; then records follow, each of which begins with a byte that
// says what happens (see `Step`). A message is:
//
//   row      1 byte: which operation, by its place in the table
//   repair   1 byte: what to set right in the bytes that follow (see `repair_*`)
//   node     1 byte: which node it is about
//   size     2 bytes, little-endian
//   body     so many bytes: what follows the header
//
// tests/fuzz/seeds.py writes such programs from the golden messages, and a dictionary from the table.
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <fuselage/async.hpp>
#include <fuselage/log.hpp>
#include <fuselage/testing/fake_kernel.hpp>

#include "filesystems/memory/memory.hpp"
#include "wire/decoder.hpp"
#include "wire/operations.hpp"

namespace fuselage {
namespace {

using wire::Opcode;

/// What a record says to do.
enum class Step : std::uint8_t { message, raw, interrupt, advance, run, refuse, stop, forget_all, caller, count };

// Bits of `repair`: without any the body goes out as it is.
constexpr unsigned repair_arguments = 1;  // the fixed structure gets its size
constexpr unsigned repair_names = 2;      // names become some that exist
constexpr unsigned repair_lengths = 4;    // what counts the data counts it
constexpr unsigned cut_end = 8;           // the last byte is missing

constexpr std::uint32_t longest_read = 64 * 1024;

class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) noexcept : rest_(bytes) {}

  bool empty() const noexcept { return rest_.empty(); }
  template <class T>
  T take() {
    T value{};
    const auto bytes = take_bytes(sizeof value);
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  std::string take_bytes(std::size_t count) {
    const auto bytes = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(bytes.size());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::span<const std::uint8_t> rest_;
};

/// Lets some operations of the memory file system wait first.
class Sleepy : public Layer {
 public:
  using Layer::Layer;

  Reply<Entry> lookup(const Context& context, Ino parent, std::string_view name) override {
    if (context.unique % 3 != 0) return Layer::lookup(context, parent, name);
    return later_lookup(context, parent, name);
  }
  Reply<Data> read(const Context& context, Ino ino, const OpenFile& file, Range range) override {
    const Result<void> slept = co_await sleep_for(context, std::chrono::milliseconds(20));
    if (!slept) co_return slept.error();
    co_return co_await Layer::read(context, ino, file, range);
  }
  Reply<std::size_t> write(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset, Bytes bytes,
                           WriteFlags flags) override {
    const Result<int> waited = co_await run_blocking(context, [] { return 1; });
    if (!waited) co_return waited.error();
    co_return co_await Layer::write(context, ino, file, offset, bytes, flags);
  }
  Reply<IoctlReply> ioctl(const Context&, Ino, const OpenFile&, const IoctlCall& call) override {
    IoctlReply reply;
    reply.output = Data::own(std::string(call.output_size, 'o'));
    reply.retry = call.unrestricted && call.compat;
    reply.input_ranges = {{call.argument, call.input.size()}};
    return reply;
  }
  Reply<void> removemapping(const Context&, Ino, std::span<const WindowRange> ranges) override {
    return ranges.size() > 1 ? Reply<void>(Error{EINVAL}) : Reply<void>();
  }

 private:
  Reply<Entry> later_lookup(const Context& context, Ino parent, std::string_view name) {
    const Result<void> slept = co_await sleep_for(context, std::chrono::milliseconds(20));
    if (!slept) co_return slept.error();
    co_return co_await Layer::lookup(context, parent, name);
  }
};

std::string_view some_name(unsigned choice) {
  static constexpr std::string_view names[] = {"a", "b", "c", "dir", "user.x", "user.y", "..", "a-rather-long-name"};
  return names[choice % std::size(names)];
}

class Program {
 public:
  Program(FakeKernel& kernel, Input& input) noexcept : kernel_(kernel), input_(input) {}

  void run() {
    while (!input_.empty()) step(static_cast<Step>(input_.take<std::uint8_t>() % static_cast<unsigned>(Step::count)));
  }

 private:
  void step(Step what) {
    switch (what) {
      case Step::message:
        return send_message();
      case Step::raw:
        return send_raw(input_.take_bytes(input_.take<std::uint16_t>() % 4096));
      case Step::interrupt:
        return send_interrupt();
      case Step::advance:
        return kernel_.advance(std::chrono::milliseconds(input_.take<std::uint8_t>()));
      case Step::run:
        kernel_.run_pending();
        return;
      case Step::refuse: {
        constexpr int codes[] = {ENOENT, ENODEV, EINVAL, EIO};
        kernel_.refuse_next_answer(codes[input_.take<std::uint8_t>() % std::size(codes)]);
        return;
      }
      case Step::stop:
        kernel_.stop();
        kernel_.resume();
        return;
      case Step::forget_all:
        kernel_.forget_all();
        return;
      case Step::caller:
        set_caller();
        return;
      case Step::count:
        return;
    }
  }

  void set_caller() {
    Caller caller;
    caller.uid = input_.take<std::uint8_t>() % 2 == 0 ? 0 : 1000;
    caller.gid = caller.uid;
    caller.umask = input_.take<std::uint16_t>() & 0777u;
    caller.groups = {5, 6};
    caller.labels = {{"security.selinux", "label"}};
    kernel_.set_caller(std::move(caller));
  }

  void send_message() {
    const wire::OperationRow& row = wire::operations[input_.take<std::uint8_t>() % wire::operations.size()];
    const unsigned repair = input_.take<std::uint8_t>();
    const Ino ino = choose_node(input_.take<std::uint8_t>());
    std::string body = input_.take_bytes(input_.take<std::uint16_t>());
    const unsigned spice = body.empty() ? 0 : static_cast<unsigned char>(body.back());
    const std::size_t size = row.arguments_size(kernel_.agreed()->minor, kernel_.agreed()->capabilities.bits());
    if ((repair & repair_arguments) != 0 && body.size() < size) body.resize(size);
    if ((repair & repair_names) != 0) replace_names(row, body, size, spice);
    set_lengths(row, body, size, (repair & repair_lengths) != 0);
    if ((repair & cut_end) != 0 && !body.empty()) body.pop_back();
    wire::fuse_in_header header{};
    header.opcode = static_cast<std::uint32_t>(row.opcode);
    header.nodeid = static_cast<std::uint64_t>(ino);
    send_with(header, body);
  }

  static void replace_names(const wire::OperationRow& row, std::string& body, std::size_t size, unsigned spice) {
    if (body.size() < size) return;
    std::string names;
    for (unsigned i = 0; i < row.names; ++i) names += std::string(some_name(spice + i * (spice >> 4))) + '\0';
    body.insert(size, names);
  }

  // Writes `value` into the field at `offset` of the body, if it is there.
  static void set_field(std::string& body, std::size_t offset, std::uint32_t value) {
    if (body.size() >= offset + sizeof value) std::memcpy(body.data() + offset, &value, sizeof value);
  }

  static void set_lengths(const wire::OperationRow& row, std::string& body, std::size_t size, bool repair) {
    // A real kernel asks for no more than it can take; what is beyond tests the memory of the machine.
    const auto limit = [&](std::size_t offset) {
      if (body.size() < offset + sizeof(std::uint32_t)) return;
      const auto wanted = wire::copy_out<std::uint32_t>(bytes_of(std::string_view(body).substr(offset)));
      set_field(body, offset, wanted % longest_read);
    };
    if (row.opcode == Opcode::READ || row.opcode == Opcode::READDIR || row.opcode == Opcode::READDIRPLUS) {
      limit(offsetof(wire::fuse_read_in, size));
    }
    if (row.opcode == Opcode::IOCTL) limit(offsetof(wire::fuse_ioctl_in, out_size));
    if (!repair || body.size() < size) return;
    const auto data = static_cast<std::uint32_t>(body.size() - size);
    switch (row.opcode) {
      case Opcode::WRITE:
        return set_field(body, offsetof(wire::fuse_write_in, size), data);
      case Opcode::IOCTL:
        return set_field(body, offsetof(wire::fuse_ioctl_in, in_size), data);
      case Opcode::SETXATTR: {
        const std::size_t name = body.find('\0', size);
        if (name == std::string::npos) return;
        return set_field(body, 0, static_cast<std::uint32_t>(body.size() - name - 1));
      }
      case Opcode::BATCH_FORGET:
      case Opcode::REMOVEMAPPING:
        return set_field(body, 0, data / 16);
      case Opcode::NOTIFY_REPLY:
        return set_field(body, offsetof(wire::fuse_notify_retrieve_in, size), data);
      default:
        return;
    }
  }

  // A whole message of the input's own making; only its number is given, so that its answer can be told apart.
  void send_raw(std::string message) {
    if (message.size() < sizeof(wire::fuse_in_header)) {
      kernel_.send(bytes_of(message));
      return;
    }
    auto header = wire::copy_out<wire::fuse_in_header>(bytes_of(message));
    const bool tells_truth = header.len % 4 != 0;
    message.erase(0, sizeof header);
    if (tells_truth) return send_with(header, message);
    header.unique = kernel_.next_unique();
    message.insert(0, reinterpret_cast<const char*>(&header), sizeof header);
    kernel_.send(bytes_of(message));
  }

  void send_with(wire::fuse_in_header header, const std::string& body) {
    header.len = static_cast<std::uint32_t>(sizeof header + body.size());
    header.unique = kernel_.next_unique();
    last_ = header.unique;
    if (header.opcode == static_cast<std::uint32_t>(Opcode::INTERRUPT)) header.unique |= 1;
    std::string message(reinterpret_cast<const char*>(&header), sizeof header);
    message += body;
    kernel_.send(bytes_of(message));
  }

  // Interrupts one of the last few requests, answered or not.
  void send_interrupt() {
    const std::uint64_t target = last_ - 2 * std::uint64_t{input_.take<std::uint8_t>() % 8u};
    wire::fuse_in_header header{};
    header.opcode = static_cast<std::uint32_t>(Opcode::INTERRUPT);
    send_with(header, std::string(reinterpret_cast<const char*>(&target), sizeof target));
  }

  Ino choose_node(std::uint8_t choice) {
    const auto known = kernel_.lookups();
    if (choice == 0xff) return Ino{input_.take<std::uint64_t>()};
    if (choice == 0 || known.empty()) return root_ino;
    return std::next(known.begin(), choice % static_cast<std::ptrdiff_t>(known.size()))->first;
  }

  FakeKernel& kernel_;
  Input& input_;
  std::uint64_t last_ = 0;
};

void play(std::span<const std::uint8_t> bytes) {
  Input input(bytes);
  FakeKernelOptions options;
  options.minor = 12 + input.take<std::uint8_t>() % 34u;
  const auto mode = input.take<std::uint8_t>();
  options.in_parts = (mode & 1) != 0;
  if ((mode & 2) != 0) options.offered = CapabilitySet(input.take<std::uint64_t>());
  options.session.enable = CapabilitySet((mode & 4) != 0 ? UINT64_MAX : 0);
  if ((mode & 8) != 0) options.session.deadline = std::chrono::milliseconds(10);
  if ((mode & 16) != 0) options.session.only_root_and = 7;
  options.session.max_write = longest_read;
  memory::Options limits;
  limits.size = 1 << 20;
  limits.inodes = 100;
  memory::Memory files(limits);
  Sleepy sleepy(files);
  FakeKernel kernel(sleepy, options);
  if (!kernel.agreed()) std::abort();
  Program(kernel, input).run();
  kernel.refuse_next_answer(0);
  kernel.stop();  // from here on nothing waits, and everything must be answered
}

}  // namespace
}  // namespace fuselage

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  fuselage::set_log_sink([](fuselage::LogLevel, std::string_view) {});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuselage::play({data, size});
  return 0;
}
