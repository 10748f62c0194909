// Members of Python objects that are numbers in a structure, with their ranges checked; from one table come the
// attributes, and the state for copying and pickling.
#pragma once

#include <fuselage/types.hpp>
#include <iterator>
#include <limits>

#include "python/object.hpp"

namespace fuselage::python {

enum class Kind { u64, u32, i64, real, time, no_time };

struct Field {
  const char* name;
  Kind kind;
  std::size_t offset;
  const char* doc;
};

/// The value of a field as a new reference, and the other way round; null or -1 with an exception.
PyObject* get_field(PyObject* self, void* field);
int set_field(PyObject* self, PyObject* value, void* field);

/// The state of the fields as a dict, and the other way round.
PyObject* get_state(PyObject* self, const Field* begin, const Field* end);
PyObject* set_state(PyObject* self, PyObject* state, const Field* begin, const Field* end);

/// What Py_tp_getset wants.
template <const auto& fields>
PyGetSetDef* getters_of() {
  static PyGetSetDef table[std::size(fields) + 1] = {};
  for (std::size_t i = 0; i < std::size(fields); ++i) {
    table[i] = {fields[i].name, get_field, set_field, fields[i].doc, const_cast<Field*>(&fields[i])};
  }
  return table;
}

/// What Py_tp_methods wants for copying and pickling.
template <const auto& fields>
PyMethodDef* state_methods_of() {
  static PyMethodDef table[] = {
      {"__getstate__", [](PyObject* self, PyObject*) { return get_state(self, std::begin(fields), std::end(fields)); },
       METH_NOARGS, nullptr},
      {"__setstate__",
       [](PyObject* self, PyObject* state) { return set_state(self, state, std::begin(fields), std::end(fields)); },
       METH_O, nullptr},
      {nullptr, nullptr, 0, nullptr}};
  return table;
}

}  // namespace fuselage::python
