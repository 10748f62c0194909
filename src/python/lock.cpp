#include "python/lock.hpp"

#include <cmath>
#include <new>

namespace fuselage::python {

GlobalLock& GlobalLock::instance() {
  static GlobalLock& lock = *new GlobalLock;  // threads may use it until the process is gone
  return lock;
}

GlobalLock::GlobalLock() {
  // A child has only the thread that forked: what others held nobody would release.
  ::pthread_atfork([] { instance().mutex_.lock(); }, [] { instance().mutex_.unlock(); },
                   [] { instance().restart_in_child(); });
}

void GlobalLock::restart_in_child() {
  held_ = held_ && ::pthread_equal(owner_, ::pthread_self());
  waiting_ = yielding_ = 0;
  new (&free_) std::condition_variable;
  new (&taken_) std::condition_variable;
  mutex_.unlock();
}

void GlobalLock::take() noexcept {
  held_ = true;
  owner_ = ::pthread_self();
  ++turns_;
  if (yielding_ > 0) {
    yielding_ = 0;
    taken_.notify_all();
  }
}

bool GlobalLock::try_acquire() {
  const std::lock_guard lock(mutex_);
  if (held_) return false;
  take();
  return true;
}

bool GlobalLock::acquire(std::optional<std::chrono::duration<double>> timeout) {
  std::unique_lock lock(mutex_);
  if (held_) {
    ++waiting_;
    const auto is_free = [this] { return !held_; };
    bool got = true;
    if (timeout) {
      got = free_.wait_for(lock, *timeout, is_free);
    } else {
      free_.wait(lock, is_free);
    }
    --waiting_;
    if (!got) {
      if (yielding_ > 0) taken_.notify_all();  // they need not wait for us
      return false;
    }
  }
  take();
  return true;
}

bool GlobalLock::release() {
  const std::lock_guard lock(mutex_);
  if (!held_ || !::pthread_equal(owner_, ::pthread_self())) return false;
  held_ = false;
  if (waiting_ > 0) free_.notify_one();
  return true;
}

void GlobalLock::yield(long count) {
  std::unique_lock lock(mutex_);
  for (; count > 0 && waiting_ > 0; --count) {
    const std::uint64_t before = turns_;
    held_ = false;
    free_.notify_one();
    ++waiting_;  // from now on, so that whoever gets it can hand it back
    ++yielding_;
    taken_.wait(lock, [&] { return turns_ != before || waiting_ == yielding_; });
    if (turns_ == before) --yielding_;  // those who waited gave up
    free_.wait(lock, [this] { return !held_; });
    --waiting_;
    take();
  }
}

bool GlobalLock::is_mine() {
  const std::lock_guard lock(mutex_);
  return held_ && ::pthread_equal(owner_, ::pthread_self());
}

namespace {

constexpr const char* not_holder = "Lock can only be released by the holding thread";

PyObject* refuse_new(PyTypeObject*, PyObject*, PyObject*) {
  PyErr_SetString(PyExc_TypeError, "You should not instantiate this class, use the provided instance instead.");
  return nullptr;
}

// With the GIL. -1 with an exception, else whether it was acquired.
int acquire(std::optional<std::chrono::duration<double>> timeout) {
  GlobalLock& lock = GlobalLock::instance();
  if (lock.try_acquire()) return 1;
  if (lock.is_mine()) {
    PyErr_SetString(PyExc_RuntimeError, "Global lock cannot be acquired more than once");
    return -1;
  }
  bool got = false;
  Py_BEGIN_ALLOW_THREADS;
  got = lock.acquire(timeout);
  Py_END_ALLOW_THREADS;
  return got ? 1 : 0;
}

PyObject* release() {
  if (GlobalLock::instance().release()) Py_RETURN_NONE;
  PyErr_SetString(PyExc_RuntimeError, not_holder);
  return nullptr;
}

PyObject* lock_acquire(PyObject*, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"timeout", nullptr};
  PyObject* timeout = Py_None;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|O:acquire", const_cast<char**>(names), &timeout)) {
    return nullptr;
  }
  std::optional<std::chrono::duration<double>> limit;
  if (timeout != Py_None) {
    const double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred()) return nullptr;
    constexpr double longest = 1e9;  // beyond which a clock would overflow
    if (!(seconds > longest)) limit = std::chrono::duration<double>(seconds > 0 ? seconds : 0);
  }
  const int got = acquire(limit);
  return got < 0 ? nullptr : PyBool_FromLong(got);
}

PyObject* lock_release(PyObject*, PyObject*) { return release(); }

PyObject* lock_yield(PyObject*, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"count", nullptr};
  long count = 1;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|l:yield_", const_cast<char**>(names), &count)) return nullptr;
  if (!GlobalLock::instance().is_mine()) {
    PyErr_SetString(PyExc_RuntimeError, not_holder);
    return nullptr;
  }
  Py_BEGIN_ALLOW_THREADS;
  GlobalLock::instance().yield(count);
  Py_END_ALLOW_THREADS;
  Py_RETURN_NONE;
}

PyObject* acquire_or_fail() {
  if (acquire({}) < 0) return nullptr;
  Py_RETURN_NONE;
}

PyObject* lock_enter(PyObject*, PyObject*) { return acquire_or_fail(); }
PyObject* lock_exit(PyObject*, PyObject*) { return release(); }
PyObject* released_enter(PyObject*, PyObject*) { return release(); }
PyObject* released_exit(PyObject*, PyObject*) { return acquire_or_fail(); }

PyMethodDef lock_methods[] = {
    {"acquire", as_method(lock_acquire), METH_VARARGS | METH_KEYWORDS,
     "acquire(timeout=None)\n--\n\nAcquire the lock. False if it cannot be had within `timeout` seconds."},
    {"release", as_method(lock_release), METH_NOARGS, "release()\n--\n\nRelease the lock."},
    {"yield_", as_method(lock_yield), METH_VARARGS | METH_KEYWORDS,
     "yield_(count=1)\n--\n\nHand the lock to another thread, if one waits for it, up to `count` times, and take it "
     "back.\n\nUnlike after a release, another thread has had it for certain."},
    {"__enter__", as_method(lock_enter), METH_NOARGS, nullptr},
    {"__exit__", as_method(lock_exit), METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};
PyMethodDef released_methods[] = {{"__enter__", as_method(released_enter), METH_NOARGS, nullptr},
                                  {"__exit__", as_method(released_exit), METH_VARARGS, nullptr},
                                  {nullptr, nullptr, 0, nullptr}};

// A class that has one object, under `name`.
bool add_singleton(PyObject* module, const char* type_name, const char* name, const char* doc, PyMethodDef* methods) {
  PyType_Slot slots[] = {
      {Py_tp_new, as_slot(refuse_new)}, {Py_tp_methods, methods}, {Py_tp_doc, const_cast<char*>(doc)}, {0, nullptr}};
  PyType_Spec spec{type_name, sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};
  PyTypeObject* const type = make_type(spec);
  if (type == nullptr || PyModule_AddType(module, type) != 0) return false;
  const Ref object(type->tp_alloc(type, 0));
  return object && PyModule_AddObjectRef(module, name, object.get()) == 0;
}

}  // namespace

bool add_lock(PyObject* module) {
  return add_singleton(module, "llfuse.Lock", "lock", "The global lock: every handler runs with it held.",
                       lock_methods) &&
         add_singleton(module, "llfuse.NoLockManager", "lock_released",
                       "Releases the global lock for the time of a with statement.", released_methods);
}

}  // namespace fuselage::python
