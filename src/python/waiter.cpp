#include "python/waiter.hpp"

#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace fuselage::python {
namespace {

thread_local const Context* asking = nullptr;

struct Waiting {
  std::stop_token interrupt;
  std::mutex mutex;
  std::condition_variable_any changed;
  bool is_set = false;  // guarded by mutex
};

struct WaiterObject {
  PyObject_HEAD Waiting* waiting;
};

Waiting& waiting_of(PyObject* self) noexcept { return *reinterpret_cast<WaiterObject*>(self)->waiting; }

PyObject* new_waiter(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* const self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  auto* const waiting = new Waiting();
  if (asking != nullptr) waiting->interrupt = asking->stop_token();
  reinterpret_cast<WaiterObject*>(self)->waiting = waiting;
  return self;
}

void dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  delete reinterpret_cast<WaiterObject*>(self)->waiting;
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* set(PyObject* self, PyObject*) {
  Waiting& waiting = waiting_of(self);
  const std::lock_guard lock(waiting.mutex);  // never held for long, and without the GIL by whoever waits
  waiting.is_set = true;
  waiting.changed.notify_all();
  Py_RETURN_NONE;
}

PyObject* wait(PyObject* self, PyObject* interruptible) {
  const int may_end_early = PyObject_IsTrue(interruptible);
  if (may_end_early < 0) return nullptr;
  Waiting& waiting = waiting_of(self);
  bool is_set = false;
  PyThreadState* const thread = PyEval_SaveThread();
  {
    std::unique_lock lock(waiting.mutex);
    const std::stop_token interrupt = may_end_early != 0 ? waiting.interrupt : std::stop_token();
    is_set = waiting.changed.wait(lock, interrupt, [&] { return waiting.is_set; });
  }
  PyEval_RestoreThread(thread);
  return PyBool_FromLong(is_set);
}

PyMethodDef methods[] = {{"set", as_method(set), METH_NOARGS, nullptr},
                         {"wait", as_method(wait), METH_O, nullptr},
                         {nullptr, nullptr, 0, nullptr}};

}  // namespace

Asking::Asking(const Context& context) noexcept : before_(std::exchange(asking, &context)) {}

Asking::~Asking() { asking = before_; }

bool add_waiter(PyObject* module) {
  PyType_Slot slots[] = {
      {Py_tp_new, as_slot(new_waiter)}, {Py_tp_dealloc, as_slot(dealloc)}, {Py_tp_methods, methods}, {0, nullptr}};
  PyType_Spec spec{"llfuse._core.Waiter", sizeof(WaiterObject), 0, Py_TPFLAGS_DEFAULT, slots};
  PyTypeObject* const type = make_type(spec);
  return type != nullptr && PyModule_AddType(module, type) == 0;
}

}  // namespace fuselage::python
