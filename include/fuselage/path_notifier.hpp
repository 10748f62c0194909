// Module: path.
//
// What a `PathFileSystem` may tell the kernel without being asked.
#pragma once

#include <fuselage/notifier.hpp>
#include <memory>
#include <string_view>

namespace fuselage {

namespace detail {
class NodesByPath;
}

/// `Notifier` by path; copy it freely. Thread-safe, and safe inside handlers. Where the kernel does not know the path
/// there is nothing to tell: ENOENT.
class PathNotifier {
 public:
  PathNotifier() = default;
  PathNotifier(std::weak_ptr<detail::NodesByPath> nodes, Notifier notifier) noexcept
      : nodes_(std::move(nodes)), notifier_(std::move(notifier)) {}

  /// The same handle, but its calls wait for the kernel's answer; never inside a handler.
  PathNotifier synchronous() const noexcept { return {nodes_, notifier_.synchronous()}; }

  /// The node that the kernel knows under this path.
  Result<Ino> node(std::string_view path) const;

  /// Attributes changed; the kernel asks again.
  Result<void> inval_attributes(std::string_view path) const;
  /// Attributes and cached data changed, in `size` bytes from `offset`; `size` 0: to the end.
  Result<void> inval_inode(std::string_view path, std::uint64_t offset = 0, std::uint64_t size = 0) const;
  /// The path may lead elsewhere now, or nowhere, or come to be; its directory must be known.
  Result<void> inval_entry(std::string_view path) const;
  /// The kernel shall look the path up again before it next uses it, without detaching mounts under it (since 7.38).
  Result<void> expire_entry(std::string_view path) const;
  /// The file was removed: watchers are told too.
  Result<void> deleted(std::string_view path) const;
  /// Puts bytes into the page cache of a file.
  Result<void> store(std::string_view path, std::uint64_t offset, Bytes bytes) const;
  /// Fetches what the page cache holds of `range`: see `Notifier::retrieve`.
  Result<void> retrieve(std::string_view path, Range range,
                        std::function<void(std::uint64_t offset, Bytes bytes)> done) const;
  /// The kernel shall let go of the node if nobody uses it (since 7.45).
  Result<void> prune(std::string_view path) const;

  /// For what is not about a path: `poll`, `open_backing`, `increment_epoch`, ...
  const Notifier& notifier() const noexcept { return notifier_; }

 private:
  std::weak_ptr<detail::NodesByPath> nodes_;
  Notifier notifier_;
};

}  // namespace fuselage
