#include "testing/rules.hpp"

#include <fmt/format.h>

#include <cerrno>

#include "testing/answers.hpp"
#include "wire/notification.hpp"

namespace fuselage::fake {
namespace {

using wire::Opcode;
using Objection = std::optional<std::string>;

constexpr std::size_t most_of_readlink = 4095;  // fuse_readlink_folio

// The most bytes that a request of variable answer leaves room for.
std::size_t room(const Exchange& exchange) {
  switch (exchange.row->opcode) {
    case Opcode::READ:
    case Opcode::READDIR:
    case Opcode::READDIRPLUS:
      return exchange.arguments<wire::fuse_read_in>().size;
    case Opcode::GETXATTR:
    case Opcode::LISTXATTR:
      return exchange.arguments<wire::fuse_getxattr_in>().size;
    case Opcode::READLINK:
      return most_of_readlink;
    case Opcode::IOCTL:
      return sizeof(wire::fuse_ioctl_out) +
             std::max<std::size_t>(exchange.arguments<wire::fuse_ioctl_in>().out_size, 4096);
    case Opcode::CUSE_INIT:
      return sizeof(wire::cuse_init_out) + 4096;  // CUSE_INIT_INFO_MAX
    default:
      return wire::ReplyShape::unlimited;
  }
}

Objection check_size(const Exchange& exchange, std::size_t size, unsigned minor) {
  wire::ReplyShape shape = wire::reply_shape(exchange.row->reply, minor);
  if (exchange.row->reply == wire::ReplyKind::xattr && exchange.arguments<wire::fuse_getxattr_in>().size == 0) {
    shape = {sizeof(wire::fuse_getxattr_out), sizeof(wire::fuse_getxattr_out)};
  } else if (shape.max == wire::ReplyShape::unlimited) {
    shape.max = room(exchange);
  }
  // Of a kernel with a newer major version only the version is looked at, and it asks again.
  if (exchange.row->opcode == Opcode::INIT && exchange.arguments<wire::fuse_init_in>().major > wire::kernel_major) {
    shape = {2 * sizeof(std::uint32_t), sizeof(wire::fuse_init_out)};
  }
  if (exchange.row->opcode == Opcode::CUSE_INIT) shape.min = sizeof(wire::cuse_init_out);
  if (size >= shape.min && size <= shape.max) return {};
  return fmt::format("it has {} bytes, {} to {} are taken", size, shape.min, shape.max);
}

// fuse_valid_type, fuse_valid_size
Objection check_node(std::uint32_t mode, std::uint64_t size) {
  switch (mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFLNK:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
      break;
    default:
      return fmt::format("mode {:o} has no file type", mode);
  }
  if (size > INT64_MAX) return fmt::format("a size of {}", size);
  return {};
}

Objection check_entry(const Exchange& exchange, const wire::fuse_entry_out& entry) {
  if (entry.nodeid == 0) {
    if (exchange.row->opcode == Opcode::LOOKUP) return {};
    return "its nodeid is 0";
  }
  if (entry.nodeid == wire::root_nodeid && exchange.row->opcode != Opcode::LOOKUP) return "its nodeid is the root's";
  return check_node(entry.attr.mode, entry.attr.size);
}

Objection check_listing(const std::string& body, bool plus) {
  const auto entries = parse_listing(body, plus);
  if (!entries) return "it is no listing";
  for (const ListedEntry& entry : *entries) {
    if (!wire::valid_name(entry.name) || entry.name.size() > 1024) return "a name in it is none";
    if (!entry.entry) continue;
    if (entry.name == "." || entry.name == "..") return "an entry for . or .. counts no lookup and must be empty";
  }
  return {};
}

// fuse_getlk: convert_fuse_file_lock
Objection check_lock(const wire::fuse_file_lock& lock) {
  if (lock.type == F_UNLCK) return {};
  if (lock.type != F_RDLCK && lock.type != F_WRLCK) return "its type is none";
  if (lock.start > INT64_MAX || lock.end > INT64_MAX || lock.end < lock.start) return "its range is none";
  return {};
}

Objection check_ioctl(const Exchange& exchange, const std::string& body) {
  const auto out = structure<wire::fuse_ioctl_out>(body);
  const auto in = exchange.arguments<wire::fuse_ioctl_in>();
  const std::size_t rest = body.size() - sizeof out;
  if ((out.flags & wire::ioctl_flag::retry) == 0) {
    return rest > in.out_size ? Objection("more bytes than the caller has room for") : Objection();
  }
  if ((in.flags & wire::ioctl_flag::unrestricted) == 0) return "a retry of a restricted ioctl";
  if (rest != (std::size_t{out.in_iovs} + out.out_iovs) * sizeof(wire::fuse_ioctl_iovec)) return "miscounted vectors";
  return {};
}

Objection check_content(const Exchange& exchange, const std::string& body) {
  using wire::ReplyKind;
  switch (exchange.row->reply) {
    case ReplyKind::entry:
    case ReplyKind::create:
      return check_entry(exchange, structure<wire::fuse_entry_out>(body));
    case ReplyKind::attributes: {
      const auto out = structure<wire::fuse_attr_out>(body);
      return check_node(out.attr.mode, out.attr.size);
    }
    case ReplyKind::statx: {
      const auto out = structure<wire::fuse_statx_out>(body);
      return check_node(out.stat.mode, out.stat.size);
    }
    case ReplyKind::lock:
      return check_lock(structure<wire::fuse_lk_out>(body).lk);
    case ReplyKind::ioctl:
      return check_ioctl(exchange, body);
    default:
      break;
  }
  switch (exchange.row->opcode) {
    case Opcode::READDIR:
      return check_listing(body, false);
    case Opcode::READDIRPLUS:
      return check_listing(body, true);
    case Opcode::WRITE:
      if (structure<wire::fuse_write_out>(body).size > exchange.arguments<wire::fuse_write_in>().size) {
        return "more bytes than were to be written";
      }
      return {};
    case Opcode::COPY_FILE_RANGE:
      if (structure<wire::fuse_write_out>(body).size > exchange.arguments<wire::fuse_copy_file_range_in>().len) {
        return "more bytes than were to be copied";
      }
      return {};
    case Opcode::COPY_FILE_RANGE_64:
      if (structure<std::uint64_t>(body) > exchange.arguments<wire::fuse_copy_file_range_in>().len) {
        return "more bytes than were to be copied";
      }
      return {};
    default:
      return {};
  }
}

}  // namespace

Objection objection(const Exchange& exchange, const wire::fuse_out_header& header, const std::string& body,
                    unsigned minor) {
  if (header.len != sizeof header + body.size()) {
    return fmt::format("its header says {} bytes, there are {}", header.len, sizeof header + body.size());
  }
  if (header.error > 0 || header.error <= -512)
    return fmt::format("{} is no error", header.error);  // fuse_dev_do_write
  if (header.error != 0) return body.empty() ? Objection() : Objection("it has an error and a body");
  if (exchange.row == nullptr) return "there is no such operation, and it was answered with success";
  if (auto wrong = check_size(exchange, body.size(), minor)) return wrong;
  return check_content(exchange, body);
}

Objection objection_to_notification(const wire::fuse_out_header& header, const std::string& body, unsigned minor) {
  if (header.len != sizeof header + body.size()) {
    return fmt::format("its header says {} bytes, there are {}", header.len, sizeof header + body.size());
  }
  const wire::NotificationRow* row = wire::find_notification(header.error);
  if (row == nullptr) return fmt::format("{} is none", header.error);
  if (row->since > minor) return fmt::format("{} came with 7.{}, this is 7.{}", row->name, row->since, minor);
  if (body.size() < row->arguments) return fmt::format("{} has only {} bytes", row->name, body.size());
  const std::size_t rest = body.size() - row->arguments;
  std::size_t expected = 0;
  switch (row->code) {
    case wire::Notify::INVAL_ENTRY:
      expected = structure<wire::fuse_notify_inval_entry_out>(body).namelen + std::size_t{1};
      break;
    case wire::Notify::DELETE:
      expected = structure<wire::fuse_notify_delete_out>(body).namelen + std::size_t{1};
      break;
    case wire::Notify::STORE:
      expected = structure<wire::fuse_notify_store_out>(body).size;
      break;
    case wire::Notify::PRUNE:
      expected = structure<wire::fuse_notify_prune_out>(body).count * sizeof(std::uint64_t);
      break;
    default:
      break;
  }
  if (rest != expected) return fmt::format("{} has {} bytes behind its structure, not {}", row->name, rest, expected);
  return {};
}

}  // namespace fuselage::fake
