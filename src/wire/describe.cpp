#include "wire/describe.hpp"

#include <fmt/format.h>

#include <cstring>
#include <iterator>

#include "wire/decoder.hpp"
#include "wire/notification.hpp"

namespace fuselage::wire {
namespace {

using Bytes = std::span<const std::byte>;

/// The line in the making. A field that is 0 in nearly every message is added with `unless_zero`.
class Line {
 public:
  explicit Line(std::string_view start) : text_(start) {}

  template <class T>
  Line& operator()(std::string_view name, const T& value) {
    fmt::format_to(std::back_inserter(text_), " {}={}", name, value);
    return *this;
  }
  Line& hex(std::string_view name, std::uint64_t value) {
    fmt::format_to(std::back_inserter(text_), " {}={:#x}", name, value);
    return *this;
  }
  Line& octal(std::string_view name, std::uint32_t value) {
    fmt::format_to(std::back_inserter(text_), " {}=0{:o}", name, value);
    return *this;
  }
  Line& time(std::string_view name, std::uint64_t seconds, std::uint32_t nanoseconds) {
    fmt::format_to(std::back_inserter(text_), " {}={}.{:09}", name, static_cast<std::int64_t>(seconds), nanoseconds);
    return *this;
  }
  Line& flags_unless_zero(std::string_view name, std::uint64_t value) { return value != 0 ? hex(name, value) : *this; }
  Line& unless_zero(std::string_view name, std::uint64_t value) { return value != 0 ? (*this)(name, value) : *this; }
  Line& words(std::string_view words) {
    text_ += ' ';
    text_ += words;
    return *this;
  }

  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

// How each structure of a request is shown. Fields that only pad are left out.
void put(Line&, const none&) {}
void put(Line& line, const fuse_forget_in& in) { line("nlookup", in.nlookup); }
void put(Line& line, const fuse_batch_forget_in& in) { line("count", in.count); }
void put(Line& line, const fuse_getattr_in& in) {
  if ((in.getattr_flags & getattr_flag::fh) != 0) line("fh", in.fh);
}
void put(Line& line, const fuse_statx_in& in) {
  if ((in.getattr_flags & getattr_flag::fh) != 0) line("fh", in.fh);
  line.hex("mask", in.sx_mask).flags_unless_zero("flags", in.sx_flags);
}
void put(Line& line, const fuse_setattr_in& in) {
  const auto has = [&in](std::uint32_t bits) { return (in.valid & bits) != 0; };
  line.hex("valid", in.valid);
  if (has(fattr::fh)) line("fh", in.fh);
  if (has(fattr::size)) line("size", in.size);
  if (has(fattr::mode)) line.octal("mode", in.mode);
  if (has(fattr::uid)) line("to_uid", in.uid);
  if (has(fattr::gid)) line("to_gid", in.gid);
  if (has(fattr::atime)) line.time("atime", in.atime, in.atimensec);
  if (has(fattr::mtime)) line.time("mtime", in.mtime, in.mtimensec);
  if (has(fattr::ctime)) line.time("ctime", in.ctime, in.ctimensec);
  if (has(fattr::lock_owner)) line.hex("lock_owner", in.lock_owner);
}
void put(Line& line, const fuse_mknod_in& in) {
  line.octal("mode", in.mode).unless_zero("rdev", in.rdev).octal("umask", in.umask);
}
void put(Line& line, const fuse_mkdir_in& in) { line.octal("mode", in.mode).octal("umask", in.umask); }
void put(Line& line, const fuse_rename_in& in) { line("newdir", in.newdir); }
void put(Line& line, const fuse_rename2_in& in) { line("newdir", in.newdir).hex("flags", in.flags); }
void put(Line& line, const fuse_link_in& in) { line("oldino", in.oldnodeid); }
void put(Line& line, const fuse_open_in& in) {
  line.hex("flags", in.flags).flags_unless_zero("open_flags", in.open_flags);
}
void put(Line& line, const fuse_create_in& in) {
  line.hex("flags", in.flags).octal("mode", in.mode).octal("umask", in.umask);
  line.flags_unless_zero("open_flags", in.open_flags);
}
/// READ and WRITE, whose structures differ in one name only.
void put_range(Line& line, std::uint64_t fh, std::uint64_t offset, std::uint32_t size, std::uint32_t own_flags,
               std::uint64_t lock_owner) {
  line("fh", fh)("offset", offset)("size", size);
  line.flags_unless_zero("io_flags", own_flags).flags_unless_zero("lock_owner", lock_owner);
}
void put(Line& line, const fuse_read_in& in) {
  put_range(line, in.fh, in.offset, in.size, in.read_flags, in.lock_owner);
}
void put(Line& line, const fuse_write_in& in) {
  put_range(line, in.fh, in.offset, in.size, in.write_flags, in.lock_owner);
}
void put(Line& line, const fuse_release_in& in) {
  line("fh", in.fh).hex("flags", in.flags).flags_unless_zero("release_flags", in.release_flags);
  line.flags_unless_zero("lock_owner", in.lock_owner);
}
void put(Line& line, const fuse_flush_in& in) { line("fh", in.fh).hex("lock_owner", in.lock_owner); }
void put(Line& line, const fuse_fsync_in& in) {
  line("fh", in.fh);
  if ((in.fsync_flags & fsync_flag::data_only) != 0) line.words("data_only");
}
void put(Line& line, const fuse_setxattr_in& in) {
  line("size", in.size).hex("flags", in.flags).flags_unless_zero("setxattr_flags", in.setxattr_flags);
}
void put(Line& line, const fuse_getxattr_in& in) { line("size", in.size); }
void put(Line& line, const fuse_file_lock& lock) {
  line("type", lock.type)("start", lock.start)("end", lock.end)("lock_pid", lock.pid);
}
void put(Line& line, const fuse_lk_in& in) {
  put(line("fh", in.fh).hex("owner", in.owner), in.lk);
  if ((in.lk_flags & lk_flag::flock) != 0) line.words("flock");
}
void put(Line& line, const fuse_access_in& in) { line.hex("mask", in.mask); }
void put(Line& line, const fuse_init_in& in) {
  const std::uint64_t upper = has(in.flags, Capability::INIT_EXT) ? std::uint64_t{in.flags2} << 32 : 0;
  line("version", fmt::format("{}.{}", in.major, in.minor))("max_readahead", in.max_readahead);
  line("flags", to_text(in.flags | upper));
}
void put(Line& line, const cuse_init_in& in) {
  line("version", fmt::format("{}.{}", in.major, in.minor)).hex("flags", in.flags);
}
void put(Line& line, const fuse_interrupt_in& in) { line("interrupted", in.unique); }
void put(Line& line, const fuse_bmap_in& in) { line("block", in.block)("blocksize", in.blocksize); }
void put(Line& line, const fuse_ioctl_in& in) {
  line("fh", in.fh).hex("cmd", in.cmd).hex("arg", in.arg).flags_unless_zero("flags", in.flags);
  line("in_size", in.in_size)("out_size", in.out_size);
}
void put(Line& line, const fuse_poll_in& in) {
  line("fh", in.fh)("kh", in.kh).hex("events", in.events).flags_unless_zero("flags", in.flags);
}
void put(Line& line, const fuse_notify_retrieve_in& in) { line("offset", in.offset)("size", in.size); }
void put(Line& line, const fuse_fallocate_in& in) {
  line("fh", in.fh)("offset", in.offset)("length", in.length).hex("mode", in.mode);
}
void put(Line& line, const fuse_lseek_in& in) { line("fh", in.fh)("offset", in.offset)("whence", in.whence); }
void put(Line& line, const fuse_copy_file_range_in& in) {
  line("fh", in.fh_in)("offset", in.off_in)("to_ino", in.nodeid_out)("to_fh", in.fh_out)("to_offset", in.off_out);
  line("length", in.len).flags_unless_zero("flags", in.flags);
}
void put(Line& line, const fuse_setupmapping_in& in) {
  line("fh", in.fh)("offset", in.foffset)("length", in.len).hex("flags", in.flags)("moffset", in.moffset);
}
void put(Line& line, const fuse_removemapping_in& in) { line("count", in.count); }
void put(Line&, const fuse_syncfs_in&) {}

// The same for replies.
void put(Line& line, const fuse_attr& attr) {
  line("attr_ino", attr.ino).octal("mode", attr.mode)("nlink", attr.nlink)("owner", attr.uid)("group", attr.gid);
  line("size", attr.size)("blocks", attr.blocks).time("mtime", attr.mtime, attr.mtimensec);
}
void put(Line& line, const fuse_entry_out& out) {
  line("nodeid", out.nodeid)("generation", out.generation);
  line.time("entry_valid", out.entry_valid, out.entry_valid_nsec);
  put(line.time("attr_valid", out.attr_valid, out.attr_valid_nsec), out.attr);
}
void put(Line& line, const fuse_attr_out& out) {
  put(line.time("attr_valid", out.attr_valid, out.attr_valid_nsec), out.attr);
}
void put(Line& line, const fuse_statx_out& out) {
  const fuse_statx& stat = out.stat;
  line.time("attr_valid", out.attr_valid, out.attr_valid_nsec).hex("mask", stat.mask);
  line("attr_ino", stat.ino).octal("mode", stat.mode)("nlink", stat.nlink)("owner", stat.uid)("group", stat.gid);
  line("size", stat.size)("blocks", stat.blocks);
  line.time("btime", static_cast<std::uint64_t>(stat.btime.tv_sec), stat.btime.tv_nsec);
}
void put(Line& line, const fuse_open_out& out) {
  line("fh", out.fh).hex("open_flags", out.open_flags);
  if ((out.open_flags & fopen_flag::passthrough) != 0) line("backing_id", out.backing_id);
}
void put(Line& line, const fuse_write_out& out) { line("size", out.size); }
void put(Line& line, const fuse_statfs_out& out) {
  line("blocks", out.st.blocks)("bfree", out.st.bfree)("bavail", out.st.bavail)("files", out.st.files);
  line("ffree", out.st.ffree)("bsize", out.st.bsize)("namelen", out.st.namelen)("frsize", out.st.frsize);
}
void put(Line& line, const fuse_lk_out& out) { put(line, out.lk); }
void put(Line& line, const fuse_bmap_out& out) { line("block", out.block); }
void put(Line& line, const fuse_ioctl_out& out) {
  line("result", out.result).flags_unless_zero("flags", out.flags);
  line.unless_zero("in_iovs", out.in_iovs).unless_zero("out_iovs", out.out_iovs);
}
void put(Line& line, const fuse_poll_out& out) { line.hex("revents", out.revents); }
void put(Line& line, const fuse_lseek_out& out) { line("offset", out.offset); }
void put(Line& line, const fuse_copy_file_range_out& out) { line("copied", out.bytes_copied); }
void put(Line& line, const fuse_init_out& out) {
  const std::uint64_t upper = has(out.flags, Capability::INIT_EXT) ? std::uint64_t{out.flags2} << 32 : 0;
  line("version", fmt::format("{}.{}", out.major, out.minor))("max_readahead", out.max_readahead);
  line("flags", to_text(out.flags | upper))("max_background", out.max_background);
  line("congestion_threshold", out.congestion_threshold)("max_write", out.max_write);
  line.unless_zero("time_gran", out.time_gran).unless_zero("max_pages", out.max_pages);
  line.unless_zero("max_stack_depth", out.max_stack_depth).unless_zero("request_timeout", out.request_timeout);
}

// And for notifications.
void put(Line& line, const fuse_notify_poll_wakeup_out& out) { line("kh", out.kh); }
void put(Line& line, const fuse_notify_inval_inode_out& out) {
  line("ino", out.ino)("offset", out.off)("length", out.len);
}
void put(Line& line, const fuse_notify_inval_entry_out& out) {
  line("parent", out.parent);
  if ((out.flags & inval_entry_flag::expire_only) != 0) line.words("expire_only");
}
void put(Line& line, const fuse_notify_store_out& out) { line("ino", out.nodeid)("offset", out.offset); }
void put(Line& line, const fuse_notify_retrieve_out& out) {
  line("retrieve", out.notify_unique)("ino", out.nodeid)("offset", out.offset)("size", out.size);
}
void put(Line& line, const fuse_notify_delete_out& out) { line("parent", out.parent)("child", out.child); }
void put(Line& line, const fuse_notify_prune_out& out) { line("count", out.count); }

/// A structure at the front of `body`, or that it is not all there.
template <class T>
void put_front(Line& line, Bytes& body) {
  if (body.size() < sizeof(T)) {
    line.words(fmt::format("malformed: {} bytes instead of {}", body.size(), sizeof(T)));
    body = {};
    return;
  }
  put(line, copy_out<T>(body));
  body = body.subspan(sizeof(T));
}

void put_arguments(Line& line, Opcode opcode, Bytes arguments) {
  switch (opcode) {
#define OPERATION(NAME, number, handler, since, structure, ...) \
  case Opcode::NAME:                                            \
    return put(line, copy_out<structure>(arguments));
#include "wire/operations.def"
#undef OPERATION
  }
}

/// What the strings of an operation are called in the line.
std::string_view name_label(Opcode opcode, unsigned index) {
  if (index == 0) return "name";
  return opcode == Opcode::SYMLINK ? "target" : "newname";
}

void put_extensions(Line& line, Bytes bytes) {
  const Result<Extensions> extensions = Extensions::parse(bytes);
  if (!extensions) {
    line.words("malformed: " + extensions.error().message());
    return;
  }
  if (!extensions->groups.empty()) line("groups", fmt::format("{}", fmt::join(extensions->groups, ",")));
  for (const SecurityContext& context : extensions->security_contexts) {
    const auto* value = reinterpret_cast<const char*>(context.value.data());
    line("context", fmt::format("{}:{}", quoted(context.name), quoted({value, context.value.size()})));
  }
}

/// The fixed part of an answer; what is left of `body` afterwards is data.
void put_reply(Line& line, ReplyKind kind, Bytes& body) {
  switch (kind) {
    case ReplyKind::entry:
      return put_front<fuse_entry_out>(line, body);
    case ReplyKind::attributes:
      return put_front<fuse_attr_out>(line, body);
    case ReplyKind::open:
      return put_front<fuse_open_out>(line, body);
    case ReplyKind::create:
      put_front<fuse_entry_out>(line, body);
      return put_front<fuse_open_out>(line, body);
    case ReplyKind::write:
      return put_front<fuse_write_out>(line, body);
    case ReplyKind::statfs:
      return put_front<fuse_statfs_out>(line, body);
    case ReplyKind::lock:
      return put_front<fuse_lk_out>(line, body);
    case ReplyKind::bmap:
      return put_front<fuse_bmap_out>(line, body);
    case ReplyKind::ioctl:
      return put_front<fuse_ioctl_out>(line, body);
    case ReplyKind::poll:
      return put_front<fuse_poll_out>(line, body);
    case ReplyKind::lseek:
      return put_front<fuse_lseek_out>(line, body);
    case ReplyKind::statx:
      return put_front<fuse_statx_out>(line, body);
    case ReplyKind::copy_file_range_64:
      return put_front<fuse_copy_file_range_out>(line, body);
    case ReplyKind::init:
      put(line, copy_out<fuse_init_out>(body));  // shorter from an older minor
      body = {};
      return;
    case ReplyKind::none:
    case ReplyKind::empty:
    case ReplyKind::xattr:
    case ReplyKind::data:
      return;
  }
}

std::string error_name(std::int32_t error) {
  // Negated as unsigned, so that no value overflows.
  const auto code = static_cast<std::int32_t>(0u - static_cast<std::uint32_t>(error));
  const char* name = strerrorname_np(code);
  return name != nullptr ? std::string(name) : fmt::format("{}", error);
}

}  // namespace

std::string quoted(std::string_view bytes) {
  std::string text = "\"";
  for (const char c : bytes) {
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '\t') {
      text += "\\t";
    } else if (c >= ' ' && c <= '~') {
      text += c;
    } else {
      // Octal, three digits: unlike \x, a C escape that cannot swallow the characters behind it.
      fmt::format_to(std::back_inserter(text), "\\{:03o}", static_cast<unsigned char>(c));
    }
  }
  text += '"';
  return text;
}

std::string describe(const Message& message, unsigned minor, std::uint64_t init_flags) {
  if (message.header == nullptr) return "malformed: no header";
  const fuse_in_header& header = *message.header;
  const OperationRow* row = find_operation(header.opcode);
  Line line(row != nullptr ? std::string(row->name) : fmt::format("opcode {}", header.opcode));
  line("unique", header.unique & ~unique_resend)("ino", header.nodeid);
  if ((header.unique & unique_resend) != 0) line.words("resent");
  const auto caller = [&] { return line("pid", header.pid)("uid", header.uid).take(); };
  if (row == nullptr) {
    line("data", message.arguments.size() + message.payload.size());
    return caller();
  }
  Message arranged = message;
  const Status status = arrange(arranged, *row, minor, init_flags);
  if (!status) {
    line.words("malformed: " + status.error().message());
    return caller();
  }
  put_arguments(line, row->opcode, arranged.arguments);
  Decoder decoder(arranged);
  for (unsigned index = 0; index < row->names; ++index) {
    if (const auto text = decoder.text()) line(name_label(row->opcode, index), quoted(*text));
  }
  line.unless_zero("data", decoder.rest().size());
  if (!arranged.extensions.empty()) put_extensions(line, arranged.extensions);
  return caller();
}

std::string describe_reply(Opcode opcode, const fuse_out_header& header, Bytes body) {
  const OperationRow* row = find_operation(static_cast<std::uint32_t>(opcode));
  Line line(row != nullptr ? std::string(row->name) : fmt::format("opcode {}", static_cast<std::uint32_t>(opcode)));
  line("unique", header.unique);
  if (header.error != 0) {
    line("error", error_name(header.error));
  } else if (row != nullptr) {
    put_reply(line, row->reply, body);
  }
  return line.unless_zero("data", body.size()).take();
}

std::string describe_notification(const fuse_out_header& header, Bytes body) {
  const NotificationRow* row = find_notification(header.error);
  Line line(row != nullptr ? std::string(row->name) : fmt::format("notification {}", header.error));
  if (row == nullptr) return line.unless_zero("data", body.size()).take();
  if (body.size() < row->arguments) {
    line.words(fmt::format("malformed: {} bytes instead of {}", body.size(), row->arguments));
    return line.take();
  }
  switch (row->code) {
#define NOTIFICATION(NAME, code, since, structure) \
  case Notify::NAME:                               \
    put(line, copy_out<structure>(body));          \
    break;
#include "wire/notifications.def"
#undef NOTIFICATION
  }
  body = body.subspan(row->arguments);
  if (row->code == Notify::INVAL_ENTRY || row->code == Notify::DELETE) {
    const std::string_view name(reinterpret_cast<const char*>(body.data()), body.size());
    line("name", quoted(name.substr(0, name.find('\0'))));
  } else {
    line.unless_zero("data", body.size());
  }
  return line.take();
}

}  // namespace fuselage::wire
