// The trivial memory file system that every server of the bench serves: only the way of a request differs.
//
//   /file      8 MiB, read and written in place          /fleeting  the same file under a name that is never cached
//   /many      10,000 empty files                        /million   1,000,000 empty files
//   /made      what is created there, without content
//   /tree      1,000 directories with 1,000 empty files each
//   /deep      directories named "d", each in the one before, 64 in all with this one; in the last one is
//   /deep/.../file
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
      for (std::uint64_t ino = file; ino <= deep; ++ino) {
        if (name == top_names[ino - file]) return {ino};
      }
    } else if (const Crowd crowd = crowd_of(parent); crowd.size > 0) {
      std::uint64_t index = crowd.size;
      if (name.starts_with(crowd.initial)) std::from_chars(name.data() + 1, name.data() + name.size(), index);
      if (index < crowd.size) return {crowd.first + index};
    } else if (parent == deep || is_deep_directory(parent)) {
      const std::uint64_t next = parent == deep ? first_of(deep) : parent + 1;
      if (name == (next == deep_file ? "file" : "d")) return {next};
    } else if (parent == made) {
      const std::lock_guard lock(mutex_);
      const auto at = created_.find(name);
      if (at != created_.end()) return {at->second};
    }
    return {};
  }

  static struct ::stat attributes(std::uint64_t ino) {
    struct ::stat out {};
    const bool directory = ino == root || (ino > file && ino <= deep) || ino >> 32 == tree || is_deep_directory(ino);
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

  bool rename(std::string_view from, std::string_view to) {
    const std::lock_guard lock(mutex_);
    const auto at = created_.find(from);
    if (at == created_.end()) return false;
    const std::uint64_t ino = at->second;
    created_.erase(at);
    created_.insert_or_assign(std::string(to), ino);
    return true;
  }

  /// Calls `visit(name, ino, next)` for the names of a directory from `offset` on, until it returns false.
  template <class Visit>
  static void list(std::uint64_t directory, std::uint64_t offset, Visit visit) {
    const Crowd crowd = crowd_of(directory);
    for (std::uint64_t i = offset; i < crowd.size; ++i) {
      char text[16];
      std::string_view name;
      if (directory == root) {
        name = top_names[i];
      } else {
        text[0] = crowd.initial;
        name = {text, static_cast<std::size_t>(std::to_chars(text + 1, text + sizeof text, i).ptr - text)};
      }
      if (!visit(name, crowd.first + i, i + 1)) return;
    }
  }

  static constexpr std::uint64_t file = 2;
  static constexpr std::uint64_t many = 3;
  static constexpr std::uint64_t million = 4;
  static constexpr std::uint64_t made = 5;
  static constexpr std::uint64_t tree = 6;
  static constexpr std::uint64_t deep = 7;
  static constexpr std::uint64_t depth = 64;
  /// The one at the end of /deep.
  static constexpr std::uint64_t deep_file = (deep << 32) + depth - 1;

 private:
  // What is in a directory of many: an initial and a number each.
  struct Crowd {
    std::uint64_t size = 0;
    std::uint64_t first = 0;
    char initial = 'f';
  };

  static constexpr std::string_view top_names[] = {"file", "many", "million", "made", "tree", "deep"};
  static constexpr std::uint64_t leaves = 8;  // as if they were in a directory of this number: those in /tree/*

  static constexpr std::uint64_t first_of(std::uint64_t directory) { return directory << 32; }
  static constexpr bool is_deep_directory(std::uint64_t ino) { return ino >= first_of(deep) && ino < deep_file; }
  static constexpr Crowd crowd_of(std::uint64_t directory) {
    if (directory == root) return {deep - file + 1, file};
    if (directory == many) return {10'000, first_of(many)};
    if (directory == million) return {1'000'000, first_of(million)};
    if (directory == tree) return {1'000, first_of(tree), 'd'};
    if (directory >> 32 == tree) return {1'000, first_of(leaves) + (directory - first_of(tree)) * 1'000};
    return {};
  }

  std::vector<char> content_ = std::vector<char>(size, 'x');
  std::mutex mutex_;
  std::map<std::string, std::uint64_t, std::less<>> created_;  // guarded by mutex_
  std::uint64_t next_created_ = first_of(made);                // guarded by mutex_
};

}  // namespace bench
