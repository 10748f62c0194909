// The class Session: one mount that is served by handlers in Python.
#pragma once

#include "python/object.hpp"

namespace fuselage::python {

/// Adds the class to the module. False with an exception.
bool add_session(PyObject* module);

}  // namespace fuselage::python
