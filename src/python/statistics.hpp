// What a session has counted, for Python.
#pragma once

#include <fuselage/statistics.hpp>

#include "python/object.hpp"

namespace fuselage::python {

/// Null with an exception.
PyObject* statistics_dict(const Statistics& statistics);

}  // namespace fuselage::python
