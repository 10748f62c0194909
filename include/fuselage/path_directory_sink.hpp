// Module: path.
//
// Where `PathFileSystem::readdir` puts its entries.
#pragma once

#include <cstdint>
#include <fuselage/attributes.hpp>
#include <fuselage/types.hpp>
#include <string_view>

namespace fuselage {

/// Collects the entries of one `readdir` call. There are two ways to use it:
///
///   * Add every name, without `next`: the library keeps the listing of the open directory and hands it out in pieces.
///     One call for each pass over the directory.
///   * Add from `offset` on, each with `next`, the offset behind it, and stop when `add` says that there is no room:
///   for
///     directories that are too large to be listed at once.
///
/// Valid until the reply. Not thread-safe.
class PathDirectorySink {
 public:
  virtual ~PathDirectorySink() = default;

  /// The kernel would like attributes along with the names (READDIRPLUS), which saves it a lookup each.
  virtual bool wants_attributes() const noexcept = 0;

  /// Adds a name. `ino` is shown with `use_ino` only. False: there is no room (or the name is no name, and the whole
  /// call fails with EIO): stop and return.
  bool add(std::string_view name, FileType type = FileType::unknown, Ino ino = {}, std::uint64_t next = 0) {
    Attributes attributes;
    attributes.mode = static_cast<::mode_t>(type);
    attributes.ino = ino;
    return put(name, attributes, false, next);
  }
  /// The same with all that a lookup of it would tell.
  bool add(std::string_view name, const Attributes& attributes, std::uint64_t next = 0) {
    return put(name, attributes, true, next);
  }

 protected:
  /// `complete`: the attributes are those of the node, not only its number and type.
  virtual bool put(std::string_view name, const Attributes& attributes, bool complete, std::uint64_t next) = 0;
};

}  // namespace fuselage
