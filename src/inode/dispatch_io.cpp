// Open files: their life, their data, and what else is done with them.
#include "inode/answer.hpp"
#include "inode/dispatch.hpp"
#include "wire/kernel.hpp"

namespace fuselage::inode {
namespace {

auto open_answer(FileSystem& file_system, Request& request) {
  return [&file_system, &request](const Opened& opened) -> Reply<void> {
    if (request.answer(to_open_out(opened))) return {};
    return release_opened(file_system, request, request.ino(), opened.handle);
  };
}

std::uint64_t owner_if(bool given, std::uint64_t owner) { return given ? owner : 0; }

template <class Out>
void copy_file_range(FileSystem& file_system, Request& request, Out to_out) {
  const auto in = Decoder(request.message).arguments<wire::fuse_copy_file_range_in>();
  const OpenFile& source = open_file(request, in.fh_in);
  const OpenFile& target = open_file(request, in.fh_out);
  complete(request,
           file_system.copy_file_range(request.context(), request.ino(), source, in.off_in, Ino{in.nodeid_out}, target,
                                       in.off_out, in.len, in.flags),
           [&request, to_out, most = in.len](std::uint64_t copied) {
             if (copied > most) return refuse_answer(request, "the handler says it copied more than was asked for");
             request.answer(to_out(copied));
           });
}

}  // namespace

template <>
void dispatch<Opcode::OPEN>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_open_in>();
  complete(request, file_system.open(request.context(), request.ino(), OpenFlags{static_cast<int>(in.flags)}),
           open_answer(file_system, request));
}

template <>
void dispatch<Opcode::OPENDIR>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_open_in>();
  complete(request, file_system.opendir(request.context(), request.ino(), OpenFlags{static_cast<int>(in.flags)}),
           open_answer(file_system, request));
}

template <>
void dispatch<Opcode::CREATE>(FileSystem& file_system, Request& request) {
  Decoder decoder(request.message);
  const auto in = decoder.arguments<wire::fuse_create_in>();
  const auto name = decoder.name();
  if (!name) return refuse_malformed(request);
  complete(request,
           file_system.create(request.context(), request.ino(), *name, in.mode, OpenFlags{static_cast<int>(in.flags)}),
           [&file_system, &request](const Created& created) { return answer_created(file_system, request, created); });
}

template <>
void dispatch<Opcode::TMPFILE>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_create_in>();
  complete(request,
           file_system.tmpfile(request.context(), request.ino(), in.mode, OpenFlags{static_cast<int>(in.flags)}),
           [&file_system, &request](const Created& created) { return answer_created(file_system, request, created); });
}

template <>
void dispatch<Opcode::READ>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_read_in>();
  const OpenFile& file =
      open_file(request, in.fh, in.flags, owner_if((in.read_flags & wire::read_flag::lock_owner) != 0, in.lock_owner));
  complete(request, file_system.read(request.context(), request.ino(), file, Range{in.offset, in.size}),
           [&request, most = in.size](const Data& data) { answer_data(request, data, most); });
}

template <>
void dispatch<Opcode::WRITE>(FileSystem& file_system, Request& request) {
  Decoder decoder(request.message);
  const auto in = decoder.arguments<wire::fuse_write_in>();
  const auto bytes = decoder.bytes(in.size);
  if (!bytes) return refuse_malformed(request);
  const OpenFile& file = open_file(request, in.fh, in.flags,
                                   owner_if((in.write_flags & wire::write_flag::lock_owner) != 0, in.lock_owner));
  WriteFlags flags;
  flags.from_cache = (in.write_flags & wire::write_flag::cache) != 0;
  flags.kill_suidgid = (in.write_flags & wire::write_flag::kill_suidgid) != 0;
  complete(request, file_system.write(request.context(), request.ino(), file, in.offset, *bytes, flags),
           [&request, most = in.size](std::size_t written) {
             if (written > most) return refuse_answer(request, "the handler says it wrote more than it was given");
             wire::fuse_write_out out{};
             out.size = static_cast<std::uint32_t>(written);
             request.answer(out);
           });
}

template <>
void dispatch<Opcode::FLUSH>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_flush_in>();
  complete(request, file_system.flush(request.context(), request.ino(), open_file(request, in.fh, 0, in.lock_owner)));
}

template <>
void dispatch<Opcode::RELEASE>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_release_in>();
  const OpenFile& file = open_file(request, in.fh, in.flags, in.lock_owner);
  const bool flock_unlock = (in.release_flags & wire::release_flag::flock_unlock) != 0;
  complete(request, file_system.release(request.context(), request.ino(), file, flock_unlock));
}

