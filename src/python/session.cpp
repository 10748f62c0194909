#include "python/session.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <fuselage/llfuse.hpp>
#include <stdexcept>

#include "base/unique_fd.hpp"
#include "python/file_system.hpp"
#include "python/statistics.hpp"
#include "python/threads.hpp"

namespace fuselage::python {
namespace {

// Where the interpreter writes the numbers of signals while `main` runs (signal.set_wakeup_fd).
struct Wakeup {
  Wakeup() {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
      throw std::runtime_error("no pipe for signals: " + Error::last().message());
    }
    reader = base::UniqueFd(ends[0]);
    writer = base::UniqueFd(ends[1]);
  }
  // What was written is passed on to who wanted it before.
  void drain() const noexcept {
    char numbers[64];
    for (ssize_t size = 0; (size = ::read(reader.get(), numbers, sizeof numbers)) > 0;) {
      if (next < 0) continue;
      [[maybe_unused]] const ssize_t passed_on = ::write(next, numbers, static_cast<std::size_t>(size));
    }
  }
  base::UniqueFd reader, writer;
  int next = -1;
};

struct State {
  State(std::shared_ptr<PythonFileSystem> handlers, const std::string& mountpoint, const llfuse::Options& options)
      : file_system(std::move(handlers)),
        session(FileSystemRef(file_system, file_system->operations()), mountpoint, options) {
    file_system->on_failure = [this] { session.stop(); };
    session.on_interrupt(
        [this] {
          wakeup.drain();
          file_system->run_signal_handlers();
        },
        wakeup.reader.get());
  }

  std::shared_ptr<PythonFileSystem> file_system;
  Wakeup wakeup;
  llfuse::Session session;
  bool runs = false;  // guarded by the GIL
};

struct SessionObject {
  PyObject_HEAD State* state;  // null before __init__ and after `close`
};

// Does `work`, which does not need Python, without the GIL. False with an exception.
template <class Work>
bool outside(const Work& work) {
  std::string message;
  PyObject* type = nullptr;
  PyThreadState* const thread = PyEval_SaveThread();
  try {
    work();
  } catch (const std::invalid_argument& error) {
    type = PyExc_ValueError;
    message = error.what();
  } catch (const std::bad_alloc&) {
    type = PyExc_MemoryError;
  } catch (const std::exception& error) {
    type = PyExc_RuntimeError;
    message = error.what();
  }
  PyEval_RestoreThread(thread);
  if (type != nullptr) PyErr_SetString(type, message.c_str());
  return type == nullptr;
}

State* state_of(PyObject* self) {
  State* const state = reinterpret_cast<SessionObject*>(self)->state;
  if (state == nullptr) PyErr_SetString(PyExc_RuntimeError, "the session is closed");
  return state;
}

// An error of the library as OSError.
PyObject* raise(const Error& error) {
  const Ref arguments(Py_BuildValue("(is)", error.code(), error.message().c_str()));
  if (arguments) PyErr_SetObject(PyExc_OSError, arguments.get());
  return nullptr;
}

PyObject* new_session(PyTypeObject* type, PyObject*, PyObject*) { return type->tp_alloc(type, 0); }

bool take_options(PyObject* list, llfuse::Options& options) {
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); ++i) {
    const char* const text = PyBytes_AsString(PyList_GET_ITEM(list, i));
    if (text == nullptr) return false;
    options.insert(text);
  }
  return true;
}

int init_session(PyObject* self, PyObject* arguments, PyObject*) {
  PyObject *handlers = nullptr, *log = nullptr, *options_list = nullptr;
  const char* mountpoint = nullptr;
  if (!PyArg_ParseTuple(arguments, "O!OyO!:Session", &PyDict_Type, &handlers, &log, &mountpoint, &PyList_Type,
                        &options_list)) {
    return -1;
  }
  auto* const object = reinterpret_cast<SessionObject*>(self);
  if (object->state != nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "the session is mounted already");
    return -1;
  }
  llfuse::Options options;
  auto file_system = std::make_shared<PythonFileSystem>(Ref::borrow(log));
  if (!take_options(options_list, options) || !file_system->set_handlers(handlers)) return -1;
  if (file_system->has(Handler::readdirplus)) options.insert({"readdirplus", "readdirplus_auto"});
  State* state = nullptr;
  if (!outside([&] { state = new State(std::move(file_system), mountpoint, options); })) return -1;
  object->state = state;
  return 0;
}

// Handlers run with the lock, and would wait for it for ever.
bool may_call_handlers(const char* function) {
  if (!GlobalLock::instance().is_mine()) return true;
  PyErr_Format(PyExc_RuntimeError, "%s() calls handlers, which need the global lock: release it before", function);
  return false;
}

