// A `PathFileSystem` as an inode-level one.
//
// Every operation takes the same way (`with`): lock the paths it is about, write them down, call the handler, turn what
// it returned into what the inode level wants, all at once, without a coroutine, if nobody has to wait.
#pragma once

#include <fuselage/handle_table.hpp>
#include <fuselage/path_file_system.hpp>
#include <memory>
#include <type_traits>

#include "path/listing.hpp"
#include "path/open_files.hpp"
#include "path/path_lock.hpp"
#include "path/tree.hpp"
#include "session/request.hpp"

namespace fuselage::detail {

/// What a `PathNotifier` asks.
class NodesByPath {
 public:
  struct Found {
    Ino parent{};
    std::string_view name;                          ///< The last component; empty for the root.
    path::PinnedNode node{nullptr, path::Unpin{}};  ///< Null: only the directory is known.
  };
  /// ENOENT: the kernel does not know the directory; EINVAL: not a path from the root.
  Result<Found> find(std::string_view path);

  path::Tree tree;
};

}  // namespace fuselage::detail

namespace fuselage::path {

class Adapter final : public FileSystem {
 public:
  Adapter(const PathFileSystemRef& file_system, const PathOptions& options);

  /// What the inode level is told that there is.
  static OperationSet operations_for(OperationSet operations, const PathOptions& options) noexcept;

  Result<void> init(Negotiation& negotiation) override;
  void destroy() override;

  Reply<Entry> lookup(const Context& context, Ino parent, std::string_view name) override;
  void forget(Ino ino, std::uint64_t count) override;
  Reply<Attributes> getattr(const Context& context, Ino ino, const OpenFile* file) override;
  Reply<Attributes> setattr(const Context& context, Ino ino, const SetAttributes& changes,
                            const OpenFile* file) override;
  Reply<std::string> readlink(const Context& context, Ino ino) override;
  Reply<Entry> mknod(const Context& context, Ino parent, std::string_view name, mode_t mode, dev_t rdev) override;
  Reply<Entry> mkdir(const Context& context, Ino parent, std::string_view name, mode_t mode) override;
  Reply<void> unlink(const Context& context, Ino parent, std::string_view name) override;
  Reply<void> rmdir(const Context& context, Ino parent, std::string_view name) override;
  Reply<Entry> symlink(const Context& context, Ino parent, std::string_view name, std::string_view target) override;
  Reply<void> rename(const Context& context, Ino parent, std::string_view name, Ino new_parent,
                     std::string_view new_name, RenameFlags flags) override;
  Reply<Entry> link(const Context& context, Ino ino, Ino new_parent, std::string_view new_name) override;
  Reply<Opened> open(const Context& context, Ino ino, OpenFlags flags) override;
  Reply<Data> read(const Context& context, Ino ino, const OpenFile& file, Range range) override;
  Reply<std::size_t> write(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset, Bytes bytes,
                           WriteFlags flags) override;
  Reply<StatFs> statfs(const Context& context, Ino ino) override;
  Reply<void> release(const Context& context, Ino ino, const OpenFile& file, bool flock_unlock) override;
  Reply<void> fsync(const Context& context, Ino ino, const OpenFile& file, bool data_only) override;
  Reply<void> setxattr(const Context& context, Ino ino, std::string_view name, Bytes value, XattrFlags flags) override;
  Reply<Data> getxattr(const Context& context, Ino ino, std::string_view name) override;
  Reply<std::vector<std::string>> listxattr(const Context& context, Ino ino) override;
  Reply<void> removexattr(const Context& context, Ino ino, std::string_view name) override;
  Reply<void> flush(const Context& context, Ino ino, const OpenFile& file) override;
  Reply<Opened> opendir(const Context& context, Ino ino, OpenFlags flags) override;
  Reply<void> readdir(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                      DirectorySink& sink) override;
  Reply<void> releasedir(const Context& context, Ino ino, const OpenFile& file) override;
  Reply<void> fsyncdir(const Context& context, Ino ino, const OpenFile& file, bool data_only) override;
  Reply<Lock> getlk(const Context& context, Ino ino, const OpenFile& file, Lock lock) override;
  Reply<void> setlk(const Context& context, Ino ino, const OpenFile& file, Lock lock, bool wait) override;
  Reply<void> access(const Context& context, Ino ino, int mask) override;
  Reply<Created> create(const Context& context, Ino parent, std::string_view name, mode_t mode,
                        OpenFlags flags) override;
  Reply<std::uint64_t> bmap(const Context& context, Ino ino, std::uint32_t block_size, std::uint64_t block) override;
  Reply<IoctlReply> ioctl(const Context& context, Ino ino, const OpenFile& file, const IoctlCall& call) override;
  Reply<std::uint32_t> poll(const Context& context, Ino ino, const OpenFile& file, std::uint32_t events,
                            PollHandle wake) override;
  Reply<void> fallocate(const Context& context, Ino ino, const OpenFile& file, int mode, std::uint64_t offset,
                        std::uint64_t length) override;
  Reply<std::uint64_t> lseek(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                             int whence) override;
  Reply<std::uint64_t> copy_file_range(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                                       Ino target_ino, const OpenFile& target, std::uint64_t target_offset,
                                       std::uint64_t length, std::uint64_t flags) override;
  Reply<void> setupmapping(const Context& context, Ino ino, const OpenFile& file, Mapping mapping) override;
  Reply<void> removemapping(const Context& context, Ino ino, std::span<const WindowRange> ranges) override;
  Reply<void> syncfs(const Context& context, Ino ino) override;
  Reply<Created> tmpfile(const Context& context, Ino parent, mode_t mode, OpenFlags flags) override;

