// Module: path.
//
// The name of a node as handlers of a `PathFileSystem` see it.
#pragma once

#include <fuselage/types.hpp>
#include <ostream>
#include <string>
#include <string_view>

namespace fuselage {

/// A path from the root of the mount: "/", "/a", "/a/b", of any length. A view: valid until the handler's reply, also
/// across `co_await`; the bytes are followed by a NUL. While the handler runs it leads to the node that was asked for:
/// renames and removals of the node and of the directories above it wait.
///
/// Where a card says so it may be empty: the node has lost its last name, or the session omits paths
/// (`PathOptions::omit_paths`). The open file says which node it is then.
class Path {
 public:
  constexpr Path() noexcept = default;
  /// `text` must be followed by a NUL.
  constexpr Path(const char* text, std::size_t size, Ino node) noexcept : text_(text), size_(size), node_(node) {}
  /// For tests of handlers.
  constexpr Path(const char* text) noexcept  // NOLINT: a literal is a path
      : Path(text, std::string_view(text).size(), Ino{}) {}

  constexpr std::string_view view() const noexcept { return {text_, size_}; }
  constexpr operator std::string_view() const noexcept { return view(); }  // NOLINT: it is text
  constexpr const char* c_str() const noexcept { return text_; }
  std::string string() const { return std::string(view()); }
  constexpr std::size_t size() const noexcept { return size_; }

  /// There is no path: see above.
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr bool is_root() const noexcept { return size_ == 1; }

  /// The last component; empty for the root.
  constexpr std::string_view name() const noexcept { return view().substr(view().rfind('/') + 1); }
  /// Everything before it: "/" for "/a".
  constexpr std::string_view parent() const noexcept {
    const std::size_t slash = view().rfind('/');
    return view().substr(0, slash == 0 || slash == std::string_view::npos ? 1 : slash);
  }

  /// The node, by the number that the kernel knows it by; equal under all its names, and after the last is gone. 0
  /// where there is none (yet): for a name that is looked up or to be made.
  constexpr Ino node() const noexcept { return node_; }

  friend constexpr bool operator==(const Path& a, std::string_view b) noexcept { return a.view() == b; }
  friend std::ostream& operator<<(std::ostream& out, const Path& path) { return out << path.view(); }

 private:
  const char* text_ = "";
  std::size_t size_ = 0;
  Ino node_{};
};

}  // namespace fuselage
