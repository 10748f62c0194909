#include "testing/answers.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "wire/encoder.hpp"
#include "wire/kernel.hpp"

namespace fuselage::fake {
namespace {

std::chrono::nanoseconds duration(std::uint64_t seconds, std::uint32_t nanoseconds) {
  constexpr std::uint64_t most = 9'000'000'000;  // as much as nanoseconds in 64 bits can say
  return std::chrono::seconds(std::min(seconds, most)) + std::chrono::nanoseconds(nanoseconds);
}

Timestamp timestamp(std::uint64_t seconds, std::uint32_t nanoseconds) {
  return {static_cast<std::int64_t>(seconds), nanoseconds};
}

Timestamp timestamp(const wire::fuse_sx_time& time) { return {time.tv_sec, time.tv_nsec}; }

Attributes attributes_of(const wire::fuse_attr& attr) {
  Attributes attributes;
  attributes.ino = Ino{attr.ino};
  attributes.mode = attr.mode;
  attributes.nlink = attr.nlink;
  attributes.uid = attr.uid;
  attributes.gid = attr.gid;
  attributes.rdev = attr.rdev;
  attributes.size = attr.size;
  attributes.blocks = attr.blocks;
  attributes.block_size = attr.blksize;
  attributes.atime = timestamp(attr.atime, attr.atimensec);
  attributes.mtime = timestamp(attr.mtime, attr.mtimensec);
  attributes.ctime = timestamp(attr.ctime, attr.ctimensec);
  attributes.submount = (attr.flags & wire::attr_flag::submount) != 0;
  return attributes;
}

Entry entry_of(const wire::fuse_entry_out& out) {
  Entry entry;
  entry.ino = Ino{out.nodeid};
  entry.generation = out.generation;
  entry.timeout = duration(out.entry_valid, out.entry_valid_nsec);
  entry.attributes = attributes_of(out.attr);
  entry.attributes.timeout = duration(out.attr_valid, out.attr_valid_nsec);
  return entry;
}

Opened opened_of(const wire::fuse_open_out& out) {
  const auto has = [&out](std::uint32_t flag) { return (out.open_flags & flag) != 0; };
  Opened opened;
  opened.handle = Handle{out.fh};
  opened.direct_io = has(wire::fopen_flag::direct_io);
  opened.keep_cache = has(wire::fopen_flag::keep_cache);
  opened.nonseekable = has(wire::fopen_flag::nonseekable);
  opened.cache_dir = has(wire::fopen_flag::cache_dir);
  opened.stream = has(wire::fopen_flag::stream);
  opened.noflush = has(wire::fopen_flag::noflush);
  opened.parallel_direct_writes = has(wire::fopen_flag::parallel_direct_writes);
  if (has(wire::fopen_flag::passthrough)) opened.backing_id = out.backing_id;
  return opened;
}

}  // namespace

Result<void> to_nothing(const std::string& /*body*/) { return {}; }

Result<std::string> to_text(const std::string& body) { return body; }

Result<Entry> to_entry(const std::string& body) { return entry_of(structure<wire::fuse_entry_out>(body)); }

Result<Attributes> to_attributes(const std::string& body) {
  const auto out = structure<wire::fuse_attr_out>(body);
  Attributes attributes = attributes_of(out.attr);
  attributes.timeout = duration(out.attr_valid, out.attr_valid_nsec);
  return attributes;
}

Result<Attributes> to_statx(const std::string& body) {
  const auto out = structure<wire::fuse_statx_out>(body);
  const wire::fuse_statx& stat = out.stat;
  Attributes attributes;
  attributes.ino = Ino{stat.ino};
  attributes.mode = stat.mode;
  attributes.nlink = stat.nlink;
  attributes.uid = stat.uid;
  attributes.gid = stat.gid;
  attributes.rdev = ::makedev(stat.rdev_major, stat.rdev_minor);
  attributes.size = stat.size;
  attributes.blocks = stat.blocks;
  attributes.block_size = stat.blksize;
  attributes.atime = timestamp(stat.atime);
  attributes.mtime = timestamp(stat.mtime);
  attributes.ctime = timestamp(stat.ctime);
  if ((stat.mask & STATX_BTIME) != 0) attributes.btime = timestamp(stat.btime);
  attributes.timeout = duration(out.attr_valid, out.attr_valid_nsec);
  return attributes;
}

Result<Opened> to_opened(const std::string& body) { return opened_of(structure<wire::fuse_open_out>(body)); }

Result<Created> to_created(const std::string& body) {
  return Created{entry_of(structure<wire::fuse_entry_out>(body)),
                 opened_of(structure<wire::fuse_open_out>(body, sizeof(wire::fuse_entry_out)))};
}

Result<std::size_t> to_written(const std::string& body) {
  return std::size_t{structure<wire::fuse_write_out>(body).size};
}

Result<std::uint64_t> to_copied(const std::string& body) {
  return std::uint64_t{structure<wire::fuse_write_out>(body).size};
}

Result<std::size_t> to_size(const std::string& body) {
  return std::size_t{structure<wire::fuse_getxattr_out>(body).size};
}

Result<StatFs> to_statfs(const std::string& body) {
  const wire::fuse_kstatfs st = structure<wire::fuse_statfs_out>(body).st;
  StatFs statfs;
  statfs.blocks = st.blocks;
  statfs.blocks_free = st.bfree;
  statfs.blocks_available = st.bavail;
  statfs.files = st.files;
  statfs.files_free = st.ffree;
  statfs.block_size = st.bsize;
  statfs.fragment_size = st.frsize;
  statfs.name_max = st.namelen;
  return statfs;
}

Result<std::vector<std::string>> to_names(const std::string& body) {
  std::vector<std::string> names;
  for (std::size_t at = 0; at < body.size(); at += names.back().size() + 1) {
    names.push_back(body.substr(at, body.find('\0', at) - at));
  }
  return names;
}

std::optional<std::vector<ListedEntry>> parse_listing(std::string_view bytes, bool plus) {
  std::vector<ListedEntry> entries;
  const std::size_t head = plus ? sizeof(wire::fuse_entry_out) : 0;
  while (!bytes.empty()) {
    if (bytes.size() < head + sizeof(wire::fuse_dirent)) return std::nullopt;
    const auto dirent = wire::copy_out<wire::fuse_dirent>(bytes_of(bytes.substr(head)));
    const std::size_t whole = plus ? wire::direntplus_size(dirent.namelen) : wire::dirent_size(dirent.namelen);
    if (whole > bytes.size()) return std::nullopt;
    ListedEntry entry;
    entry.name = bytes.substr(head + sizeof dirent, dirent.namelen);
    entry.ino = Ino{dirent.ino};
    entry.type = static_cast<FileType>(dirent.type << 12);
    entry.next = dirent.off;
    if (plus) {
      const Entry known = entry_of(wire::copy_out<wire::fuse_entry_out>(bytes_of(bytes)));
      if (known.ino != Ino{}) entry.entry = known;
    }
    entries.push_back(std::move(entry));
    bytes.remove_prefix(whole);
  }
  return entries;
}

Result<std::vector<ListedEntry>> to_listing(const std::string& body) {
  return parse_listing(body, false).value_or(std::vector<ListedEntry>());
}

Result<std::vector<ListedEntry>> to_listing_plus(const std::string& body) {
  return parse_listing(body, true).value_or(std::vector<ListedEntry>());
}

Result<Lock> to_lock(const std::string& body) {
  const wire::fuse_file_lock found = structure<wire::fuse_lk_out>(body).lk;
  Lock lock;
  lock.type = found.type == F_RDLCK ? Lock::Type::read : found.type == F_WRLCK ? Lock::Type::write : Lock::Type::unlock;
  lock.start = found.start;
  lock.end = found.end;
  lock.pid = static_cast<::pid_t>(found.pid);
  return lock;
}

// BMAP, LSEEK and COPY_FILE_RANGE_64 answer with a number of 64 bits.
Result<std::uint64_t> to_number(const std::string& body) { return structure<std::uint64_t>(body); }

Result<IoctlReply> to_ioctl(const std::string& body) {
  const auto out = structure<wire::fuse_ioctl_out>(body);
  IoctlReply reply;
  reply.result = out.result;
  reply.retry = (out.flags & wire::ioctl_flag::retry) != 0;
  const std::string rest = body.substr(std::min(sizeof out, body.size()));
  if (!reply.retry) {
    reply.output = Data::own(rest);
    return reply;
  }
  for (std::uint32_t i = 0; i < out.in_iovs + out.out_iovs && i < wire::ioctl_max_iov; ++i) {
    const auto range = structure<wire::fuse_ioctl_iovec>(rest, i * sizeof(wire::fuse_ioctl_iovec));
    (i < out.in_iovs ? reply.input_ranges : reply.output_ranges).push_back({range.base, range.len});
  }
  return reply;
}

Result<std::uint32_t> to_events(const std::string& body) { return structure<wire::fuse_poll_out>(body).revents; }

}  // namespace fuselage::fake
