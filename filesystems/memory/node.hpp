// A node of the memory file system, and how to hold several of them still.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <fuselage/attributes.hpp>
#include <fuselage/result.hpp>
#include <fuselage/types.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <variant>

#include "content.hpp"
#include "directory.hpp"
#include "space.hpp"

namespace fuselage::memory {

using Xattrs = std::map<std::string, std::string, std::less<>>;

/// What a node is born with.
struct Birth {
  InodeClaim claim{};  ///< Not null.
  Ino ino{};
  ::mode_t mode = 0;  ///< With the type bits.
  ::uid_t uid = 0;
  ::gid_t gid = 0;
  ::dev_t rdev = 0;
  Ino parent{};          ///< For directories.
  std::string target{};  ///< For symbolic links.
};

/// A file, directory, link or special file. Constant members and atomics may be used freely, all others by holders of
/// `mutex` only. A thread that holds one node's mutex does not wait for another's (see `NodeLocks`).
class Node {
 public:
  explicit Node(Birth birth);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  FileType type() const noexcept { return type_; }
  bool is_directory() const noexcept { return type_ == FileType::directory; }

  Content* content() noexcept { return std::get_if<Content>(&body_); }    ///< Null unless a regular file.
  Directory* names() noexcept { return std::get_if<Directory>(&body_); }  ///< Null unless a directory.
  const std::string* target() const noexcept { return std::get_if<std::string>(&body_); }  ///< Null unless a link.

  Attributes attributes() const;

  /// Content or names changed.
  void modified() noexcept { mtime = ctime = Timestamp::now(); }
  void changed() noexcept { ctime = Timestamp::now(); }
  /// Whether reading now moves atime: as mount(8) describes relatime.
  bool wants_atime(const Timestamp& now) const noexcept;
  /// Drops setuid, and setgid where the group may execute.
  void kill_suidgid() noexcept;
  /// Drops what execve(2) would grant: done with any change of content or owner.
  void kill_capabilities() noexcept;

  /// ENOSPC if `value` does not fit any more.
  Result<void> set_xattr(std::string_view name, Bytes value);
  bool remove_xattr(std::string_view name) noexcept;

  const Ino ino;
  const ::dev_t rdev;
  const Timestamp btime;
  std::atomic<Ino> parent;  ///< Of a directory; changes only while it is moved to another one.
  mutable std::shared_mutex mutex;

  ::mode_t mode;
  ::uid_t uid;
  ::gid_t gid;
  std::uint32_t nlink;
  bool linkable = false;  ///< Without a name, but link(2) may give it one.
  Timestamp atime = btime;
  Timestamp mtime = btime;
  Timestamp ctime = btime;
  std::unique_ptr<Xattrs> xattrs;  ///< Null while there are none.

 private:
  const FileType type_;
  InodeClaim claim_;
  std::variant<std::monostate, Content, Directory, std::string> body_;
};

/// Exclusive locks of up to four nodes (null ones and repetitions are skipped). It never waits while it holds one, so
/// it cannot deadlock in whatever order nodes are given; what was seen before it must be checked again.
class NodeLocks {
 public:
  explicit NodeLocks(std::array<Node*, 4> nodes);
  ~NodeLocks();
  NodeLocks(const NodeLocks&) = delete;
  NodeLocks& operator=(const NodeLocks&) = delete;

 private:
  std::array<Node*, 4> nodes_{};
  std::size_t count_ = 0;
};

}  // namespace fuselage::memory
