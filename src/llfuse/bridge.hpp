// From the library's operations to those of an `llfuse::Operations`.
#pragma once

#include <exception>
#include <functional>
#include <fuselage/file_system.hpp>
#include <fuselage/llfuse/operations.hpp>
#include <mutex>

namespace llfuse {

/// An `Operations` as a file system: FUSEError becomes its errno; any other exception becomes EIO, is kept, and
/// `on_failure` is called.
class Bridge final : public fuselage::FileSystem {
  using Context = fuselage::Context;
  using Ino = fuselage::Ino;
  using Name = std::string_view;
  using OpenFile = fuselage::OpenFile;
  template <class T>
  using Reply = fuselage::Reply<T>;

 public:
  explicit Bridge(Operations& ops) noexcept : ops_(ops) {}

  /// Called at the first exception; set it before the session begins.
  std::function<void()> on_failure;

  /// Throws the first exception that was kept, and forgets it.
  void rethrow();

  fuselage::Result<void> init(fuselage::Negotiation& negotiation) override;
  void destroy() override;
  Reply<fuselage::Entry> lookup(const Context& context, Ino parent, Name name) override;
  void forget(Ino ino, std::uint64_t count) override;
  Reply<fuselage::Attributes> getattr(const Context& context, Ino ino, const OpenFile* file) override;
  Reply<fuselage::Attributes> setattr(const Context& context, Ino ino, const fuselage::SetAttributes& changes,
                                      const OpenFile* file) override;
  Reply<std::string> readlink(const Context& context, Ino ino) override;
  Reply<fuselage::Entry> mknod(const Context& context, Ino parent, Name name, mode_t mode, dev_t rdev) override;
  Reply<fuselage::Entry> mkdir(const Context& context, Ino parent, Name name, mode_t mode) override;
  Reply<void> unlink(const Context& context, Ino parent, Name name) override;
  Reply<void> rmdir(const Context& context, Ino parent, Name name) override;
  Reply<fuselage::Entry> symlink(const Context& context, Ino parent, Name name, Name target) override;
  Reply<void> rename(const Context& context, Ino parent, Name name, Ino new_parent, Name new_name,
                     fuselage::RenameFlags flags) override;
  Reply<fuselage::Entry> link(const Context& context, Ino ino, Ino new_parent, Name new_name) override;
  Reply<fuselage::Opened> open(const Context& context, Ino ino, fuselage::OpenFlags flags) override;
  Reply<fuselage::Data> read(const Context& context, Ino ino, const OpenFile& file, fuselage::Range range) override;
  Reply<std::size_t> write(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                           fuselage::Bytes bytes, fuselage::WriteFlags flags) override;
  Reply<void> flush(const Context& context, Ino ino, const OpenFile& file) override;
  Reply<void> release(const Context& context, Ino ino, const OpenFile& file, bool flock_unlock) override;
  Reply<void> fsync(const Context& context, Ino ino, const OpenFile& file, bool data_only) override;
  Reply<fuselage::Opened> opendir(const Context& context, Ino ino, fuselage::OpenFlags flags) override;
  Reply<void> readdir(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                      fuselage::DirectorySink& sink) override;
  Reply<void> releasedir(const Context& context, Ino ino, const OpenFile& file) override;
  Reply<void> fsyncdir(const Context& context, Ino ino, const OpenFile& file, bool data_only) override;
  Reply<fuselage::StatFs> statfs(const Context& context, Ino ino) override;
  Reply<void> setxattr(const Context& context, Ino ino, Name name, fuselage::Bytes value,
                       fuselage::XattrFlags flags) override;
  Reply<fuselage::Data> getxattr(const Context& context, Ino ino, Name name) override;
  Reply<std::vector<std::string>> listxattr(const Context& context, Ino ino) override;
  Reply<void> removexattr(const Context& context, Ino ino, Name name) override;
  Reply<void> access(const Context& context, Ino ino, int mask) override;
  Reply<fuselage::Created> create(const Context& context, Ino parent, Name name, mode_t mode,
                                  fuselage::OpenFlags flags) override;

 private:
  template <class Handler>
  auto guarded(Handler handler) noexcept -> fuselage::Result<decltype(handler())>;
  fuselage::Error failed() noexcept;

  Operations& ops_;
  std::mutex mutex_;
  std::exception_ptr failure_;  // guarded by mutex_
};

}  // namespace llfuse
