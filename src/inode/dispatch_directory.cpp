// Listing directories.
#include "inode/answer.hpp"
#include "inode/dispatch.hpp"
#include "wire/encoder.hpp"
#include "wire/kernel.hpp"

namespace fuselage::inode {
namespace {

// A listing that did not reach the kernel: each entry of READDIRPLUS was counted as a lookup.
void give_back_entries(FileSystem& file_system, Request& request, Bytes packed) {
  while (packed.size() >= sizeof(wire::fuse_direntplus)) {
    const auto entry = wire::copy_out<wire::fuse_direntplus>(packed);
    const auto name = text_of(packed.subspan(sizeof entry, entry.dirent.namelen));
    if (entry.entry_out.nodeid != 0 && name != "." && name != "..") {
      give_back(file_system, request, Ino{entry.entry_out.nodeid});
    }
    packed = packed.subspan(std::min(packed.size(), wire::direntplus_size(name.size())));
  }
}

void readdir(FileSystem& file_system, Request& request, bool plus) {
  const auto in = Decoder(request.message).arguments<wire::fuse_read_in>();
  const DefaultTimeouts defaults = default_timeouts(request);
  const std::size_t size = std::min<std::size_t>(in.size, request.connection().agreement().max_write);
  DirectorySink& sink =
      request.keep(DirectorySink(request.reply_buffer(size), plus, defaults.entry, defaults.attributes));
  complete(request,
           file_system.readdir(request.context(), request.ino(), open_file(request, in.fh, in.flags), in.offset, sink),
           [&file_system, &request, &sink, plus] {
             bool delivered = false;
             if (sink.failed()) {
               refuse_answer(request, "the handler added a name that no directory can hold");
             } else {
               const Bytes packed = sink.packed();
               const ::iovec part{const_cast<std::byte*>(packed.data()), packed.size()};
               delivered = request.answer(std::span(&part, packed.empty() ? 0u : 1u));
             }
             if (!delivered && plus) give_back_entries(file_system, request, sink.packed());
           });
}

}  // namespace

template <>
void dispatch<Opcode::READDIR>(FileSystem& file_system, Request& request) {
  readdir(file_system, request, false);
}

template <>
void dispatch<Opcode::READDIRPLUS>(FileSystem& file_system, Request& request) {
  readdir(file_system, request, true);
}

template <>
void dispatch<Opcode::RELEASEDIR>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_release_in>();
  complete(request, file_system.releasedir(request.context(), request.ino(), open_file(request, in.fh, in.flags)));
}

template <>
void dispatch<Opcode::FSYNCDIR>(FileSystem& file_system, Request& request) {
  const auto in = Decoder(request.message).arguments<wire::fuse_fsync_in>();
  const bool data_only = (in.fsync_flags & wire::fsync_flag::data_only) != 0;
  complete(request, file_system.fsyncdir(request.context(), request.ino(), open_file(request, in.fh), data_only));
}

}  // namespace fuselage::inode

namespace fuselage {
namespace {

std::uint32_t d_type(FileType type) noexcept { return static_cast<std::uint32_t>(type) >> 12; }

}  // namespace

bool DirectorySink::accepts(std::string_view name) noexcept {
  constexpr std::size_t longest = 255;
  failed_ = failed_ || name.size() > longest || !wire::valid_name(name);
  return !failed_;
}

bool DirectorySink::add(std::string_view name, Ino ino, FileType type, std::uint64_t next) {
  if (!accepts(name)) return false;
  wire::DirectoryWriter writer(buffer_.subspan(used_));
  const wire::DirectoryEntry entry{name, static_cast<std::uint64_t>(ino), d_type(type), next};
  const bool added = plus_ ? writer.add(entry, wire::fuse_entry_out{}) : writer.add(entry);
  used_ += writer.size();
  return added;
}

bool DirectorySink::add(std::string_view name, const Entry& entry, std::uint64_t next) {
  const Attributes& attributes = entry.attributes;
  const Ino shown = attributes.ino == Ino{} ? entry.ino : attributes.ino;
  if (!plus_ || name == "." || name == "..") return add(name, shown, file_type(attributes.mode), next);
  if (!accepts(name)) return false;
  wire::DirectoryWriter writer(buffer_.subspan(used_));
  const bool added = writer.add({name, static_cast<std::uint64_t>(shown), d_type(file_type(attributes.mode)), next},
                                inode::to_entry_out(entry, {entry_timeout_, attr_timeout_}));
  used_ += writer.size();
  return added;
}

}  // namespace fuselage
