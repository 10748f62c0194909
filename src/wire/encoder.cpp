#include "wire/encoder.hpp"

#include <cstring>

namespace fuselage::wire {

bool DirectoryWriter::add(const DirectoryEntry& entry) {
  if (dirent_size(entry.name.size()) > buffer_.size() - used_) return false;
  append_entry(entry);
  return true;
}

bool DirectoryWriter::add(const DirectoryEntry& entry, const fuse_entry_out& attributes) {
  if (direntplus_size(entry.name.size()) > buffer_.size() - used_) return false;
  append(&attributes, sizeof(attributes));
  append_entry(entry);
  return true;
}

void DirectoryWriter::append(const void* bytes, std::size_t count) {
  if (count != 0) std::memcpy(buffer_.data() + used_, bytes, count);
  used_ += count;
}

void DirectoryWriter::append_entry(const DirectoryEntry& entry) {
  const fuse_dirent dirent{entry.ino, entry.next_offset, static_cast<std::uint32_t>(entry.name.size()), entry.type};
  append(&dirent, sizeof(dirent));
  append(entry.name.data(), entry.name.size());
  // Zeros, or the padding would show the kernel what the buffer held before.
  constexpr std::byte zeros[8]{};
  append(zeros, dirent_size(entry.name.size()) - sizeof(dirent) - entry.name.size());
}

}  // namespace fuselage::wire