PyObject* session_main(PyObject* self, PyObject* arguments) {
  PyObject* handlers = nullptr;
  unsigned workers = 0;
  int handle_signals = 1, go_on = 0, wakeup_before = -1;
  if (!PyArg_ParseTuple(arguments, "O!Ippi:main", &PyDict_Type, &handlers, &workers, &handle_signals, &go_on,
                        &wakeup_before)) {
    return nullptr;
  }
  State* const state = state_of(self);
  if (state == nullptr) return nullptr;
  if (state->runs) {
    PyErr_SetString(PyExc_RuntimeError, "main() is running already");
    return nullptr;
  }
  if (!may_call_handlers("main")) return nullptr;
  if (!state->file_system->set_handlers(handlers)) return nullptr;
  state->file_system->set_on_error(go_on != 0 ? OnError::go_on : OnError::raise);
  state->runs = true;
  state->wakeup.next = wakeup_before;
  const Ref keeps_alive = Ref::borrow(self);
  std::optional<int> signal;
  const bool done = outside([&] { signal = state->session.main(workers, handle_signals != 0); });
  state->runs = false;
  state->wakeup.drain();
  if (done) {
    if (!state->file_system->raise_failure()) return nullptr;
    return signal ? PyLong_FromLong(*signal) : Py_NewRef(Py_None);
  }
  // What a handler raised is why it failed.
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  if (state->file_system->raise_failure()) {
    PyErr_Restore(type, value, traceback);
  } else {
    Py_XDECREF(type), Py_XDECREF(value), Py_XDECREF(traceback);
  }
  return nullptr;
}

PyObject* session_stop(PyObject* self, PyObject*) {
  State* const state = state_of(self);
  if (state == nullptr) return nullptr;
  state->session.stop();
  Py_RETURN_NONE;
}

PyObject* session_close(PyObject* self, PyObject* unmount) {
  const int shall_unmount = PyObject_IsTrue(unmount);
  State* const state = shall_unmount < 0 ? nullptr : state_of(self);
  if (state == nullptr) return nullptr;
  if (state->runs) {
    PyErr_SetString(PyExc_RuntimeError, "main() is running: call stop() and wait for it to return");
    return nullptr;
  }
  if (!may_call_handlers("close")) return nullptr;
  reinterpret_cast<SessionObject*>(self)->state = nullptr;
  const std::shared_ptr<PythonFileSystem> file_system = state->file_system;
  const bool closed = outside([&] {
    state->session.close(shall_unmount != 0);
    delete state;
  });
  if (!closed || !file_system->raise_failure()) return nullptr;
  Py_RETURN_NONE;
}

PyObject* session_wakeup_fd(PyObject* self, PyObject*) {
  State* const state = state_of(self);
  return state != nullptr ? PyLong_FromLong(state->wakeup.writer.get()) : nullptr;
}

PyObject* session_is_closed(PyObject* self, PyObject*) {
  return PyBool_FromLong(reinterpret_cast<SessionObject*>(self)->state == nullptr);
}

PyObject* session_statistics(PyObject* self, PyObject*) {
  State* const state = state_of(self);
  return state != nullptr ? statistics_dict(state->session.statistics()) : nullptr;
}

// Notifications. Those that are queued cannot fail for a reason that matters to whoever sends them.

bool to_ino(PyObject* object, void* target) {
  const unsigned long long number = PyLong_AsUnsignedLongLong(object);
  if (number == static_cast<unsigned long long>(-1) && PyErr_Occurred()) return false;
  *static_cast<Ino*>(target) = Ino{number};
  return true;
}
int parse_ino(PyObject* object, void* target) { return to_ino(object, target) ? 1 : 0; }

PyObject* session_invalidate_inode(PyObject* self, PyObject* arguments) {
  Ino ino{};
  int attr_only = 0;
  if (!PyArg_ParseTuple(arguments, "O&p:invalidate_inode", parse_ino, &ino, &attr_only)) return nullptr;
  State* const state = state_of(self);
  if (state == nullptr) return nullptr;
  const Notifier notifier = state->session.notifier();
  static_cast<void>(attr_only != 0 ? notifier.inval_attributes(ino) : notifier.inval_inode(ino));
  Py_RETURN_NONE;
}

// A notification about a name in a directory.
template <class Send>
PyObject* about_name(PyObject* self, PyObject* arguments, const Send& send) {
  Ino parent{};
  PyObject* name = nullptr;
  if (!PyArg_ParseTuple(arguments, "O&S", parse_ino, &parent, &name)) return nullptr;
  State* const state = state_of(self);
  if (state == nullptr) return nullptr;
  static_cast<void>(send(state->session.notifier(), parent,
                         std::string_view(PyBytes_AS_STRING(name), static_cast<std::size_t>(PyBytes_GET_SIZE(name)))));
  Py_RETURN_NONE;
}

