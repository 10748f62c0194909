// The process behind `auto_unmount`.
#pragma once

#include <fuselage/result.hpp>

#include "base/unique_fd.hpp"
#include "mount/table.hpp"

namespace fuselage::mounting {

/// What makes a mount recognisable.
struct MountIdentity {
  int id = 0;
  std::string device = {};
  std::filesystem::path mountpoint = {};
  std::uint64_t unique = 0;  ///< `unique_mount_id`.

  static MountIdentity of(const MountEntry& entry);
};

/// A small process, "fuselage-umount", that holds one end of a socket; the other end is ours alone and closes with the
/// last copy of this process. When that happens it unmounts what it guards, if exactly that is still mounted there. It
/// needs neither privileges nor `allow_other`, and survives what kills its owner (its own session, no shared
/// descriptors, deaf to the terminal's signals). It is nobody's child, so nobody has to reap it. Not thread-safe.
class Watcher {
 public:
  /// None.
  Watcher() noexcept = default;

  /// Starts one that guards nothing yet; start it before the device is open and memory has grown.
  static Result<Watcher> start();

  /// From now on `mount` is unmounted in the end.
  Result<void> guard(const MountIdentity& mount);

  /// Ends it without unmounting.
  void stand_down() noexcept;

 private:
  explicit Watcher(base::UniqueFd socket) noexcept : socket_(std::move(socket)) {}

  base::UniqueFd socket_;
};

/// Unmounts `mount` lazily if it is still mounted and nothing covers it: done, ENOENT when it is gone, EBUSY when
/// covered.
Result<void> unmount_exactly(const MountIdentity& mount);

}  // namespace fuselage::mounting
