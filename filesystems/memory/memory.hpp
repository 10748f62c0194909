// A file system in memory: see README.md beside this file.
#pragma once

#include <chrono>
#include <fuselage/file_system.hpp>
#include <fuselage/node_table.hpp>
#include <fuselage/options.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node.hpp"
#include "space.hpp"

namespace fuselage::memory {

struct Options {
  std::uint64_t size = half_of_ram();                ///< Bytes of content and extended attributes; 0: no limit.
  std::uint64_t inodes = half_of_ram() / page_size;  ///< Nodes, with the root; 0: no limit.
  ::mode_t mode = 0755;                              ///< Of the root directory.
  std::optional<::uid_t> uid{};                      ///< Of the root directory; unset: who made the file system.
  std::optional<::gid_t> gid{};
  /// How long the kernel may believe names and attributes. All changes go through the kernel, so it is long; shorten it
  /// where a `Layer` above changes what is answered.
  std::chrono::nanoseconds timeout = std::chrono::hours(24);

  /// Adds `size`, `inodes`, `mode`, `uid` and `gid` to the options of a command line.
  void add_to(OptionSet& options);

  static std::uint64_t half_of_ram() noexcept;
};

/// The file system. Permissions are the kernel's to check: mount it with `default_permissions`. Thread-safe.
///
/// Its nodes are in a `NodeTable`, kept there while they have a name; the kernel's lookups keep the others, and with
/// them the files that are open: the kernel does not forget a node that is in use. So there is nothing to do for open
/// and release, they are not overridden, and the kernel does not ask.
class Memory : public FileSystem {
 public:
  explicit Memory(Options options = {});

  struct Usage {
    std::uint64_t bytes = 0;
    std::uint64_t inodes = 0;
  };
  /// What is in use now: removed files count until the last user lets go.
  Usage usage() const noexcept { return {space_.bytes.used(), space_.inodes.used()}; }

  Result<void> init(Negotiation& negotiation) override;

  Reply<Entry> lookup(const Context& context, Ino parent, std::string_view name) override;
  void forget(Ino ino, std::uint64_t count) override;
  Reply<Attributes> getattr(const Context& context, Ino ino, const OpenFile* file) override;
  Reply<Attributes> setattr(const Context& context, Ino ino, const SetAttributes& changes,
                            const OpenFile* file) override;
  Reply<StatFs> statfs(const Context& context, Ino ino) override;

  Reply<std::string> readlink(const Context& context, Ino ino) override;
  Reply<Entry> mknod(const Context& context, Ino parent, std::string_view name, mode_t mode, dev_t rdev) override;
  Reply<Entry> mkdir(const Context& context, Ino parent, std::string_view name, mode_t mode) override;
  Reply<Entry> symlink(const Context& context, Ino parent, std::string_view name, std::string_view target) override;
  Reply<Entry> link(const Context& context, Ino ino, Ino new_parent, std::string_view new_name) override;
  Reply<Created> create(const Context& context, Ino parent, std::string_view name, mode_t mode,
                        OpenFlags flags) override;
  Reply<Created> tmpfile(const Context& context, Ino parent, mode_t mode, OpenFlags flags) override;
  Reply<void> unlink(const Context& context, Ino parent, std::string_view name) override;
  Reply<void> rmdir(const Context& context, Ino parent, std::string_view name) override;
  Reply<void> rename(const Context& context, Ino parent, std::string_view name, Ino new_parent,
                     std::string_view new_name, RenameFlags flags) override;
  Reply<void> readdir(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                      DirectorySink& sink) override;

  Reply<Data> read(const Context& context, Ino ino, const OpenFile& file, Range range) override;
  Reply<std::size_t> write(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset, Bytes bytes,
                           WriteFlags flags) override;
  Reply<void> fallocate(const Context& context, Ino ino, const OpenFile& file, int mode, std::uint64_t offset,
                        std::uint64_t length) override;
  Reply<std::uint64_t> lseek(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                             int whence) override;
  Reply<std::uint64_t> copy_file_range(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                                       Ino target_ino, const OpenFile& target, std::uint64_t target_offset,
                                       std::uint64_t length, std::uint64_t flags) override;

  Reply<void> setxattr(const Context& context, Ino ino, std::string_view name, Bytes value, XattrFlags flags) override;
  Reply<Data> getxattr(const Context& context, Ino ino, std::string_view name) override;
  Reply<std::vector<std::string>> listxattr(const Context& context, Ino ino) override;
  Reply<void> removexattr(const Context& context, Ino ino, std::string_view name) override;

 private:
  using NodePtr = std::shared_ptr<Node>;

  /// A regular file of this number; ESTALE, EISDIR, EINVAL.
  Result<NodePtr> file(Ino ino) const;
  /// A directory of this number; ESTALE, ENOTDIR.
  Result<NodePtr> directory(Ino ino) const;
  /// The node that a name leads to; null if none does. Takes the directory's lock for a moment.
  NodePtr child_of(Node& directory, std::string_view name) const;
  /// A node that nobody but the caller knows, with one lookup, for a directory whose lock is held; ENOSPC.
  Result<NodePtr> make_node(const Context& context, const Node& parent, mode_t mode, dev_t rdev,
                            std::string_view target);
  /// A new node under a new name.
  Result<NodePtr> add(const Context& context, Ino parent, std::string_view name, mode_t mode, dev_t rdev,
                      std::string_view target);
  Reply<Entry> added(const Result<NodePtr>& node) const;
  /// The answer for a node whose lookup was counted; takes its lock.
  Entry entry_of(const Node& node) const;
  Entry entry_of_locked(const Node& node) const;
  Attributes attributes_of_locked(const Node& node) const;
  /// `node` lost a name; the locks of both are held.
  void drop_link(Node& parent, Node& node);
  /// create of a name that is there.
  Result<NodePtr> open_existing(Ino parent, std::string_view name, OpenFlags flags);
  /// unlink and rmdir.
  Result<void> remove(Ino parent, std::string_view name, bool directory);
  bool is_within(const Node& node, const Node& ancestor) const;
  Result<void> check_rename(const Node& from, const Node& to, Node& source, Node* target, RenameFlags flags) const;
  void move(Node& from, std::string_view name, Node& to, std::string_view new_name, Node& source, Node* target,
            Node* whiteout);
  static void exchange(Node& from, std::string_view name, Node& to, std::string_view new_name, Node& source,
                       Node& target);
  static void accessed(Node& node);

  const std::chrono::nanoseconds timeout_;
  bool kernel_keeps_times_ = false;  ///< With the writeback cache; set before the first request.
  Space space_;
  NodeTable<Node> nodes_;
  std::mutex rename_mutex_;  ///< Held while a node moves between directories: ancestors then stay ancestors.
};

}  // namespace fuselage::memory
