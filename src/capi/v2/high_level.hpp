// The operations of struct fuse_operations as a path-level file system of the library.
#pragma once

#include <fuselage/path_file_system.hpp>
#include <memory>

#include "capi/v2/high_api.hpp"
#include "capi/v2/locks.hpp"
#include "capi/v2/session.hpp"

namespace fuselage::capi2 {

/// What fuse_new was told, apart from what the levels below take.
struct HighLevelOptions {
  PathOptions path;
  LowLevelOptions low;
  int interrupt_signal = 0;  ///< `intr`: sent to the thread whose caller is interrupted; 0: none.
  std::string modules;       ///< "subdir:iconv", the outermost last.
};

/// Takes all options out of `args`. False after a message, or when help was asked for.
bool parse_high_level(fuse_args* args, HighLevelOptions& options);

/// A session of fuse_new, and the file system behind it: every operation asks the program's handler.
class HighLevel final : public ServedSession, private PathFileSystem {
 public:
  /// Takes over `fs`.
  HighLevel(struct fuse* owner, const HighLevelOptions& options, fuse_fs* fs);
  ~HighLevel() override;

  void* user_data() const noexcept override { return owner_; }

 private:
  class Asking;

  FileSystemRef file_system() override;
  OperationSet implemented() const;
  /// Can the program be asked? It may have to do without a path.
  bool has_path_for(Path path) const noexcept { return !path.empty() || nullpath_ok_; }
  static const char* or_null(Path path) noexcept { return path.empty() ? nullptr : path.c_str(); }

  Result<void> init(PathSetup& setup) override;
  void destroy() override;
  Reply<Attributes> getattr(const Context&, Path, const OpenFile*) override;
  Reply<Attributes> setattr(const Context&, Path, const SetAttributes&, const OpenFile*) override;
  Reply<std::string> readlink(const Context&, Path) override;
  Reply<Attributes> mknod(const Context&, Path, mode_t, dev_t) override;
  Reply<Attributes> mkdir(const Context&, Path, mode_t) override;
  Reply<void> unlink(const Context&, Path) override;
  Reply<void> rmdir(const Context&, Path) override;
  Reply<Attributes> symlink(const Context&, Path, std::string_view) override;
  Reply<void> rename(const Context&, Path, Path, RenameFlags) override;
  Reply<Attributes> link(const Context&, Path, const OpenFile*, Path) override;
  Reply<Opened> open(const Context&, Path, OpenFlags) override;
  Reply<Data> read(const Context&, Path, const OpenFile&, Range) override;
  Reply<std::size_t> write(const Context&, Path, const OpenFile&, std::uint64_t, Bytes, WriteFlags) override;
  Reply<StatFs> statfs(const Context&, Path) override;
  Reply<void> release(const Context&, Path, const OpenFile&, bool) override;
  Reply<void> fsync(const Context&, Path, const OpenFile&, bool) override;
  Reply<void> setxattr(const Context&, Path, std::string_view, Bytes, XattrFlags) override;
  Reply<Data> getxattr(const Context&, Path, std::string_view) override;
  Reply<std::vector<std::string>> listxattr(const Context&, Path) override;
  Reply<void> removexattr(const Context&, Path, std::string_view) override;
  Reply<void> flush(const Context&, Path, const OpenFile&) override;
  Reply<Opened> opendir(const Context&, Path, OpenFlags) override;
  Reply<void> readdir(const Context&, Path, const OpenFile&, std::uint64_t, PathDirectorySink&) override;
  Reply<void> releasedir(const Context&, Path, const OpenFile&) override;
  Reply<void> fsyncdir(const Context&, Path, const OpenFile&, bool) override;
  Reply<Lock> getlk(const Context&, Path, const OpenFile&, Lock) override;
  Reply<void> setlk(const Context&, Path, const OpenFile&, Lock, bool) override;
  Reply<void> access(const Context&, Path, int) override;
  Reply<CreatedFile> create(const Context&, Path, mode_t, OpenFlags) override;
  Reply<std::uint64_t> bmap(const Context&, Path, std::uint32_t, std::uint64_t) override;
  Reply<IoctlReply> ioctl(const Context&, Path, const OpenFile&, const IoctlCall&) override;
  Reply<std::uint32_t> poll(const Context&, Path, const OpenFile&, std::uint32_t, PollHandle) override;
  Reply<void> fallocate(const Context&, Path, const OpenFile&, int, std::uint64_t, std::uint64_t) override;

  Reply<Attributes> status_of(const char* path, fuse_file_info* info) const;
  int change(const char* path, const SetAttributes& changes, fuse_file_info* info) const;
  int change_times(const char* path, const SetAttributes& changes) const;

  struct fuse* const owner_;
  const HighLevelOptions options_;
  fuse_fs* const fs_;
  const bool nullpath_ok_;
  bool begun_ = false;  ///< init() was called, so destroy() is.
  Locks locks_;         ///< Those that were granted here, by node.
};

}  // namespace fuselage::capi2

/// What fuse_new makes.
struct fuse {
  std::unique_ptr<fuselage::capi2::HighLevel> session;
};
