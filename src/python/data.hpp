// The classes that handlers are asked and answer with: EntryAttributes, StatvfsData, RequestContext, SetattrFields,
// FUSEError.
#pragma once

#include <fuselage/attributes.hpp>
#include <fuselage/context.hpp>

#include "python/object.hpp"

namespace fuselage::python {

/// Adds the classes to the module. False with an exception.
bool add_data_types(PyObject* module);

/// New objects for handlers; null with an exception.
PyObject* context_object(const Context& context);
PyObject* setattr_fields(const SetAttributes& changes);
PyObject* entry_attributes(const SetAttributes& changes);

/// What an object that a handler answered says; false with an exception when it is of another class.
bool to_entry(PyObject* object, Entry& entry);
bool to_attributes(PyObject* object, Attributes& attributes);
bool to_statfs(PyObject* object, StatFs& statfs);

/// If the current exception is a FUSEError: its errno, and the exception is cleared. Else 0.
int take_fuse_error();

}  // namespace fuselage::python
