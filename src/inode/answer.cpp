#include "inode/answer.hpp"

#include <unistd.h>

namespace fuselage::inode {
namespace {

// What the kernel would refuse, with a reason in the log instead of a bare EIO at the caller (fuse_valid_type,
// fuse_invalid_attr).
const char* defect(const Attributes& attributes) {
  switch (file_type(attributes.mode)) {
    case FileType::regular:
    case FileType::directory:
    case FileType::symlink:
    case FileType::character_device:
    case FileType::block_device:
    case FileType::fifo:
    case FileType::socket:
      break;
    default:
      return "the handler gave a mode without a file type";
  }
  if (attributes.size > INT64_MAX) return "the handler gave a size beyond 2^63";
  return nullptr;
}

// create_new_entry takes no root, which only a lookup of ".." may lead to.
const char* defect(const Request& request, const Entry& entry) {
  if (entry.ino == root_ino && request.row().opcode != Opcode::LOOKUP) return "the handler gave the root as a new node";
  return defect(entry.attributes);
}

// Reads what there is of the range into the request's own memory.
Result<Bytes> load(Request& request, const Data& data, std::size_t size) {
  const std::span<std::byte> buffer = request.reply_buffer(size);
  std::size_t filled = 0;
  while (filled < size) {
    const ssize_t got = ::pread(data.file_descriptor(), buffer.data() + filled, size - filled,
                                static_cast<::off_t>(data.file_offset() + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::last();
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return Bytes(buffer.first(filled));
}

void answer_bytes(Request& request, Bytes bytes) {
  const ::iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  request.answer(std::span(&part, bytes.empty() ? 0u : 1u));
}

Reply<void> take_back(FileSystem& file_system, Request& request, Ino ino, Handle handle) {
  const Result<void> released = co_await release_opened(file_system, request, ino, handle);
  give_back(file_system, request, ino);
  co_return released;
}

}  // namespace

void give_back(FileSystem& file_system, const Request& request, Ino ino) noexcept try {
  file_system.forget(ino, 1);
} catch (...) {
  base::log(LogLevel::error, "{}: forget threw: {}", request.row().name, error_of_current_exception().message());
}

Reply<void> release_opened(FileSystem& file_system, Request& request, Ino ino, Handle handle) {
  const OpenFile& file = open_file(request, static_cast<std::uint64_t>(handle));
  const bool directory = request.row().opcode == Opcode::OPENDIR;
  return directory ? file_system.releasedir(request.context(), ino, file)
                   : file_system.release(request.context(), ino, file, false);
}

void answer_attributes(Request& request, const Attributes& attributes) {
  // The kernel would not only fail this call but all later ones for the node (fuse_make_bad).
  if (const char* what = defect(attributes)) return refuse_answer(request, what);
  if (request.row().opcode == Opcode::STATX) {
    request.answer(to_statx_out(attributes, request.ino(), default_timeouts(request)));
  } else {
    request.answer(to_attr_out(attributes, request.ino(), default_timeouts(request)));
  }
}

void answer_entry(FileSystem& file_system, Request& request, const Entry& entry) {
  if (entry.ino == Ino{}) {
    if (request.row().opcode != Opcode::LOOKUP) return refuse_answer(request, "the handler gave no ino");
    request.answer(to_entry_out(entry, default_timeouts(request)));
    return;
  }
  if (const char* what = defect(request, entry)) {
    refuse_answer(request, what);
    give_back(file_system, request, entry.ino);
  } else if (!request.answer(to_entry_out(entry, default_timeouts(request)))) {
    give_back(file_system, request, entry.ino);
  }
}

Reply<void> answer_created(FileSystem& file_system, Request& request, const Created& created) {
  if (created.entry.ino == Ino{}) return refuse_answer(request, "the handler gave no ino"), Reply<void>();
  bool delivered = false;
  if (const char* what = defect(request, created.entry)) {
    refuse_answer(request, what);
  } else {
    wire::fuse_entry_out entry = to_entry_out(created.entry, default_timeouts(request));
    wire::fuse_open_out open = to_open_out(created.opened);
    const std::array<::iovec, 2> body = {::iovec{&entry, sizeof entry}, ::iovec{&open, sizeof open}};
    delivered = request.answer(body);
  }
  if (delivered) return {};
  return take_back(file_system, request, created.entry.ino, created.opened.handle);
}

void answer_data(Request& request, const Data& data, std::size_t limit) {
  if (data.size() > limit) return refuse_answer(request, "the handler gave more bytes than were asked for");
  if (!data.is_file()) return answer_bytes(request, data.bytes());
  const Result<Bytes> loaded = load(request, data, data.size());
  if (!loaded) {
    request.fail(loaded.error());
    return;
  }
  answer_bytes(request, *loaded);
}

void answer_sized(Request& request, Bytes bytes, std::uint32_t wanted) {
  if (wanted == 0) {
    wire::fuse_getxattr_out out{};
    out.size = static_cast<std::uint32_t>(bytes.size());
    request.answer(out);
  } else if (bytes.size() > wanted) {
    request.fail(Error{ERANGE});
  } else {
    answer_bytes(request, bytes);
  }
}

void answer_ioctl(Request& request, const IoctlCall& call, const IoctlReply& reply) {
  wire::fuse_ioctl_out out{};
  std::array<::iovec, 3> body{};
  body[0] = {&out, sizeof out};
  if (reply.retry) {
    if (!call.unrestricted) return refuse_answer(request, "only an unrestricted ioctl may be retried");
    if (reply.input_ranges.size() + reply.output_ranges.size() > wire::ioctl_max_iov) {
      return refuse_answer(request, "the handler asked for too many pieces of memory");
    }
    static_assert(sizeof(IoctlRange) == sizeof(wire::fuse_ioctl_iovec));
    out.flags = wire::ioctl_flag::retry;
    out.in_iovs = static_cast<std::uint32_t>(reply.input_ranges.size());
    out.out_iovs = static_cast<std::uint32_t>(reply.output_ranges.size());
    body[1] = {const_cast<IoctlRange*>(reply.input_ranges.data()), reply.input_ranges.size() * sizeof(IoctlRange)};
    body[2] = {const_cast<IoctlRange*>(reply.output_ranges.data()), reply.output_ranges.size() * sizeof(IoctlRange)};
    request.answer(body);
    return;
  }
  if (reply.output.is_file()) return refuse_answer(request, "the output of an ioctl cannot come from a file");
  if (reply.output.size() > call.output_size) {
    return refuse_answer(request, "the handler gave more bytes than were asked for");
  }
  out.result = reply.result;
  body[1] = {const_cast<std::byte*>(reply.output.bytes().data()), reply.output.size()};
  request.answer(std::span(body).first(2));
}

}  // namespace fuselage::inode
