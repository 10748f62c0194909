// Names, nodes and their attributes.
#include "inode/answer.hpp"
#include "inode/dispatch.hpp"
#include "wire/kernel.hpp"

namespace fuselage::inode {
namespace {

// The kernel's 32-bit encoding of a device number (new_encode_dev), which is what makedev gives up to 12:20 bits.
::dev_t to_dev(std::uint32_t encoded) { return encoded; }

auto entry_answer(FileSystem& file_system, Request& request) {
  return [&file_system, &request](const Entry& entry) { answer_entry(file_system, request, entry); };
}

auto attributes_answer(Request& request) {
  return [&request](const Attributes& found) { answer_attributes(request, found); };
}

// The kernel asks with flags 0 where it used to ask without any.
std::optional<RenameFlags> to_rename_flags(std::uint32_t bits) {
  RenameFlags flags;
  flags.no_replace = (bits & RENAME_NOREPLACE) != 0;
  flags.exchange = (bits & RENAME_EXCHANGE) != 0;
  flags.whiteout = (bits & RENAME_WHITEOUT) != 0;
  if ((bits & ~unsigned{RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT}) != 0) return std::nullopt;
  return flags;
}

void rename(FileSystem& file_system, Request& request, Ino new_parent, RenameFlags flags) {
  Decoder decoder(request.message);
  const auto name = decoder.name();
  const auto new_name = decoder.name();
  if (!name || !new_name) return refuse_malformed(request);
  complete(request, file_system.rename(request.context(), request.ino(), *name, new_parent, *new_name, flags));
}

const OpenFile* file_if(Request& request, bool given, std::uint64_t handle) {
  return given ? &open_file(request, handle) : nullptr;
}

}  // namespace

template <>
void dispatch<Opcode::LOOKUP>(FileSystem& file_system, Request& request) {
  const auto name = Decoder(request.message).name();
  if (!name) return refuse_malformed(request);
  complete(request, file_system.lookup(request.context(), request.ino(), *name), entry_answer(file_system, request));
}

template <>
void dispatch_notice<Opcode::FORGET>(FileSystem& file_system, const Incoming& notice) {
  file_system.forget(notice.ino(), Decoder(notice.message).arguments<wire::fuse_forget_in>().nlookup);
}

template <>
void dispatch_notice<Opcode::BATCH_FORGET>(FileSystem& file_system, const Incoming& notice) {
  Decoder decoder(notice.message);
  const auto count = decoder.arguments<wire::fuse_batch_forget_in>().count;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto one = decoder.item<wire::fuse_forget_one>();
    if (!one) return;
    file_system.forget(Ino{one->nodeid}, one->nlookup);
  }
}

template <>
void dispatch<Opcode::GETATTR>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_getattr_in>();
  const OpenFile* file = file_if(request, (in.getattr_flags & wire::getattr_flag::fh) != 0, in.fh);
  complete(request, file_system.getattr(request.context(), request.ino(), file), attributes_answer(request));
}

template <>
void dispatch<Opcode::STATX>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_statx_in>();
  const OpenFile* file = file_if(request, (in.getattr_flags & wire::getattr_flag::fh) != 0, in.fh);
  complete(request, file_system.getattr(request.context(), request.ino(), file), attributes_answer(request));
}

template <>
void dispatch<Opcode::SETATTR>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_setattr_in>();
  const OpenFile* file = nullptr;
  if ((in.valid & wire::fattr::fh) != 0) file = &open_file(request, in.fh, 0, in.lock_owner);
  const SetAttributes& changes = request.keep(to_set_attributes(in));
  complete(request, file_system.setattr(request.context(), request.ino(), changes, file), attributes_answer(request));
}

template <>
void dispatch<Opcode::READLINK>(FileSystem& file_system, Request& request) {
  complete(request, file_system.readlink(request.context(), request.ino()), [&request](const std::string& target) {
    constexpr std::size_t longest = 4095;  // the kernel fails longer ones with EIO (fuse_readlink_folio)
    answer_data(request, Data::borrow(std::string_view(target).substr(0, longest)), longest);
  });
}

template <>
void dispatch<Opcode::SYMLINK>(FileSystem& file_system, Request& request) {
  Decoder decoder(request.message);
  const auto name = decoder.name();
  const auto target = decoder.text();
  if (!name || !target) return refuse_malformed(request);
  complete(request, file_system.symlink(request.context(), request.ino(), *name, *target),
           entry_answer(file_system, request));
}

template <>
void dispatch<Opcode::MKNOD>(FileSystem& file_system, Request& request) {
  Decoder decoder(request.message);
  const auto in = decoder.arguments<wire::fuse_mknod_in>();
  const auto name = decoder.name();
  if (!name) return refuse_malformed(request);
  complete(request, file_system.mknod(request.context(), request.ino(), *name, in.mode, to_dev(in.rdev)),
           entry_answer(file_system, request));
}

template <>
void dispatch<Opcode::MKDIR>(FileSystem& file_system, Request& request) {
  Decoder decoder(request.message);
  const auto in = decoder.arguments<wire::fuse_mkdir_in>();
  const auto name = decoder.name();
  if (!name) return refuse_malformed(request);
  complete(request, file_system.mkdir(request.context(), request.ino(), *name, in.mode & ~::mode_t{S_IFMT}),
           entry_answer(file_system, request));
}

template <>
void dispatch<Opcode::UNLINK>(FileSystem& file_system, Request& request) {
  const auto name = Decoder(request.message).name();
  if (!name) return refuse_malformed(request);
  complete(request, file_system.unlink(request.context(), request.ino(), *name));
}

template <>
void dispatch<Opcode::RMDIR>(FileSystem& file_system, Request& request) {
  const auto name = Decoder(request.message).name();
  if (!name) return refuse_malformed(request);
  complete(request, file_system.rmdir(request.context(), request.ino(), *name));
}

template <>
void dispatch<Opcode::RENAME>(FileSystem& file_system, Request& request) {
  rename(file_system, request, Ino{Decoder(request.message).arguments<wire::fuse_rename_in>().newdir}, {});
}

template <>
void dispatch<Opcode::RENAME2>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_rename2_in>();
  const auto flags = to_rename_flags(in.flags);
  if (!flags) {
    request.fail(Error{EINVAL});
    return;
  }
  rename(file_system, request, Ino{in.newdir}, *flags);
}

template <>
void dispatch<Opcode::LINK>(FileSystem& file_system, Request& request) {
  Decoder decoder(request.message);
  const Ino ino{decoder.arguments<wire::fuse_link_in>().oldnodeid};
  const auto name = decoder.name();
  if (!name) return refuse_malformed(request);
  complete(request, file_system.link(request.context(), ino, request.ino(), *name), entry_answer(file_system, request));
}

template <>
void dispatch<Opcode::ACCESS>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_access_in>();
  complete(request, file_system.access(request.context(), request.ino(), static_cast<int>(in.mask)));
}

template <>
void dispatch<Opcode::STATFS>(FileSystem& file_system, Request& request) {
  complete(request, file_system.statfs(request.context(), request.ino()),
           [&request](const StatFs& found) { request.answer(to_statfs_out(found)); });
}

template <>
void dispatch<Opcode::SYNCFS>(FileSystem& file_system, Request& request) {
  complete(request, file_system.syncfs(request.context(), request.ino()));
}

}  // namespace fuselage::inode
