#include "python/threads.hpp"

#include <atomic>

namespace fuselage::python {
namespace {

PyObject* thread_hook = nullptr;  // lives as long as the process
std::atomic<long> threads_so_far{0};

void tell(PyObject* number) {
  if (thread_hook == nullptr) return;
  const Ref result(number != nullptr ? PyObject_CallOneArg(thread_hook, number) : PyObject_CallNoArgs(thread_hook));
  if (!result) PyErr_WriteUnraisable(thread_hook);
}

// What a thread of the library has in the interpreter.
struct Visitor {
  bool is_known = false;
  PyObject* spare = nullptr;

  void introduce() {
    PyGILState_Ensure();
    is_known = true;
    const Ref number(PyLong_FromLong(++threads_so_far));
    tell(number.get());
  }
  // A thread of Python's own, to which it has said goodbye already.
  void leave_behind_nothing() {
    const PyGILState_STATE state = PyGILState_Ensure();
    Py_CLEAR(spare);
    PyGILState_Release(state);
  }
  ~Visitor() {
    if (_Py_IsFinalizing() || !Py_IsInitialized()) return;
    if (!is_known) {
      if (spare != nullptr) leave_behind_nothing();
      return;
    }
    PyEval_RestoreThread(PyGILState_GetThisThreadState());
    Py_CLEAR(spare);
    tell(nullptr);
    PyGILState_Release(PyGILState_UNLOCKED);
  }
};

thread_local Visitor visitor;

}  // namespace

Inside::Inside(bool with_lock) : with_lock_(with_lock) {
  if (with_lock_) GlobalLock::instance().acquire();
  if (PyThreadState* const state = PyGILState_GetThisThreadState()) {
    PyEval_RestoreThread(state);
  } else {
    visitor.introduce();
  }
}

Inside::~Inside() {
  PyEval_SaveThread();
  if (with_lock_) GlobalLock::instance().release();
}

void set_thread_hook(Ref hook) { thread_hook = hook.release(); }

PyObject*& spare_object() noexcept { return visitor.spare; }

}  // namespace fuselage::python
