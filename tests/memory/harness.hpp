// Calls the handlers of a Memory as the kernel would, and throws away the ceremony.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "filesystems/memory/memory.hpp"

namespace fuselage::memory {

/// The answer of a handler that answers at once.
template <class T>
Result<T> now(Reply<T> reply) {
  EXPECT_TRUE(reply.ready());
  return reply.take();
}

/// 0, or the errno.
template <class T>
int code(const Result<T>& result) {
  return result ? 0 : result.error().code();
}

class Harness {
 public:
  explicit Harness(Options options = {.size = 1 << 30, .inodes = 1 << 20, .mode = 0755, .uid = 0, .gid = 0})
      : fs(options) {}

  /// A file, directory, ... that must come to be.
  Ino file(Ino parent, std::string_view name, mode_t mode = 0644) {
    return now(fs.create(context, parent, name, S_IFREG | mode, OpenFlags{O_RDWR | O_EXCL})).value().entry.ino;
  }
  Ino directory(Ino parent, std::string_view name, mode_t mode = 0755) {
    return now(fs.mkdir(context, parent, name, mode)).value().ino;
  }
  Ino tmpfile(int flags = 0) {
    return now(fs.tmpfile(context, root_ino, S_IFREG | 0600, OpenFlags{O_RDWR | flags})).value().entry.ino;
  }

  /// The number behind a name, without keeping the lookup; 0 if there is none.
  Ino find(Ino parent, std::string_view name) {
    auto entry = now(fs.lookup(context, parent, name));
    if (!entry) return Ino{};
    if (entry->ino != Ino{}) fs.forget(entry->ino, 1);
    return entry->ino;
  }

  Attributes stat(Ino ino) { return now(fs.getattr(context, ino, nullptr)).value(); }
  Result<Attributes> set(Ino ino, const SetAttributes& changes) {
    return now(fs.setattr(context, ino, changes, nullptr));
  }

  Result<std::size_t> write(Ino ino, std::uint64_t offset, std::string_view text, WriteFlags flags = {}) {
    return now(fs.write(context, ino, {}, offset, bytes_of(text), flags));
  }
  /// The same two where there is nothing to see.
  void put(Ino ino, std::uint64_t offset, std::string_view text) {
    EXPECT_EQ(write(ino, offset, text).value_or(0), text.size());
  }
  void resize(Ino ino, std::uint64_t size) { EXPECT_EQ(code(set(ino, {.size = size})), 0); }
  std::string read(Ino ino, std::uint64_t offset = 0, std::size_t size = 1 << 20) {
    const auto data = now(fs.read(context, ino, {}, Range{offset, size}));
    return data ? std::string(text_of(data->bytes())) : "error " + std::to_string(data.error().code());
  }
  int fallocate(Ino ino, int mode, std::uint64_t offset, std::uint64_t length) {
    return code(now(fs.fallocate(context, ino, {}, mode, offset, length)));
  }
  Result<std::uint64_t> seek(Ino ino, std::uint64_t offset, int whence) {
    return now(fs.lseek(context, ino, {}, offset, whence));
  }
  Result<std::uint64_t> copy(Ino from, std::uint64_t offset, Ino to, std::uint64_t to_offset, std::uint64_t length) {
    return now(fs.copy_file_range(context, from, {}, offset, to, {}, to_offset, length, 0));
  }

  int unlink(Ino parent, std::string_view name) { return code(now(fs.unlink(context, parent, name))); }
  int rmdir(Ino parent, std::string_view name) { return code(now(fs.rmdir(context, parent, name))); }
  int rename(Ino parent, std::string_view name, Ino new_parent, std::string_view new_name, RenameFlags flags = {}) {
    return code(now(fs.rename(context, parent, name, new_parent, new_name, flags)));
  }
  int link(Ino ino, Ino parent, std::string_view name) {
    auto entry = now(fs.link(context, ino, parent, name));
    if (entry) fs.forget(entry->ino, 1);
    return code(entry);
  }

  /// One entry as READDIR packs it.
  struct Listed {
    Ino ino{};
    std::uint64_t next = 0;
    std::uint32_t type = 0;
    std::string name;
  };
  /// What one READDIR with a buffer of `size` bytes answers.
  std::vector<Listed> list_some(Ino ino, std::uint64_t offset, std::size_t size = 4096) {
    std::vector<std::byte> buffer(size);
    DirectorySink sink(buffer, false, {}, {});
    EXPECT_EQ(code(now(fs.readdir(context, ino, {}, offset, sink))), 0);
    EXPECT_FALSE(sink.failed());
    return unpack(sink.packed());
  }
  /// All names but "." and "..".
  std::vector<std::string> list(Ino ino) {
    std::vector<std::string> names;
    std::uint64_t offset = 0;
    for (;;) {
      const auto some = list_some(ino, offset);
      if (some.empty()) return names;
      for (const Listed& entry : some) {
        if (entry.name != "." && entry.name != "..") names.push_back(entry.name);
      }
      offset = some.back().next;
    }
  }

  /// Reads fuse_dirent: ino, off, namelen, type, name, padding to 8 bytes.
  static std::vector<Listed> unpack(Bytes packed) {
    std::vector<Listed> result;
    while (!packed.empty()) {
      Listed entry;
      std::uint64_t numbers[2];
      std::uint32_t lengths[2];
      std::memcpy(numbers, packed.data(), 16);
      std::memcpy(lengths, packed.data() + 16, 8);
      entry.ino = Ino{numbers[0]};
      entry.next = numbers[1];
      entry.type = lengths[1];
      entry.name = text_of(packed.subspan(24, lengths[0]));
      packed = packed.subspan((24 + lengths[0] + 7) / 8 * 8);
      result.push_back(std::move(entry));
    }
    return result;
  }

  Memory fs;
  Context context;
};

}  // namespace fuselage::memory
