#include "python/file_system.hpp"

#include <cerrno>

#include "python/convert.hpp"
#include "python/threads.hpp"
#include "python/waiter.hpp"

namespace fuselage::python {
namespace {

constexpr const char* names[] = {
#define HANDLER(name, presence) #name,
#include "python/handlers.def"
#undef HANDLER
};

Opened opened(std::uint64_t handle) {
  Opened result;
  result.handle = Handle{handle};
  return result;
}

// The current exception, which is that no longer, with its traceback.
Ref take_exception() {
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr) PyException_SetTraceback(value, traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return Ref(value);
}

Lock unlock_all(bool flock) noexcept {
  Lock lock;
  lock.end = INT64_MAX;  // as the kernel says it
  lock.flock = flock;
  return lock;
}

}  // namespace

PythonFileSystem::~PythonFileSystem() = default;

bool PythonFileSystem::set_handlers(PyObject* handlers) {
  for (std::size_t i = 0; i < methods_.size(); ++i) {
    PyObject* const entry = PyDict_GetItemString(handlers, names[i]);
    methods_[i] = Method();
    if (entry == nullptr) continue;
    PyObject* function = nullptr;
    int with_lock = 1;
    if (!PyArg_ParseTuple(entry, "Op:handler", &function, &with_lock)) return false;
    methods_[i].function = Ref::borrow(function);
    methods_[i].with_lock = with_lock != 0;
  }
  return true;
}

OperationSet PythonFileSystem::operations() const noexcept {
  OperationSet set;
#define FUSELAGE_always(name) set = set | fuselage::operations::name
#define FUSELAGE_optional(name) \
  if (has(Handler::name)) set = set | fuselage::operations::name
#define FUSELAGE_notice(name) static_cast<void>(0)
#define HANDLER(name, presence) FUSELAGE_##presence(name);
#include "python/handlers.def"
#undef HANDLER
  return set;
}

int PythonFileSystem::traverse(visitproc visit, void* arg) const {
  for (const Method& each : methods_) Py_VISIT(each.function.get());
  Py_VISIT(failure_.get());
  Py_VISIT(log_.get());
  return 0;
}

void PythonFileSystem::clear() {
  for (Method& each : methods_) each.function = Ref();
  failure_ = Ref();
}

template <class... Arguments>
Ref PythonFileSystem::invoke(Handler handler, const Arguments&... arguments) {
  constexpr std::size_t count = sizeof...(arguments);
  // The first place is for the callee: a bound method puts its object there instead of copying the others.
  std::array<PyObject*, count + 1> places = {nullptr, make(arguments)...};
  bool complete = true;
  for (std::size_t i = 1; i <= count; ++i) complete = complete && places[i] != nullptr;
  Ref result;
  if (complete) {
    result = Ref(PyObject_Vectorcall(method(handler).function.get(), places.data() + 1,
                                     count | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
  }
  for (std::size_t i = 1; i <= count; ++i) Py_XDECREF(places[i]);
  return result;
}

template <class T, class Convert, class... Arguments>
Result<T> PythonFileSystem::call(const Context& context, Handler handler, Convert convert,
                                 const Arguments&... arguments) {
  if (!has(handler)) return Error{ENOSYS};
  const Asking asking(context);
  const Inside inside(method(handler).with_lock);
  T value{};
  const Ref result = invoke(handler, arguments...);
  if (!result || !convert(result.get(), value)) return failed(handler);
  return value;
}

template <class... Arguments>
Result<void> PythonFileSystem::tell(const Context& context, Handler handler, const Arguments&... arguments) {
  if (!has(handler)) return Error{ENOSYS};
  const Asking asking(context);
  const Inside inside(method(handler).with_lock);
  if (!invoke(handler, arguments...)) return failed(handler);
  return {};
}

bool PythonFileSystem::end_with(Ref& exception) {
  if (failure_) return false;
  failure_ = std::move(exception);
  Py_BEGIN_ALLOW_THREADS;
  if (on_failure) on_failure();
  Py_END_ALLOW_THREADS;
  return true;
}

Error PythonFileSystem::failed(Handler handler) {
  if (const int number = take_fuse_error()) return Error{number};
  Ref exception = take_exception();
  // What `destroy` raises is for `close`, which is waiting for it; KeyboardInterrupt and SystemExit are for the
  // program.
  const bool shall_raise = on_error_.load() == OnError::raise || handler == Handler::destroy ||
                           PyErr_GivenExceptionMatches(exception.get(), PyExc_KeyboardInterrupt) != 0 ||
                           PyErr_GivenExceptionMatches(exception.get(), PyExc_SystemExit) != 0;
  if (shall_raise && end_with(exception)) return Error{EIO};
  log(names[static_cast<std::size_t>(handler)], exception);
  return Error{EIO};
}

void PythonFileSystem::log(const char* where, const Ref& exception) const {
  const Ref name(PyUnicode_FromString(where));
  const Ref logged(name ? PyObject_CallFunctionObjArgs(log_.get(), name.get(), exception.get(), nullptr) : nullptr);
  if (!logged) PyErr_WriteUnraisable(log_.get());
}

void PythonFileSystem::run_signal_handlers() {
  const Inside inside(false);
  if (PyErr_CheckSignals() == 0) return;
  Ref exception = take_exception();
  if (!end_with(exception)) log("of signals", exception);
}

bool PythonFileSystem::raise_failure() {
  if (!failure_) return true;
  PyObject* const value = failure_.release();
  PyErr_Restore(Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(value))), value, PyException_GetTraceback(value));
  return false;
}

Result<void> PythonFileSystem::init(Negotiation& /*negotiation*/) {
  if (!has(Handler::init)) return {};
  return tell(Context(), Handler::init);
}

void PythonFileSystem::destroy() {
  if (has(Handler::destroy)) static_cast<void>(tell(Context(), Handler::destroy));
}

Reply<Entry> PythonFileSystem::lookup(const Context& context, Ino parent, std::string_view name) {
  return call<Entry>(context, Handler::lookup, to_entry, parent, name, context);
}

void PythonFileSystem::forget(Ino ino, std::uint64_t count) {
  if (!has(Handler::forget)) return;
  const Inside inside(method(Handler::forget).with_lock);
  const Ref list(Py_BuildValue("[(KK)]", static_cast<unsigned long long>(ino), static_cast<unsigned long long>(count)));
  if (!list || !invoke(Handler::forget, list)) static_cast<void>(failed(Handler::forget));
}

Reply<Attributes> PythonFileSystem::getattr(const Context& context, Ino ino, const OpenFile* /*file*/) {
  return call<Attributes>(context, Handler::getattr, to_attributes, ino, context);
}

Reply<Attributes> PythonFileSystem::setattr(const Context& context, Ino ino, const SetAttributes& changes,
                                            const OpenFile* file) {
  if (!has(Handler::setattr)) return Error{ENOSYS};
  const Asking asking(context);
  const Inside inside(method(Handler::setattr).with_lock);
  Attributes attributes;
  const Ref attr(entry_attributes(changes));
  const Ref fields(setattr_fields(changes));
  const Ref result = invoke(Handler::setattr, ino, attr, fields, file, context);
  if (!result || !to_attributes(result.get(), attributes)) return failed(Handler::setattr);
  return attributes;
}

Reply<std::string> PythonFileSystem::readlink(const Context& context, Ino ino) {
  return call<std::string>(context, Handler::readlink, to_bytes, ino, context);
}

Reply<Entry> PythonFileSystem::mknod(const Context& context, Ino parent, std::string_view name, mode_t mode,
                                     dev_t rdev) {
  return call<Entry>(context, Handler::mknod, to_entry, parent, name, mode, std::uint64_t{rdev}, context);
}

Reply<Entry> PythonFileSystem::mkdir(const Context& context, Ino parent, std::string_view name, mode_t mode) {
  return call<Entry>(context, Handler::mkdir, to_entry, parent, name, mode | S_IFDIR, context);
}

Reply<void> PythonFileSystem::unlink(const Context& context, Ino parent, std::string_view name) {
  return tell(context, Handler::unlink, parent, name, context);
}

Reply<void> PythonFileSystem::rmdir(const Context& context, Ino parent, std::string_view name) {
  return tell(context, Handler::rmdir, parent, name, context);
}

Reply<Entry> PythonFileSystem::symlink(const Context& context, Ino parent, std::string_view name,
                                       std::string_view target) {
  return call<Entry>(context, Handler::symlink, to_entry, parent, name, target, context);
}

Reply<void> PythonFileSystem::rename(const Context& context, Ino parent, std::string_view name, Ino new_parent,
                                     std::string_view new_name, RenameFlags flags) {
  if (!flags.no_replace && !flags.exchange && !flags.whiteout) {
    return tell(context, Handler::rename, parent, name, new_parent, new_name, context);
  }
  if (!has(Handler::rename2)) return Error{EINVAL};
  const int bits = (flags.no_replace ? RENAME_NOREPLACE : 0) | (flags.exchange ? RENAME_EXCHANGE : 0) |
                   (flags.whiteout ? RENAME_WHITEOUT : 0);
  return tell(context, Handler::rename2, parent, name, new_parent, new_name, bits, context);
}

Reply<Entry> PythonFileSystem::link(const Context& context, Ino ino, Ino new_parent, std::string_view new_name) {
  return call<Entry>(context, Handler::link, to_entry, ino, new_parent, new_name, context);
}

Reply<Opened> PythonFileSystem::open(const Context& context, Ino ino, OpenFlags flags) {
  const auto handle = call<std::uint64_t>(context, Handler::open, to_number, ino, flags.value, context);
  if (!handle) return handle.error();
  Opened result = opened(*handle);
  result.keep_cache = true;
  return result;
}

Reply<Data> PythonFileSystem::read(const Context& context, Ino /*ino*/, const OpenFile& file, Range range) {
  const auto convert = [&](PyObject* result, Data& data) { return to_data(result, context, range.size, data); };
  return call<Data>(context, Handler::read, convert, file, range.offset, std::uint64_t{range.size});
}

Reply<std::size_t> PythonFileSystem::write(const Context& context, Ino /*ino*/, const OpenFile& file,
                                           std::uint64_t offset, Bytes bytes, WriteFlags /*flags*/) {
  return call<std::size_t>(context, Handler::write, to_number, file, offset, bytes);
}

Reply<void> PythonFileSystem::flush(const Context& context, Ino ino, const OpenFile& file) {
  const auto told = tell(context, Handler::flush, file);
  if (!has(Handler::setlk)) return told;
  // close(2) drops the record locks of its owner, without the kernel saying so in another way.
  [[maybe_unused]] const auto dropped = setlk(context, ino, file, unlock_all(false), false);
  if (!told && told.error().code() == ENOSYS) return {};  // after which the kernel would say nothing
  return told;
}

Reply<void> PythonFileSystem::release(const Context& context, Ino ino, const OpenFile& file, bool flock_unlock) {
  if (flock_unlock) static_cast<void>(setlk(context, ino, file, unlock_all(true), false));
  return tell(Context(), Handler::release, file);
}

Reply<void> PythonFileSystem::fsync(const Context& context, Ino /*ino*/, const OpenFile& file, bool data_only) {
  return tell(context, Handler::fsync, file, data_only);
}

Reply<Opened> PythonFileSystem::opendir(const Context& context, Ino ino, OpenFlags /*flags*/) {
  const auto handle = call<std::uint64_t>(context, Handler::opendir, to_number, ino, context);
  if (!handle) return handle.error();
  return opened(*handle);
}

Result<void> PythonFileSystem::list(const Context& context, Handler handler, const OpenFile& file, std::uint64_t offset,
                                    DirectorySink& sink) {
  if (!has(handler)) return Error{ENOSYS};
  const Asking asking(context);
  const Inside inside(method(handler).with_lock);
  const Ref entries = invoke(handler, file, offset);
  if (!entries || !to_listing(entries.get(), sink, handler == Handler::readdirplus)) return failed(handler);
  return {};
}

Reply<void> PythonFileSystem::readdir(const Context& context, Ino /*ino*/, const OpenFile& file, std::uint64_t offset,
                                      DirectorySink& sink) {
  const bool plus = sink.wants_entries() && has(Handler::readdirplus);
  return list(context, plus ? Handler::readdirplus : Handler::readdir, file, offset, sink);
}

Reply<void> PythonFileSystem::releasedir(const Context& /*context*/, Ino /*ino*/, const OpenFile& file) {
  return tell(Context(), Handler::releasedir, file);
}

Reply<void> PythonFileSystem::fsyncdir(const Context& context, Ino /*ino*/, const OpenFile& file, bool data_only) {
  return tell(context, Handler::fsyncdir, file, data_only);
}

Reply<StatFs> PythonFileSystem::statfs(const Context& context, Ino /*ino*/) {
  return call<StatFs>(context, Handler::statfs, to_statfs, context);
}

// llfuse's setxattr has no flags: whether there is such an attribute is asked for. False: `refusal` is an errno, or
// there is an exception.
bool PythonFileSystem::check_xattr_flags(const Context& context, Ino ino, std::string_view name, XattrFlags flags,
                                         int& refusal) {
  if (!flags.create && !flags.replace) return true;
  if (!has(Handler::getxattr)) {
    refusal = ENOSYS;
    return false;
  }
  if (invoke(Handler::getxattr, ino, name, context)) {
    refusal = flags.create ? EEXIST : 0;
    return !flags.create;
  }
  refusal = take_fuse_error();
  if (refusal != ENODATA || flags.replace) return false;
  refusal = 0;
  return true;
}

Reply<void> PythonFileSystem::setxattr(const Context& context, Ino ino, std::string_view name, Bytes value,
                                       XattrFlags flags) {
  if (ino == root_ino && name == "fuse_stacktrace" && has(Handler::stacktrace)) {
    const Inside inside(false);
    if (!invoke(Handler::stacktrace)) return failed(Handler::stacktrace);
    return {};
  }
  if (!has(Handler::setxattr)) return Error{ENOSYS};
  const Asking asking(context);
  const Inside inside(method(Handler::setxattr).with_lock);
  int refusal = 0;
  if (!check_xattr_flags(context, ino, name, flags, refusal)) {
    return refusal != 0 ? Error{refusal} : failed(Handler::getxattr);
  }
  if (!invoke(Handler::setxattr, ino, name, value, context)) return failed(Handler::setxattr);
  return {};
}

Reply<Data> PythonFileSystem::getxattr(const Context& context, Ino ino, std::string_view name) {
  const auto convert = [](PyObject* result, Data& data) {
    std::string bytes;
    if (!to_string(result, bytes)) return false;
    data = Data::own(std::move(bytes));
    return true;
  };
  return call<Data>(context, Handler::getxattr, convert, ino, name, context);
}

Reply<std::vector<std::string>> PythonFileSystem::listxattr(const Context& context, Ino ino) {
  return call<std::vector<std::string>>(context, Handler::listxattr, to_names, ino, context);
}

Reply<void> PythonFileSystem::removexattr(const Context& context, Ino ino, std::string_view name) {
  return tell(context, Handler::removexattr, ino, name, context);
}

Reply<void> PythonFileSystem::access(const Context& context, Ino ino, int mask) {
  const auto convert = [](PyObject* result, int& allowed) { return (allowed = PyObject_IsTrue(result)) >= 0; };
  const auto allowed = call<int>(context, Handler::access, convert, ino, mask, context);
  if (!allowed) return allowed.error();
  if (*allowed == 0) return Error{EACCES};
  return {};
}

Reply<Created> PythonFileSystem::create(const Context& context, Ino parent, std::string_view name, mode_t mode,
                                        OpenFlags flags) {
  return call<Created>(context, Handler::create, to_created, parent, name, mode, flags.value, context);
}

Reply<Lock> PythonFileSystem::getlk(const Context& context, Ino /*ino*/, const OpenFile& file, Lock lock) {
  if (!has(Handler::getlk)) return Error{ENOSYS};
  const Asking asking(context);
  const Inside inside(method(Handler::getlk).with_lock);
  const Ref asked = lock_dict(lock, file.lock_owner);
  const Ref result = invoke(Handler::getlk, file, asked, context);
  if (!result || !to_lock(result.get(), lock)) return failed(Handler::getlk);
  return lock;
}

Reply<void> PythonFileSystem::setlk(const Context& context, Ino /*ino*/, const OpenFile& file, Lock lock, bool wait) {
  if (!has(Handler::setlk)) return Error{ENOSYS};
  const Asking asking(context);
  const Inside inside(method(Handler::setlk).with_lock);
  const Ref asked = lock_dict(lock, file.lock_owner);
  if (!invoke(Handler::setlk, file, asked, wait, context)) return failed(Handler::setlk);
  return {};
}

Reply<IoctlReply> PythonFileSystem::ioctl(const Context& context, Ino /*ino*/, const OpenFile& file,
                                          const IoctlCall& ask) {
  return call<IoctlReply>(context, Handler::ioctl, to_ioctl, file, ask.command, ask.argument, ask.input,
                          std::uint64_t{ask.output_size}, context);
}

Reply<std::uint32_t> PythonFileSystem::poll(const Context& context, Ino /*ino*/, const OpenFile& file,
                                            std::uint32_t events, PollHandle wake) {
  const auto ready = call<std::uint64_t>(context, Handler::poll, to_number, file, events, wake, context);
  if (!ready) return ready.error();
  return static_cast<std::uint32_t>(*ready);
}

Reply<void> PythonFileSystem::fallocate(const Context& context, Ino /*ino*/, const OpenFile& file, int mode,
                                        std::uint64_t offset, std::uint64_t length) {
  return tell(context, Handler::fallocate, file, mode, offset, length);
}

Reply<std::uint64_t> PythonFileSystem::lseek(const Context& context, Ino /*ino*/, const OpenFile& file,
                                             std::uint64_t offset, int whence) {
  return call<std::uint64_t>(context, Handler::lseek, to_number, file, offset, whence);
}

Reply<std::uint64_t> PythonFileSystem::copy_file_range(const Context& context, Ino /*ino*/, const OpenFile& file,
                                                       std::uint64_t offset, Ino /*target_ino*/, const OpenFile& target,
                                                       std::uint64_t target_offset, std::uint64_t length,
                                                       std::uint64_t flags) {
  return call<std::uint64_t>(context, Handler::copy_file_range, to_number, file, offset, target, target_offset, length,
                             flags);
}

}  // namespace fuselage::python
