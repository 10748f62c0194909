// The trivial memory file system that every server of the bench serves: only the way of a request differs.
//
//   /file      8 MiB, read and written in place          /fleeting  the same file under a name that is never cached
//   /many      10,000 empty files                        /million   1,000,000 empty files
//   /made      what is created there, without content
#pragma once

#include <sys/stat.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

class Store {
 public:
  static constexpr std::uint64_t root = 1;
  static constexpr std::uint64_t size = 8 << 20;
  /// The kernel may believe everything for so long, but the name "fleeting".
  static constexpr std::uint64_t timeout_seconds = 3600;
  static constexpr std::string_view fleeting = "fleeting";

  struct Name {
    std::uint64_t ino = 0;  ///< 0: there is none.
    bool cached = true;
  };

  Name lookup(std::uint64_t parent, std::string_view name) {
    if (parent == root) {
      if (name == fleeting) return {file, false};
      for (std::uint64_t ino = file; ino <= made; ++ino) {
        if (name == top_names[ino - file]) return {ino};
      }
    } else if (const std::uint64_t count = crowd(parent); count > 0) {
      std::uint64_t index = count;
      if (name.starts_with('f')) std::from_chars(name.data() + 1, name.data() + name.size(), index);
      if (index < count) return {first_of(parent) + index};
    } else if (parent == made) {
      const std::lock_guard lock(mutex_);
      const auto at = created_.find(name);
      if (at != created_.end()) return {at->second};
    }
    return {};
  }

  static struct ::stat attributes(std::uint64_t ino) {
    struct ::stat out {};
    const bool directory = ino == root || (ino > file && ino <= made);
    out.st_ino = ino;
    out.st_mode = directory ? S_IFDIR | 0755 : S_IFREG | 0644;
    out.st_nlink = directory ? 2 : 1;
    out.st_size = ino == file ? static_cast<::off_t>(size) : 0;
    out.st_blocks = out.st_size / 512;
    out.st_blksize = 4096;
    return out;
  }

  /// A part of the file: fewer bytes at its end.
  std::string_view read(std::uint64_t offset, std::size_t length) const {
    if (offset >= size) return {};
    return {content_.data() + offset, std::min<std::size_t>(length, size - offset)};
  }
  /// Answers how many bytes were taken.
  std::size_t write(std::uint64_t offset, const void* bytes, std::size_t length) {
    if (offset >= size) return 0;
    length = std::min<std::size_t>(length, size - offset);
    std::memcpy(content_.data() + offset, bytes, length);
    return length;
  }

  std::uint64_t create(std::string_view name) {
    const std::lock_guard lock(mutex_);
    return created_.emplace(name, next_created_++).first->second;
  }
  bool unlink(std::string_view name) {
    const std::lock_guard lock(mutex_);
    const auto at = created_.find(name);
    if (at == created_.end()) return false;
    created_.erase(at);
    return true;
  }

  /// Calls `visit(name, ino, next)` for the names of a directory from `offset` on, until it returns false.
  template <class Visit>
  static void list(std::uint64_t directory, std::uint64_t offset, Visit visit) {
    const std::uint64_t count = directory == root ? made - file + 1 : crowd(directory);
    for (std::uint64_t i = offset; i < count; ++i) {
      char text[16];
      std::string_view name;
      if (directory == root) {
        name = top_names[i];
      } else {
        text[0] = 'f';
        name = {text, static_cast<std::size_t>(std::to_chars(text + 1, text + sizeof text, i).ptr - text)};
      }
      if (!visit(name, directory == root ? file + i : first_of(directory) + i, i + 1)) return;
    }
  }

  static constexpr std::uint64_t file = 2;
  static constexpr std::uint64_t many = 3;
  static constexpr std::uint64_t million = 4;
  static constexpr std::uint64_t made = 5;

 private:
  static constexpr std::string_view top_names[] = {"file", "many", "million", "made"};
  static constexpr std::uint64_t crowd(std::uint64_t directory) {
    return directory == many ? 10'000 : directory == million ? 1'000'000 : 0;
  }
  static constexpr std::uint64_t first_of(std::uint64_t directory) { return directory << 32; }

  std::vector<char> content_ = std::vector<char>(size, 'x');
  std::mutex mutex_;
  std::map<std::string, std::uint64_t, std::less<>> created_;  // guarded by mutex_
  std::uint64_t next_created_ = first_of(made);                // guarded by mutex_
};

}  // namespace bench
