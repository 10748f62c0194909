// A file system whose handlers are Python's.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <fuselage/file_system.hpp>

#include "python/object.hpp"

namespace fuselage::python {

enum class Handler {
#define HANDLER(name, presence) name,
#include "python/handlers.def"
#undef HANDLER
  count
};

/// What shall become of an exception in a handler that is no FUSEError; the caller is answered EIO in any case.
enum class OnError { raise, go_on };

/// Decodes, calls, and converts: each operation is one call of a bound method that was looked up before.
class PythonFileSystem final : public FileSystem {
 public:
  /// `log` is called with a handler's name and its exception.
  explicit PythonFileSystem(Ref log) noexcept : log_(std::move(log)) {}
  /// With the GIL.
  ~PythonFileSystem() override;

  /// Called, without the GIL, at the first exception that shall be raised.
  std::function<void()> on_failure;

  /// With the GIL: takes the handlers from a dict: name -> (callable, whether it runs with the global lock). False with
  /// an exception.
  bool set_handlers(PyObject* handlers);
  /// The operations that the kernel shall ask for.
  OperationSet operations() const noexcept;
  bool has(Handler handler) const noexcept { return method(handler).function.get() != nullptr; }
  void set_on_error(OnError what) noexcept { on_error_ = what; }

  /// With the GIL: raises the exception that ended the loop, if there is one. False: there was.
  bool raise_failure();

  /// Runs Python's own handlers of the signals that have come, where the calling thread is the main one of the
  /// interpreter. What they raise ends the loop and is raised like a handler's exception.
  void run_signal_handlers();

  /// With the GIL: for the garbage collector.
  int traverse(visitproc visit, void* arg) const;
  void clear();

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
  Reply<void> flush(const Context& context, Ino ino, const OpenFile& file) override;
  Reply<void> release(const Context& context, Ino ino, const OpenFile& file, bool flock_unlock) override;
  Reply<void> fsync(const Context& context, Ino ino, const OpenFile& file, bool data_only) override;
  Reply<Opened> opendir(const Context& context, Ino ino, OpenFlags flags) override;
  Reply<void> readdir(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                      DirectorySink& sink) override;
  Reply<void> releasedir(const Context& context, Ino ino, const OpenFile& file) override;
  Reply<void> fsyncdir(const Context& context, Ino ino, const OpenFile& file, bool data_only) override;
  Reply<StatFs> statfs(const Context& context, Ino ino) override;
  Reply<void> setxattr(const Context& context, Ino ino, std::string_view name, Bytes value, XattrFlags flags) override;
  Reply<Data> getxattr(const Context& context, Ino ino, std::string_view name) override;
  Reply<std::vector<std::string>> listxattr(const Context& context, Ino ino) override;
  Reply<void> removexattr(const Context& context, Ino ino, std::string_view name) override;
  Reply<void> access(const Context& context, Ino ino, int mask) override;
  Reply<Created> create(const Context& context, Ino parent, std::string_view name, mode_t mode,
                        OpenFlags flags) override;
  Reply<Lock> getlk(const Context& context, Ino ino, const OpenFile& file, Lock lock) override;
  Reply<void> setlk(const Context& context, Ino ino, const OpenFile& file, Lock lock, bool wait) override;
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

 private:
  struct Method {
    Ref function;
    bool with_lock = true;
  };
  const Method& method(Handler handler) const noexcept { return methods_[static_cast<std::size_t>(handler)]; }

  // Calls the handler, with the GIL held. Null with an exception.
  template <class... Arguments>
  Ref invoke(Handler handler, const Arguments&... arguments);
  // The same from anywhere, and what `convert(result, value)`, false with an exception, makes of it.
  template <class T, class Convert, class... Arguments>
  Result<T> call(const Context& context, Handler handler, Convert convert, const Arguments&... arguments);
  template <class... Arguments>
  Result<void> tell(const Context& context, Handler handler, const Arguments&... arguments);
  Result<void> list(const Context& context, Handler handler, const OpenFile& file, std::uint64_t offset,
                    DirectorySink& sink);
  bool check_xattr_flags(const Context& context, Ino ino, std::string_view name, XattrFlags flags, int& refusal);

  // With the GIL: ends the loop, which shall raise it, unless it shall raise another already: false.
  bool end_with(Ref& exception);
  void log(const char* where, const Ref& exception) const;
  // The errno for the current exception, which is dealt with.
  Error failed(Handler handler);

  std::array<Method, static_cast<std::size_t>(Handler::count)> methods_;
  Ref log_;
  std::atomic<OnError> on_error_{OnError::raise};
  Ref failure_;  // an exception; guarded by the GIL
};

}  // namespace fuselage::python
