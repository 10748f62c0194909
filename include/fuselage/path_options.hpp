// Module: path.
//
// How paths and nodes shall be kept, and what is changed on the way between a `PathFileSystem` and the kernel.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <fuselage/options.hpp>
#include <optional>

namespace fuselage {

/// The choices of the path level. Each has an option for `-o`, see `add_path_options`. `PathFileSystem::init` may
/// change them; those marked (open) then only take effect if the file system has `open`.
struct PathOptions {
  using Time = std::chrono::nanoseconds;
  static constexpr Time for_ever = Time::max();

  bool use_ino = false;      ///< `st_ino` is `Attributes::ino`; otherwise the library's own number of the node.
  bool hard_links = false;   ///< Names with equal `Attributes::ino` (and nlink above 1) are one node.
  bool readdir_ino = false;  ///< readdir(3) shows the library's numbers of the nodes that are known.

  /// A file that is open when it loses its last name is renamed to `.fuse_hidden...` instead, and removed when it is
  /// closed, for file systems that cannot do without a path. (open)
  bool hide_removed = false;
  /// Operations on open files come without a path and wait for no rename.
  bool omit_paths = false;

  std::optional<Time> attr_timeout{};     ///< For `Attributes` that do not say; unset: the session's.
  std::optional<Time> entry_timeout{};    ///< For names; unset: the session's.
  Time negative_timeout{};                ///< For how long the kernel may believe that a name does not exist.
  bool kernel_cache = false;              ///< What the kernel has cached of a file is kept when it is opened. (open)
  bool auto_cache = false;                ///< The same, if time and size have not changed since. (open)
  std::optional<Time> ac_attr_timeout{};  ///< How old the attributes for that may be; unset: `attr_timeout`.
  bool direct_io = false;                 ///< Bypass the page cache for every file. (open)

  std::optional<::mode_t> umask{};  ///< Show permissions 0777 without these bits.
  std::optional<::uid_t> uid{};     ///< Show this owner.
  std::optional<::gid_t> gid{};     ///< Show this group.

  /// Keep nodes that the kernel forgot, for NFS; `for_ever` is what noforget says. The kernel only asks for such nodes
  /// with `Capability::EXPORT_SUPPORT`, which the session has to enable.
  Time remember{};
  std::uint64_t max_nodes = 0;  ///< Ask the kernel to let go of nodes when there are more; 0: never.
};

/// Adds a row for each member to `table`, except `attr_timeout` and `entry_timeout`, which a session has too. `options`
/// must outlive the use of `table`.
void add_path_options(OptionSet& table, PathOptions& options);

}  // namespace fuselage
