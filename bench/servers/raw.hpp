// The floor: what answers a request with as little as the protocol asks for. For one transport each, a program puts a
// loop around it.
#pragma once

#include <fcntl.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "store.hpp"
#include "wire/capabilities.hpp"
#include "wire/encoder.hpp"
#include "wire/kernel.hpp"

namespace bench {

namespace wire = fuselage::wire;

constexpr std::size_t max_write = 1 << 20;

/// Opens the device and mounts it; ends the program when it cannot.
inline int mount_raw(const char* mountpoint, const char* name) {
  const int device = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
  const std::string options = "fd=" + std::to_string(device) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
  if (device < 0 || ::mount(name, mountpoint, "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    std::perror(name);
    std::exit(1);
  }
  return device;
}

/// One message, wherever its parts lie.
struct Question {
  const wire::fuse_in_header& header;
  const char* arguments;
  const char* payload;
};

/// Its answer: a body that was built in the buffer, or bytes that lie elsewhere.
struct Answer {
  int error = 0;
  const void* body = nullptr;
  std::size_t size = 0;
  bool none = false;
};

class Raw {
 public:
  /// `ring`: ask for io_uring.
  explicit Raw(bool ring) : ring_(ring) {}

  /// `out` has room for `max_write` bytes, aligned to 8; it may be the memory of the payload.
  Answer answer(const Question& question, char* out) {
    using wire::Opcode;
    const std::uint64_t ino = question.header.nodeid;
    switch (static_cast<Opcode>(question.header.opcode)) {
      case Opcode::GETATTR: {
        auto& attributes = make<wire::fuse_attr_out>(out);
        attributes.attr_valid = Store::timeout_seconds;
        fill(attributes.attr, ino);
        return body(attributes);
      }
      case Opcode::SETATTR: {
        auto& attributes = make<wire::fuse_attr_out>(out);
        attributes.attr_valid = Store::timeout_seconds;
        fill(attributes.attr, ino);
        return body(attributes);
      }
      case Opcode::READ: {
        const auto in = get<wire::fuse_read_in>(question.arguments);
        const auto bytes = store_.read(in.offset, in.size);
        return {0, bytes.data(), bytes.size()};
      }
      case Opcode::WRITE: {
        const auto in = get<wire::fuse_write_in>(question.arguments);
        const std::size_t size = store_.write(in.offset, question.payload, in.size);
        auto& written = make<wire::fuse_write_out>(out);
        written.size = static_cast<std::uint32_t>(size);
        return body(written);
      }
      case Opcode::LOOKUP:
        return lookup(ino, question.payload, out);
      case Opcode::CREATE: {
        const std::uint64_t created = store_.create(question.payload);
        auto& entry = make<wire::fuse_entry_out>(out);
        fill(entry, {created});
        make<wire::fuse_open_out>(out + sizeof entry);
        return {0, out, sizeof entry + sizeof(wire::fuse_open_out)};
      }
      case Opcode::UNLINK:
        return {store_.unlink(question.payload) ? 0 : ENOENT};
      case Opcode::RENAME: {
        const std::string_view from(question.payload);
        return {store_.rename(from, from.data() + from.size() + 1) ? 0 : ENOENT};
      }
      case Opcode::READDIR:
        return list(ino, get<wire::fuse_read_in>(question.arguments), out, false);
      case Opcode::READDIRPLUS:
        return list(ino, get<wire::fuse_read_in>(question.arguments), out, true);
      case Opcode::INIT:
        return init(get<wire::fuse_init_in>(question.arguments), out);
      case Opcode::RELEASE:
      case Opcode::RELEASEDIR:
      case Opcode::DESTROY:
        return {};
      case Opcode::FORGET:
      case Opcode::BATCH_FORGET:
      case Opcode::INTERRUPT:
        return {.none = true};
      default:  // OPEN, OPENDIR and FLUSH among them, which the kernel then leaves out
        return {ENOSYS};
    }
  }

  /// How many bytes of arguments stand before the payload.
  static std::size_t arguments_size(std::uint32_t opcode) {
    switch (static_cast<wire::Opcode>(opcode)) {
      case wire::Opcode::WRITE:
        return sizeof(wire::fuse_write_in);
      case wire::Opcode::CREATE:
        return sizeof(wire::fuse_create_in);
      case wire::Opcode::RENAME:
        return sizeof(wire::fuse_rename_in);
      default:  // one name, or nothing that is looked at
        return 0;
    }
  }

 private:
  template <class T>
  static T get(const char* bytes) {
    T value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }
  template <class T>
  static T& make(char* out) {
    return *new (out) T{};
  }
  template <class T>
  static Answer body(const T& structure) {
    return {0, &structure, sizeof structure};
  }

  static void fill(wire::fuse_attr& out, std::uint64_t ino) {
    const struct ::stat in = Store::attributes(ino);
    out.ino = ino;
    out.size = static_cast<std::uint64_t>(in.st_size);
    out.blocks = static_cast<std::uint64_t>(in.st_blocks);
    out.mode = in.st_mode;
    out.nlink = static_cast<std::uint32_t>(in.st_nlink);
    out.blksize = 4096;
  }
  static void fill(wire::fuse_entry_out& out, Store::Name name) {
    out.nodeid = name.ino;
    out.entry_valid = name.cached ? Store::timeout_seconds : 0;
    out.attr_valid = Store::timeout_seconds;
    fill(out.attr, name.ino);
  }

  Answer lookup(std::uint64_t parent, const char* name, char* out) {
    const Store::Name found = store_.lookup(parent, name);
    if (found.ino == 0) return {ENOENT};
    auto& entry = make<wire::fuse_entry_out>(out);
    fill(entry, found);
    return body(entry);
  }

  static Answer list(std::uint64_t directory, const wire::fuse_read_in& in, char* out, bool plus) {
    wire::DirectoryWriter writer({reinterpret_cast<std::byte*>(out), std::min<std::size_t>(in.size, max_write)});
    Store::list(directory, in.offset, [&](std::string_view name, std::uint64_t ino, std::uint64_t next) {
      const wire::DirectoryEntry entry{name, ino, Store::attributes(ino).st_mode >> 12, next};
      if (!plus) return writer.add(entry);
      wire::fuse_entry_out attributes{};
      fill(attributes, {ino});
      return writer.add(entry, attributes);
    });
    return {0, out, writer.size()};
  }

  Answer init(const wire::fuse_init_in& in, char* out) const {
    using wire::Capability;
    std::uint64_t flags = 0;
    for (const Capability wanted :
         {Capability::ASYNC_READ, Capability::BIG_WRITES, Capability::READDIRPLUS, Capability::READDIRPLUS_AUTO,
          Capability::ASYNC_DIO, Capability::NO_OPEN_SUPPORT, Capability::PARALLEL_DIROPS, Capability::MAX_PAGES,
          Capability::CACHE_SYMLINKS, Capability::NO_OPENDIR_SUPPORT, Capability::HANDLE_KILLPRIV_V2,
          Capability::INIT_EXT}) {
      flags |= wire::bit(wanted);
    }
    if (ring_) flags |= wire::bit(Capability::OVER_IO_URING);
    flags &= in.flags | std::uint64_t{in.flags2} << 32;
    auto& answer = make<wire::fuse_init_out>(out);
    answer.major = wire::kernel_major;
    answer.minor = wire::kernel_minor;
    answer.max_readahead = in.max_readahead;
    answer.flags = static_cast<std::uint32_t>(flags);
    answer.flags2 = static_cast<std::uint32_t>(flags >> 32);
    answer.max_background = 64;
    answer.congestion_threshold = 48;
    answer.max_write = max_write;
    answer.max_pages = max_write / 4096;
    answer.time_gran = 1;
    return body(answer);
  }

  Store store_;
  const bool ring_;
};

}  // namespace bench