PyObject* session_invalidate_entry(PyObject* self, PyObject* arguments) {
  return about_name(self, arguments, [](const Notifier& notifier, Ino parent, std::string_view name) {
    return notifier.inval_entry(parent, name);
  });
}

PyObject* session_expire_entry(PyObject* self, PyObject* arguments) {
  return about_name(self, arguments, [](const Notifier& notifier, Ino parent, std::string_view name) {
    return notifier.expire_entry(parent, name);
  });
}

PyObject* session_notify_delete(PyObject* self, PyObject* arguments) {
  Ino parent{}, child{};
  PyObject* name = nullptr;
  if (!PyArg_ParseTuple(arguments, "O&O&S:notify_delete", parse_ino, &parent, parse_ino, &child, &name)) return nullptr;
  State* const state = state_of(self);
  if (state == nullptr) return nullptr;
  static_cast<void>(state->session.notifier().deleted(parent, child, PyBytes_AS_STRING(name)));
  Py_RETURN_NONE;
}

PyObject* session_notify_poll(PyObject* self, PyObject* handle) {
  Ino number{};
  if (!to_ino(handle, &number)) return nullptr;
  State* const state = state_of(self);
  if (state == nullptr) return nullptr;
  static_cast<void>(state->session.notifier().poll(PollHandle{static_cast<std::uint64_t>(number)}));
  Py_RETURN_NONE;
}

PyObject* session_notify_store(PyObject* self, PyObject* arguments) {
  Ino ino{};
  long long offset = 0;
  Py_buffer data{};
  if (!PyArg_ParseTuple(arguments, "O&Ly*:notify_store", parse_ino, &ino, &offset, &data)) return nullptr;
  std::optional<Error> error;
  bool done = false;
  if (State* const state = state_of(self)) {
    const Bytes bytes(static_cast<const std::byte*>(data.buf), static_cast<std::size_t>(data.len));
    const Notifier notifier = state->session.notifier().synchronous();  // good for nothing, but safe, once it is closed
    done = outside([&] {
      const auto stored = notifier.store(ino, static_cast<std::uint64_t>(offset), bytes);
      if (!stored) error = stored.error();
    });
  }
  PyBuffer_Release(&data);
  if (!done) return nullptr;
  if (error) return raise(*error);
  Py_RETURN_NONE;
}

// Hands what the page cache holds to a callable of Python, from a thread of the session.
struct Retrieved {
  explicit Retrieved(PyObject* callable) noexcept : function(Ref::borrow(callable)) {}
  Retrieved(const Retrieved&) = delete;
  Retrieved& operator=(const Retrieved&) = delete;
  ~Retrieved() {
    const Inside inside(false);
    function = Ref();
  }
  Ref function;
};

PyObject* session_notify_retrieve(PyObject* self, PyObject* arguments) {
  Ino ino{};
  unsigned long long offset = 0, size = 0;
  PyObject* done = nullptr;
  if (!PyArg_ParseTuple(arguments, "O&KKO:notify_retrieve", parse_ino, &ino, &offset, &size, &done)) return nullptr;
  State* const state = state_of(self);
  if (state == nullptr) return nullptr;
  auto kept = std::make_shared<Retrieved>(done);
  const Notifier notifier = state->session.notifier();
  std::optional<Error> error;
  const bool sent = outside([&] {
    auto call = [kept](std::uint64_t at, Bytes bytes) {
      const Inside inside(true);
      const Ref result(PyObject_CallFunction(kept->function.get(), "Ky#", static_cast<unsigned long long>(at),
                                             reinterpret_cast<const char*>(bytes.data()),
                                             static_cast<Py_ssize_t>(bytes.size())));
      if (!result) PyErr_WriteUnraisable(kept->function.get());
    };
    kept.reset();
    const auto asked = notifier.retrieve(ino, {offset, static_cast<std::size_t>(size)}, std::move(call));
    if (!asked) error = asked.error();
  });
  if (!sent) return nullptr;
  if (error) return raise(*error);
  Py_RETURN_NONE;
}

template <Result<void> (Notifier::*notification)() const>
PyObject* session_notify(PyObject* self, PyObject*) {
  State* const state = state_of(self);
  if (state == nullptr) return nullptr;
  const auto told = (state->session.notifier().*notification)();
  if (!told) return raise(told.error());
  Py_RETURN_NONE;
}

