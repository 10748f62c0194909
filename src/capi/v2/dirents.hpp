// How the names of a directory lie in the buffer that a program fills with fuse_add_direntry.
#pragma once

#include <cstdint>
#include <cstring>
#include <fuselage/directory_sink.hpp>

namespace fuselage::capi2 {

/// The beginning of an entry; the name follows, padded to a multiple of 8.
struct Dirent {
  std::uint64_t ino;
  std::uint64_t off;
  std::uint32_t name_size;
  std::uint32_t type;  ///< As d_type.
};

constexpr std::size_t dirent_size(std::size_t name_size) noexcept { return (sizeof(Dirent) + name_size + 7) / 8 * 8; }

/// Puts the entries into the sink. An entry that is cut off ends it, as in the kernel.
inline void unpack(Bytes packed, DirectorySink& sink) {
  Dirent entry;
  while (packed.size() >= sizeof entry) {
    std::memcpy(&entry, packed.data(), sizeof entry);
    const std::size_t size = dirent_size(entry.name_size);
    if (entry.name_size > packed.size() || size > packed.size()) return;
    const auto name = text_of(packed.subspan(sizeof entry, entry.name_size));
    if (!sink.add(name, Ino{entry.ino}, static_cast<FileType>(entry.type << 12), entry.off)) return;
    packed = packed.subspan(size);
  }
}

}  // namespace fuselage::capi2
