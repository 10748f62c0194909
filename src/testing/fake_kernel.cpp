#include <fmt/format.h>

#include <cstring>

#include "testing/rules.hpp"
#include "testing/state.hpp"
#include "wire/capabilities.hpp"

namespace fuselage {
namespace {

using fake::structure;
using wire::Opcode;

template <class T>
std::string_view view(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

void pad(std::string& text) { text.resize((text.size() + 7) & ~std::size_t{7}); }

}  // namespace

FakeKernel::State::State(const FileSystemRef& file_system, FakeKernelOptions wanted)
    : options(std::move(wanted)),
      ledger(options.on_violation),
      link(options.socket ? make_socket_link(file_system, ledger, options)
                          : make_direct_link(file_system, ledger, options)),
      await([this](fake::Exchange& exchange) { link->await(exchange); }) {
  ledger.agree(options.minor);
  if (options.socket) {
    // The kernel repeats an interrupt until its request has been found or answered.
    ledger.on_refused_interrupt = [this](std::uint64_t unique) {
      const wire::fuse_interrupt_in target{unique};
      submit(unique | fake::interrupt_bit, static_cast<std::uint32_t>(Opcode::INTERRUPT), Ino{}, view(target));
    };
  }
}

wire::fuse_init_in FakeKernel::State::offer(std::uint32_t major) const {
  std::uint64_t flags = options.offered.bits();
  for (const wire::CapabilityRow& row : wire::capabilities) {
    if (row.since > options.minor) flags &= ~wire::bit(row.capability);
  }
  // More than 32 pages in one message are more than a socket takes.
  if (options.socket) flags &= ~wire::bit(wire::Capability::MAX_PAGES);
  wire::fuse_init_in in{};
  in.major = major;
  in.minor = options.minor;
  in.max_readahead = options.max_readahead;
  in.flags = static_cast<std::uint32_t>(flags);
  if (wire::has(flags, wire::Capability::INIT_EXT)) in.flags2 = static_cast<std::uint32_t>(flags >> 32);
  return in;
}

FakeKernel::State::ExchangePtr FakeKernel::State::send_init(std::uint32_t major) {
  minor = options.minor;
  return ask<Opcode::INIT>(Ino{}, offer(major));
}

// As cuse_send_init and cuse_process_init_reply do it.
void FakeKernel::State::begin_device() {
  minor = options.minor;
  const ExchangePtr init = ask<Opcode::CUSE_INIT>(
      Ino{}, wire::cuse_init_in{options.major, options.minor, 0, wire::cuse_flag::unrestricted_ioctl});
  if (!ledger.is_done(*init)) await(*init);
  if (const Result<void> begun = link->begun(); !begun) {
    agreed = begun.error();
    return;
  }
  const auto out = structure<wire::cuse_init_out>(init->body);
  minor = std::min(options.minor, out.minor);
  ledger.agree(minor);
  AgreedDevice device{.major = out.dev_major,
                      .minor = out.dev_minor,
                      .unrestricted_ioctl = (out.flags & wire::cuse_flag::unrestricted_ioctl) != 0};
  std::string_view rest(init->body);
  for (rest.remove_prefix(sizeof out); !rest.empty();) {
    const std::size_t end = rest.find('\0');
    if (end == rest.npos) return ledger.violation("a line about the device has no end");
    device.information.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  agreed = Agreed{.minor = minor, .max_write = out.max_write, .device = std::move(device)};
}

// As fuse_send_init and process_init_reply do it.
void FakeKernel::State::begin() {
  if (options.session.character_device) return begin_device();
  ExchangePtr init = send_init(options.major);
  if (!ledger.is_done(*init)) await(*init);
  auto out = structure<wire::fuse_init_out>(init->body);
  if (init->error == 0 && out.major < options.major) {
    init = send_init(out.major);
    if (!ledger.is_done(*init)) await(*init);
    out = structure<wire::fuse_init_out>(init->body);
  }
  if (const Result<void> begun = link->begun(); !begun) {
    agreed = begun.error();
    return;
  }
  minor = std::min(options.minor, out.minor);
  ledger.agree(minor);
  std::uint64_t flags = out.flags;
  if (wire::has(flags, wire::Capability::INIT_EXT)) flags |= std::uint64_t{out.flags2} << 32;
  capabilities = CapabilitySet(flags);
  const std::uint64_t offered = offer(options.major).flags | (std::uint64_t{offer(options.major).flags2} << 32);
  if ((flags & ~offered) != 0)
    ledger.violation(fmt::format("INIT takes {:#x}, which was not offered", flags & ~offered));
  agreed = Agreed{.minor = minor,
                  .capabilities = capabilities,
                  .max_write = out.max_write,
                  .max_readahead = out.max_readahead,
                  .max_background = out.max_background,
                  .congestion_threshold = out.congestion_threshold,
                  .time_granularity = out.time_gran,
                  .max_pages = out.max_pages,
                  .max_stack_depth = out.max_stack_depth,
                  .request_timeout = out.request_timeout};
}

FakeKernel::State::ExchangePtr FakeKernel::State::submit(std::uint32_t opcode, Ino ino, std::string_view body,
                                                         std::string_view extension) {
  return submit(ledger.next_unique(), opcode, ino, body, extension);
}

FakeKernel::State::ExchangePtr FakeKernel::State::submit(std::uint64_t unique, std::uint32_t opcode, Ino ino,
                                                         std::string_view body, std::string_view extension) {
  const Caller who = caller();
  wire::fuse_in_header header{};
  header.len = static_cast<std::uint32_t>(sizeof header + body.size() + extension.size());
  header.opcode = opcode;
  header.unique = unique;
  header.nodeid = static_cast<std::uint64_t>(ino);
  header.uid = who.uid;
  header.gid = who.gid;
  header.pid = static_cast<std::uint32_t>(who.pid);
  constexpr unsigned counted_since = 38;
  if (minor >= counted_since) header.total_extlen = static_cast<std::uint16_t>(extension.size() / 8);
  std::vector<std::byte> message;
  message.reserve(header.len);
  for (const std::string_view part : {view(header), body, extension}) {
    const Bytes bytes = bytes_of(part);
    message.insert(message.end(), bytes.begin(), bytes.end());
  }
  auto exchange = ledger.open(std::move(message), await);
  link->deliver(exchange->message);
  return exchange;
}

Caller FakeKernel::State::caller() const {
  const std::lock_guard lock(mutex);
  return caller_now;
}

// With DONT_MASK the umask is the file system's business (fuse_create_open).
::mode_t FakeKernel::State::masked(::mode_t mode) const {
  return capabilities.contains(Capability::DONT_MASK) ? mode : mode & ~caller().umask;
}

// get_create_ext: the security contexts, then the groups.
std::string FakeKernel::State::extensions(Opcode opcode) const {
  if (opcode != Opcode::CREATE && opcode != Opcode::MKNOD && opcode != Opcode::MKDIR && opcode != Opcode::SYMLINK &&
      opcode != Opcode::TMPFILE) {
    return {};
  }
  const Caller who = caller();
  std::string all;
  if (capabilities.contains(Capability::SECURITY_CTX)) {
    std::string contexts;
    for (const SecurityContext& label : who.labels) {
      contexts += view(wire::fuse_secctx{static_cast<std::uint32_t>(label.value.size()), 0});
      contexts += label.name + '\0' + label.value;
      pad(contexts);
    }
    const wire::fuse_secctx_header header{static_cast<std::uint32_t>(sizeof header + contexts.size()),
                                          static_cast<std::uint32_t>(who.labels.size())};
    all.append(view(header)).append(contexts);
  }
  if (capabilities.contains(Capability::CREATE_SUPP_GROUP) && !who.groups.empty()) {
    std::string groups(view(wire::fuse_supp_groups{static_cast<std::uint32_t>(who.groups.size())}));
    for (const std::uint32_t group : who.groups) groups += view(group);
    pad(groups);
    const wire::fuse_ext_header header{static_cast<std::uint32_t>(sizeof header + groups.size()),
                                       wire::extension_type::groups};
    all.append(view(header)).append(groups);
  }
  return all;
}

FakeKernel::FakeKernel(FileSystemRef file_system, FakeKernelOptions options)
    : state_(std::make_unique<State>(file_system, std::move(options))) {
  state_->begin();
}

FakeKernel::~FakeKernel() {
  if (state_->unmounted) return;
  state_->link->run_pending();
  state_->ledger.complain_about_unanswered();
  unmount();
}

const Result<Agreed>& FakeKernel::agreed() const { return state_->agreed; }

void FakeKernel::set_caller(Caller caller) {
  const std::lock_guard lock(state_->mutex);
  state_->caller_now = std::move(caller);
}

std::uint64_t FakeKernel::lookups(Ino ino) const {
  const auto all = state_->ledger.lookups();
  const auto at = all.find(ino);
  return at != all.end() ? at->second : 0;
}

std::map<Ino, std::uint64_t> FakeKernel::lookups() const { return state_->ledger.lookups(); }

bool FakeKernel::interrupt(const PendingRequest& request) {
  const std::uint64_t refused = state_->ledger.refused_interrupts();
  const wire::fuse_interrupt_in target{request.unique()};
  state_->submit(request.unique() | fake::interrupt_bit, static_cast<std::uint32_t>(Opcode::INTERRUPT), Ino{},
                 view(target));
  return state_->ledger.refused_interrupts() == refused;
}

Answer<std::string> FakeKernel::request(std::uint32_t opcode, Ino ino, Bytes body) {
  return {state_->submit(opcode, ino, text_of(body)), fake::to_text};
}

void FakeKernel::send(Bytes message) {
  state_->link->deliver(state_->ledger.open({message.begin(), message.end()}, state_->await)->message);
}

std::uint64_t FakeKernel::next_unique() { return state_->ledger.next_unique(); }

std::vector<Notified> FakeKernel::notifications() {
  state_->link->run_pending();
  return state_->ledger.take_notifications();
}

void FakeKernel::answer_notifications(int code) { state_->ledger.answer_notifications(code); }

void FakeKernel::answer_retrieve(const Notified& retrieve, std::uint64_t offset, std::string_view bytes) {
  const auto asked = structure<wire::fuse_notify_retrieve_out>(retrieve.body);
  wire::fuse_notify_retrieve_in in{};
  in.offset = offset;
  in.size = static_cast<std::uint32_t>(bytes.size());
  std::string body(view(in));
  body += bytes;
  state_->submit(asked.notify_unique, static_cast<std::uint32_t>(Opcode::NOTIFY_REPLY), Ino{asked.nodeid}, body);
}

bool FakeKernel::run_pending() { return state_->link->run_pending(); }
void FakeKernel::advance(std::chrono::nanoseconds duration) { state_->link->advance(duration); }
void FakeKernel::refuse_next_answer(int code) { state_->ledger.refuse_next_answer(code); }
Ended FakeKernel::stop() { return state_->link->stop(); }
void FakeKernel::resume() { state_->link->resume(); }

Ended FakeKernel::unmount() {
  state_->unmounted = true;
  Ended ended = state_->link->end();
  state_->ledger.close_all();
  return ended;
}

Statistics FakeKernel::statistics() const { return state_->link->statistics(); }

}  // namespace fuselage