PyObject* session_prune(PyObject* self, PyObject* sequence) {
  const Ref items(PySequence_Fast(sequence, "prune takes a sequence of inode numbers"));
  if (!items) return nullptr;
  std::vector<Ino> inos(static_cast<std::size_t>(PySequence_Fast_GET_SIZE(items.get())));
  for (std::size_t i = 0; i < inos.size(); ++i) {
    if (!to_ino(PySequence_Fast_GET_ITEM(items.get(), static_cast<Py_ssize_t>(i)), &inos[i])) return nullptr;
  }
  State* const state = state_of(self);
  if (state == nullptr) return nullptr;
  const auto told = state->session.notifier().prune(inos);
  if (!told) return raise(told.error());
  Py_RETURN_NONE;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  const State* const state = reinterpret_cast<SessionObject*>(self)->state;
  return state != nullptr ? state->file_system->traverse(visit, arg) : 0;
}

int clear(PyObject* self) {
  if (State* const state = reinterpret_cast<SessionObject*>(self)->state) state->file_system->clear();
  return 0;
}

void dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  PyTypeObject* const type = Py_TYPE(self);
  State* const state = std::exchange(reinterpret_cast<SessionObject*>(self)->state, nullptr);
  // At the end of the interpreter nothing may run any more, and the end of the process closes the device.
  if (state != nullptr && !_Py_IsFinalizing()) {
    const std::shared_ptr<PythonFileSystem> file_system = state->file_system;
    if (!outside([&] { delete state; }) || !file_system->raise_failure()) PyErr_WriteUnraisable(nullptr);
  }
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"main", as_method(session_main), METH_VARARGS, nullptr},
    {"stop", as_method(session_stop), METH_NOARGS, "stop()\n--\n\nMake `main` return. From any thread."},
    {"close", as_method(session_close), METH_O, nullptr},
    {"_wakeup_fd", as_method(session_wakeup_fd), METH_NOARGS, nullptr},
    {"_is_closed", as_method(session_is_closed), METH_NOARGS, nullptr},
    {"statistics", as_method(session_statistics), METH_NOARGS,
     "statistics()\n--\n\nWhat was done so far: a dict with a dict for each operation, and the transport."},
    {"invalidate_inode", as_method(session_invalidate_inode), METH_VARARGS, nullptr},
    {"invalidate_entry", as_method(session_invalidate_entry), METH_VARARGS,
     "invalidate_entry(inode_p, name)\n--\n\nMake the kernel forget the entry `name` of a directory. Returns at once."},
    {"expire_entry", as_method(session_expire_entry), METH_VARARGS,
     "expire_entry(inode_p, name)\n--\n\nMake the kernel ask again for the entry `name` when it is next needed."},
    {"notify_delete", as_method(session_notify_delete), METH_VARARGS,
     "notify_delete(inode_p, inode, name)\n--\n\nTell the kernel that the entry `name` of a directory was removed."},
    {"notify_poll", as_method(session_notify_poll), METH_O,
     "notify_poll(handle)\n--\n\nWake who waits in poll(2); `handle` is what the handler `poll` was given."},
    {"notify_store", as_method(session_notify_store), METH_VARARGS,
     "notify_store(inode, offset, data)\n--\n\nPut data into the kernel's page cache."},
    {"notify_retrieve", as_method(session_notify_retrieve), METH_VARARGS,
     "notify_retrieve(inode, offset, size, done)\n--\n\nAsk for what the page cache holds: done(offset, data)."},
    {"resend", as_method(session_notify<&Notifier::resend>), METH_NOARGS,
     "resend()\n--\n\nMake the kernel send again what is not answered."},
    {"increment_epoch", as_method(session_notify<&Notifier::increment_epoch>), METH_NOARGS,
     "increment_epoch()\n--\n\nMake the kernel ask again for every entry when it is next needed."},
    {"prune", as_method(session_prune), METH_O,
     "prune(inodes)\n--\n\nAsk the kernel to forget nodes that it does not need."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_session(PyObject* module) {
  PyType_Slot slots[] = {{Py_tp_new, as_slot(new_session)},
                         {Py_tp_init, as_slot(init_session)},
                         {Py_tp_traverse, as_slot(traverse)},
                         {Py_tp_clear, as_slot(clear)},
                         {Py_tp_dealloc, as_slot(dealloc)},
                         {Py_tp_methods, methods},
                         {0, nullptr}};
  PyType_Spec spec{"llfuse._core.Session", sizeof(SessionObject), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
  PyTypeObject* const type = make_type(spec);
  return type != nullptr && PyModule_AddType(module, type) == 0;
}

}  // namespace fuselage::python
