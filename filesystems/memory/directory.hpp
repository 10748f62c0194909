// The names of a directory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fuselage/types.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace fuselage::memory {

inline constexpr std::uint32_t max_name = 255;  ///< Bytes of one name.

/// What a name leads to.
struct Name {
  std::string text;
  Ino ino{};  ///< 0: the name was erased.
  FileType type = FileType::unknown;
  std::uint32_t hash = 0;
  std::uint64_t cursor = 0;  ///< Grows with each name that was ever inserted; positions of readdir.
};

/// Names in the order of their insertion, found by hash. `find`, `insert`, `replace` and `erase` take constant time on
/// average, to go on behind a cursor takes a binary search. A name keeps its cursor as long as it is there, so a
/// listing that goes on from a cursor neither skips nor repeats it, whatever else came and went. Not thread-safe.
class Directory {
 public:
  /// Positions up to this one are left for "." and "..".
  static constexpr std::uint64_t first_cursor = 2;

  std::size_t size() const noexcept { return live_; }
  bool empty() const noexcept { return live_ == 0; }

  /// Null if it is not there; valid until the next change.
  const Name* find(std::string_view name) const noexcept;

  /// A name that is not there.
  void insert(std::string_view name, Ino ino, FileType type);
  /// A name that is there, and stays in its place.
  void replace(std::string_view name, Ino ino, FileType type) noexcept;
  /// A name that is there.
  void erase(std::string_view name) noexcept;

  /// Calls `visit(const Name&)` for the names behind `cursor`, in order, until it returns false.
  template <class Visit>
  void visit_after(std::uint64_t cursor, Visit visit) const {
    for (std::size_t i = index_after(cursor); i < names_.size(); ++i) {
      if (names_[i].ino != Ino{} && !visit(names_[i])) return;
    }
  }

 private:
  static std::uint32_t hash_of(std::string_view name) noexcept;
  std::size_t bucket_of(std::string_view name, std::uint32_t hash) const noexcept;
  std::size_t index_after(std::uint64_t cursor) const noexcept;
  void rebuild();

  std::vector<Name> names_;             ///< By cursor; erased ones stay until there are more of them than others.
  std::vector<std::uint32_t> buckets_;  ///< Open addressing: 1 + index into `names_`, or 0; a power of two of them.
  std::size_t live_ = 0;
  std::size_t first_ = 0;  ///< All names before this one are erased: who removes what was listed starts over quickly.
  std::uint64_t next_cursor_ = first_cursor + 1;
};

}  // namespace fuselage::memory