template <>
void dispatch<Opcode::FSYNC>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_fsync_in>();
  const bool data_only = (in.fsync_flags & wire::fsync_flag::data_only) != 0;
  complete(request, file_system.fsync(request.context(), request.ino(), open_file(request, in.fh), data_only));
}

template <>
void dispatch<Opcode::FALLOCATE>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_fallocate_in>();
  complete(request, file_system.fallocate(request.context(), request.ino(), open_file(request, in.fh),
                                          static_cast<int>(in.mode), in.offset, in.length));
}

template <>
void dispatch<Opcode::LSEEK>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_lseek_in>();
  complete(request,
           file_system.lseek(request.context(), request.ino(), open_file(request, in.fh), in.offset,
                             static_cast<int>(in.whence)),
           [&request](std::uint64_t found) {
             wire::fuse_lseek_out out{};
             out.offset = found;
             request.answer(out);
           });
}

template <>
void dispatch<Opcode::COPY_FILE_RANGE>(FileSystem& file_system, Request& request) {
  copy_file_range(file_system, request, [](std::uint64_t copied) {
    wire::fuse_write_out out{};
    out.size = static_cast<std::uint32_t>(std::min<std::uint64_t>(copied, UINT32_MAX));
    return out;
  });
}

template <>
void dispatch<Opcode::COPY_FILE_RANGE_64>(FileSystem& file_system, Request& request) {
  copy_file_range(file_system, request, [](std::uint64_t copied) {
    wire::fuse_copy_file_range_out out{};
    out.bytes_copied = copied;
    return out;
  });
}

template <>
void dispatch<Opcode::BMAP>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_bmap_in>();
  complete(request, file_system.bmap(request.context(), request.ino(), in.blocksize, in.block),
           [&request](std::uint64_t block) {
             wire::fuse_bmap_out out{};
             out.block = block;
             request.answer(out);
           });
}

template <>
void dispatch<Opcode::IOCTL>(FileSystem& file_system, Request& request) {
  Decoder decoder(request.message);
  const auto in = decoder.arguments<wire::fuse_ioctl_in>();
  const auto input = decoder.bytes(in.in_size);
  if (!input) return refuse_malformed(request);
  const auto has = [&in](std::uint32_t flag) { return (in.flags & flag) != 0; };
  IoctlCall call;
  call.command = in.cmd;
  call.argument = in.arg;
  call.input = *input;
  call.output_size = in.out_size;
  call.compat = has(wire::ioctl_flag::compat);
  call.unrestricted = has(wire::ioctl_flag::unrestricted);
  call.directory = has(wire::ioctl_flag::directory);
  const IoctlCall& kept = request.keep(call);
  complete(request, file_system.ioctl(request.context(), request.ino(), open_file(request, in.fh), kept),
           [&request, &kept](const IoctlReply& reply) { answer_ioctl(request, kept, reply); });
}

template <>
void dispatch<Opcode::POLL>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_poll_in>();
  const PollHandle wake{(in.flags & wire::poll_flag::schedule_notify) != 0 ? in.kh : 0};
  complete(request, file_system.poll(request.context(), request.ino(), open_file(request, in.fh), in.events, wake),
           [&request](std::uint32_t ready) {
             wire::fuse_poll_out out{};
             out.revents = ready;
             request.answer(out);
           });
}

template <>
void dispatch<Opcode::SETUPMAPPING>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_setupmapping_in>();
  Mapping mapping;
  mapping.file_offset = in.foffset;
  mapping.length = in.len;
  mapping.window_offset = in.moffset;
  mapping.readable = (in.flags & wire::setupmapping_flag::read) != 0;
  mapping.writable = (in.flags & wire::setupmapping_flag::write) != 0;
  complete(request, file_system.setupmapping(request.context(), request.ino(), open_file(request, in.fh), mapping));
}

template <>
void dispatch<Opcode::REMOVEMAPPING>(FileSystem& file_system, Request& request) {
  Decoder decoder(request.message);
  const auto count = decoder.arguments<wire::fuse_removemapping_in>().count;
  if (count > decoder.rest().size() / sizeof(wire::fuse_removemapping_one)) return refuse_malformed(request);
  // The items lie unaligned in the message: they move to the request's own memory.
  auto* const ranges = reinterpret_cast<WindowRange*>(request.reply_buffer(count * sizeof(WindowRange)).data());
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto one = decoder.item<wire::fuse_removemapping_one>();
    new (ranges + i) WindowRange{one->moffset, one->len};
  }
  complete(request, file_system.removemapping(request.context(), request.ino(), std::span(ranges, count)));
}

}  // namespace fuselage::inode