  // For tests.
  Tree& tree() noexcept { return nodes_->tree; }
  PathLocks& locks() noexcept { return locks_; }

 private:
  static bool cares_for_open_files(OperationSet operations, const PathOptions& options) noexcept;

  /// What becomes of an operation on a node that has lost its name.
  enum class Nameless { refuse, call };

  class Pass;

  struct OpenDirectory {
    Handle handle{};  ///< The file system's own.
    std::mutex mutex;
    std::shared_ptr<const Listing> listing;  ///< Guarded by `mutex`.
  };

  // with.hpp
  template <class Call, class Finish>
  auto with(const Context& context, const Want& want, Nameless nameless, Call call, Finish finish);
  template <class Call>
  auto with(const Context& context, const Want& want, Nameless nameless, Call call);
  template <class Call>
  auto with_file(const Context& context, Ino ino, Call call);
  template <class T, class Call, class Finish>
  Reply<T> wait(const Context& context, Want want, Nameless nameless, Call call, Finish finish);
  Path path_of(const Context& context, const Hold::Place& place, const std::optional<std::string_view>& name) const;

  bool has(OperationSet operation) const noexcept { return operations_.contains_any(operation); }
  Attributes shown(const Attributes& attributes) const noexcept;
  Result<Attributes> seen(Ino ino, const Result<Attributes>& attributes);
  Entry enter(Node& parent, std::string_view name, const Attributes& attributes);
  Entry entry_of(Ino ino, const Attributes& attributes) const noexcept;
  std::uint64_t identity_of(const Attributes& attributes) const noexcept;
  auto entering(std::string_view name);
  void let_go();
  const OpenFile* file_of(const Context& context, Ino ino, const OpenFile* file, const Path& path);

  Opened as_opened(Ino ino, Opened opened);
  Reply<Opened> open_and_compare(const Context& context, Ino ino, Path path, OpenFlags flags);
  Reply<void> release_hidden(const Context& context, Ino ino, Handle handle, Reply<void> release);
  Reply<Entry> lookup_known(const Context& context, Ino ino, std::string_view name);

  bool must_hide(const Node* target);
  Reply<std::string> hide(const Context& context, Path path);
  Reply<std::string> hide_and_rename(const Context& context, Path path, Path new_path, RenameFlags flags);
  Reply<std::string> unlink_now(const Context& context, Path path);
  Reply<std::string> rename_now(const Context& context, Path path, Path new_path, RenameFlags flags);
  static Reply<std::string> without_hiding(Reply<void> answer);
  static Reply<std::string> without_hiding_later(Reply<void> answer);
  void gone(Hold::Place& place, std::string_view name, const std::string& hidden_as);
  void renamed(Hold& hold, std::string_view name, std::string_view new_name, RenameFlags flags,
               const std::string& hidden_as);

  const OpenFile& inner_file(const Context& context, const OpenFile& file, const OpenDirectory& directory) const;

  PathFileSystem& file_system_;
  OperationSet operations_;
  PathOptions options_;
  bool cares_for_open_files_;
  std::shared_ptr<detail::NodesByPath> nodes_;
  PathLocks locks_;
  OpenFiles files_;
  HandleTable<OpenDirectory> directories_;
  Notifier notifier_;
  bool can_prune_ = false;
  std::atomic<std::uint32_t> hidden_{0};
  std::atomic<std::uint32_t> entered_{0};
};

}  // namespace fuselage::path
