// Arguments for handlers, and their answers.
#pragma once

#include <fuselage/directory_sink.hpp>
#include <fuselage/requests.hpp>
#include <string>
#include <vector>

#include "python/data.hpp"

namespace fuselage::python {

/// Null, where the handler shall get None.
struct Nothing {};

inline PyObject* make(Nothing) { return Py_NewRef(Py_None); }
inline PyObject* make(bool value) { return PyBool_FromLong(value); }
inline PyObject* make(int value) { return PyLong_FromLong(value); }
inline PyObject* make(std::uint32_t value) { return PyLong_FromUnsignedLong(value); }
inline PyObject* make(std::uint64_t value) { return PyLong_FromUnsignedLongLong(value); }
inline PyObject* make(Ino value) { return make(static_cast<std::uint64_t>(value)); }
inline PyObject* make(PollHandle value) { return make(static_cast<std::uint64_t>(value)); }
inline PyObject* make(LockOwner value) { return make(static_cast<std::uint64_t>(value)); }
inline PyObject* make(const OpenFile& file) { return make(static_cast<std::uint64_t>(file.handle)); }
inline PyObject* make(const OpenFile* file) { return file != nullptr ? make(*file) : make(Nothing()); }
inline PyObject* make(const Context& context) { return context_object(context); }
inline PyObject* make(const Ref& object) { return Py_XNewRef(object.get()); }
inline PyObject* make(std::string_view bytes) {
  return PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size()));
}
inline PyObject* make(Bytes bytes) { return make(text_of(bytes)); }

/// What an answer is; false with an exception when it is not of the right class.
bool to_number(PyObject* object, std::uint64_t& number);
bool to_bytes(PyObject* object, std::string& bytes);
/// Any object with the buffer protocol.
bool to_string(PyObject* object, std::string& bytes);
/// The same, put where the answer is wanted if it has at most `size` bytes.
bool to_data(PyObject* object, const Context& context, std::size_t size, Data& data);
bool to_names(PyObject* object, std::vector<std::string>& names);
bool to_created(PyObject* object, Created& created);
/// A dict like the one that `getlk` is given.
bool to_lock(PyObject* object, Lock& lock);
bool to_ioctl(PyObject* object, IoctlReply& reply);

/// A lock as a dict: type, start, end, pid, flock, owner.
Ref lock_dict(const Lock& lock, LockOwner owner);

/// Puts the entries of an iterable of (name, attributes, next) into the sink until it is full, and takes no more.
bool to_listing(PyObject* entries, DirectorySink& sink, bool whole);

}  // namespace fuselage::python
