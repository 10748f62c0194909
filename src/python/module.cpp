// The extension module llfuse._core.
#include "python/data.hpp"
#include "python/session.hpp"
#include "python/threads.hpp"
#include "python/waiter.hpp"

namespace fuselage::python {
namespace {

PyObject* set_hook(PyObject*, PyObject* hook) {
  set_thread_hook(Ref::borrow(hook));
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {{"set_thread_hook", as_method(set_hook), METH_O, nullptr}, {nullptr, nullptr, 0, nullptr}};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "llfuse._core", nullptr, -1, functions, nullptr, nullptr, nullptr, nullptr};

}  // namespace
}  // namespace fuselage::python

PyMODINIT_FUNC PyInit__core() {
  using namespace fuselage::python;
  Ref module(PyModule_Create(&definition));
  if (!module || !add_data_types(module.get()) || !add_lock(module.get()) || !add_waiter(module.get()) ||
      !add_session(module.get())) {
    return nullptr;
  }
  return module.release();
}
