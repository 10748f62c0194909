// The operations of fuse_lowlevel_ops as a file system of the library.
#pragma once

#include <fuselage/file_system.hpp>

#include "capi/v2/request.hpp"
#include "capi/v2/session.hpp"

namespace fuselage::capi2 {

/// A session of fuse_lowlevel_new, and the file system behind it: every operation asks the program's handler.
class LowLevel : public ServedSession, private FileSystem {
 public:
  LowLevel(const LowLevelOptions& options, const fuse_lowlevel_ops& ops, void* user_data);
  ~LowLevel() override { end(); }

  void* user_data() const noexcept override { return user_data_; }
  /// What the kernel's cache held comes to `retrieve_reply`.
  void retrieved(void* cookie, Ino ino, std::uint64_t offset, Bytes bytes);

 private:
  FileSystemRef file_system() override;

  template <class T, class Call>
  Reply<T> ask(const Context& context, Call&& call) {
    return capi2::ask<T>(this, channel, context, std::forward<Call>(call));
  }

  Result<void> init(Negotiation& negotiation) override;
  void destroy() override;
  Reply<Entry> lookup(const Context&, Ino parent, std::string_view name) override;
  void forget(Ino ino, std::uint64_t count) override;
  Reply<Attributes> getattr(const Context&, Ino, const OpenFile*) override;
  Reply<Attributes> setattr(const Context&, Ino, const SetAttributes&, const OpenFile*) override;
  Reply<std::string> readlink(const Context&, Ino) override;
  Reply<Entry> mknod(const Context&, Ino, std::string_view, mode_t, dev_t) override;
  Reply<Entry> mkdir(const Context&, Ino, std::string_view, mode_t) override;
  Reply<void> unlink(const Context&, Ino, std::string_view) override;
  Reply<void> rmdir(const Context&, Ino, std::string_view) override;
  Reply<Entry> symlink(const Context&, Ino, std::string_view, std::string_view) override;
  Reply<void> rename(const Context&, Ino, std::string_view, Ino, std::string_view, RenameFlags) override;
  Reply<Entry> link(const Context&, Ino, Ino, std::string_view) override;
  Reply<Opened> open(const Context&, Ino, OpenFlags) override;
  Reply<Data> read(const Context&, Ino, const OpenFile&, Range) override;
  Reply<std::size_t> write(const Context&, Ino, const OpenFile&, std::uint64_t, Bytes, WriteFlags) override;
  Reply<StatFs> statfs(const Context&, Ino) override;
  Reply<void> release(const Context&, Ino, const OpenFile&, bool) override;
  Reply<void> fsync(const Context&, Ino, const OpenFile&, bool) override;
  Reply<void> setxattr(const Context&, Ino, std::string_view, Bytes, XattrFlags) override;
  Reply<Data> getxattr(const Context&, Ino, std::string_view) override;
  Reply<std::vector<std::string>> listxattr(const Context&, Ino) override;
  Reply<void> removexattr(const Context&, Ino, std::string_view) override;
  Reply<void> flush(const Context&, Ino, const OpenFile&) override;
  Reply<Opened> opendir(const Context&, Ino, OpenFlags) override;
  Reply<void> readdir(const Context&, Ino, const OpenFile&, std::uint64_t, DirectorySink&) override;
  Reply<void> releasedir(const Context&, Ino, const OpenFile&) override;
  Reply<void> fsyncdir(const Context&, Ino, const OpenFile&, bool) override;
  Reply<Lock> getlk(const Context&, Ino, const OpenFile&, Lock) override;
  Reply<void> setlk(const Context&, Ino, const OpenFile&, Lock, bool) override;
  Reply<void> access(const Context&, Ino, int) override;
  Reply<Created> create(const Context&, Ino, std::string_view, mode_t, OpenFlags) override;
  Reply<std::uint64_t> bmap(const Context&, Ino, std::uint32_t, std::uint64_t) override;
  Reply<IoctlReply> ioctl(const Context&, Ino, const OpenFile&, const IoctlCall&) override;
  Reply<std::uint32_t> poll(const Context&, Ino, const OpenFile&, std::uint32_t, PollHandle) override;
  Reply<void> fallocate(const Context&, Ino, const OpenFile&, int, std::uint64_t, std::uint64_t) override;

  const fuse_lowlevel_ops ops_;
  void* const user_data_;
};

/// Fills the conversation about INIT for a program, and takes its wishes back.
fuse_conn_info connection_of(const Negotiation& negotiation, const LowLevelOptions& options);
void apply(const fuse_conn_info& wishes, Negotiation& negotiation);

/// A session for a table of `op_size` bytes, of this or of an older interface: their tables begin alike, and what a
/// handler gets behind the arguments that it knows stays in registers that it does not look at. Null after a message.
fuse_session* new_low_level(fuse_args* args, const void* op, std::size_t op_size, void* user_data);

}  // namespace fuselage::capi2

struct fuse_pollhandle {
  fuselage::Notifier notifier;
  fuselage::PollHandle wake;
};
