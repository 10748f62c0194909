#include "python/convert.hpp"

#include <cstring>

namespace fuselage::python {
namespace {

// The memory of an object with the buffer protocol.
class Buffer {
 public:
  explicit Buffer(PyObject* object) : valid_(PyObject_GetBuffer(object, &view_, PyBUF_SIMPLE) == 0) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (valid_) PyBuffer_Release(&view_);
  }
  explicit operator bool() const noexcept { return valid_; }
  Bytes bytes() const noexcept {
    return {static_cast<const std::byte*>(view_.buf), static_cast<std::size_t>(view_.len)};
  }

 private:
  Py_buffer view_{};
  bool valid_;
};

Bytes bytes_in(PyObject* bytes) noexcept {
  return {reinterpret_cast<const std::byte*>(PyBytes_AS_STRING(bytes)),
          static_cast<std::size_t>(PyBytes_GET_SIZE(bytes))};
}

void place(Bytes bytes, const Context& context, std::size_t size, Data& data) {
  const std::span<std::byte> target =
      bytes.size() <= size ? context.reply_buffer(bytes.size()) : std::span<std::byte>();
  if (target.size() < bytes.size() || target.empty()) {
    data = Data::own(std::string(text_of(bytes)));
    return;
  }
  std::memcpy(target.data(), bytes.data(), bytes.size());
  data = Data::borrow(target.first(bytes.size()));
}

// The tuple's items, if it has `count`.
bool take_apart(PyObject* object, Py_ssize_t count, const char* what, Ref& items) {
  items = Ref(PySequence_Fast(object, what));
  if (!items) return false;
  if (PySequence_Fast_GET_SIZE(items.get()) == count) return true;
  PyErr_SetString(PyExc_ValueError, what);
  return false;
}

PyObject* item(const Ref& items, Py_ssize_t index) { return PySequence_Fast_GET_ITEM(items.get(), index); }

bool number_in(PyObject* dict, const char* key, std::uint64_t& number) {
  PyObject* const value = PyDict_GetItemString(dict, key);
  return value == nullptr || to_number(value, number);
}

}  // namespace

bool to_number(PyObject* object, std::uint64_t& number) {
  if (!PyLong_Check(object)) {
    PyErr_Format(PyExc_TypeError, "the handler must return an int, not %s", Py_TYPE(object)->tp_name);
    return false;
  }
  number = PyLong_AsUnsignedLongLong(object);
  return number != static_cast<std::uint64_t>(-1) || PyErr_Occurred() == nullptr;
}

bool to_bytes(PyObject* object, std::string& bytes) {
  if (!PyBytes_Check(object)) {
    PyErr_Format(PyExc_TypeError, "the handler must return bytes, not %s", Py_TYPE(object)->tp_name);
    return false;
  }
  bytes = text_of(bytes_in(object));
  return true;
}

bool to_string(PyObject* object, std::string& bytes) {
  const Buffer buffer(object);
  if (buffer) bytes = text_of(buffer.bytes());
  return static_cast<bool>(buffer);
}

bool to_data(PyObject* object, const Context& context, std::size_t size, Data& data) {
  if (PyBytes_CheckExact(object)) {
    place(bytes_in(object), context, size, data);
    return true;
  }
  const Buffer buffer(object);
  if (buffer) place(buffer.bytes(), context, size, data);
  return static_cast<bool>(buffer);
}

bool to_names(PyObject* object, std::vector<std::string>& names) {
  const Ref iterator(PyObject_GetIter(object));
  if (!iterator) return false;
  while (const Ref name = Ref(PyIter_Next(iterator.get()))) {
    if (!to_bytes(name.get(), names.emplace_back())) return false;
  }
  return PyErr_Occurred() == nullptr;
}

bool to_created(PyObject* object, Created& created) {
  Ref items;
  std::uint64_t handle = 0;
  if (!take_apart(object, 2, "create must return (fh, attributes)", items) || !to_number(item(items, 0), handle) ||
      !to_entry(item(items, 1), created.entry)) {
    return false;
  }
  created.opened.handle = Handle{handle};
  created.opened.keep_cache = true;
  return true;
}

Ref lock_dict(const Lock& lock, LockOwner owner) {
  return Ref(Py_BuildValue("{s:i,s:K,s:K,s:i,s:O,s:K}", "type",
                           lock.type == Lock::Type::read    ? F_RDLCK
                           : lock.type == Lock::Type::write ? F_WRLCK
                                                            : F_UNLCK,
                           "start", static_cast<unsigned long long>(lock.start), "end",
                           static_cast<unsigned long long>(lock.end), "pid", static_cast<int>(lock.pid), "flock",
                           lock.flock ? Py_True : Py_False, "owner", static_cast<unsigned long long>(owner)));
}

bool to_lock(PyObject* object, Lock& lock) {
  if (!PyDict_Check(object)) {
    PyErr_Format(PyExc_TypeError, "getlk must return a dict, not %s", Py_TYPE(object)->tp_name);
    return false;
  }
  std::uint64_t type = F_UNLCK, pid = 0;
  if (!number_in(object, "type", type) || !number_in(object, "pid", pid) || !number_in(object, "start", lock.start) ||
      !number_in(object, "end", lock.end)) {
    return false;
  }
  lock.type = type == F_RDLCK ? Lock::Type::read : type == F_WRLCK ? Lock::Type::write : Lock::Type::unlock;
  lock.pid = static_cast<::pid_t>(pid);
  return true;
}

bool to_ioctl(PyObject* object, IoctlReply& reply) {
  Ref items;
  std::uint64_t result = 0;
  std::string output;
  if (!take_apart(object, 2, "ioctl must return (result, output)", items) || !to_number(item(items, 0), result) ||
      !to_string(item(items, 1), output)) {
    return false;
  }
  reply.result = static_cast<int>(result);
  reply.output = Data::own(std::move(output));
  return true;
}

bool to_listing(PyObject* entries, DirectorySink& sink, bool whole) {
  const Ref iterator(PyObject_GetIter(entries));
  if (!iterator) return false;
  while (const Ref next = Ref(PyIter_Next(iterator.get()))) {
    Ref items;
    Entry entry;
    std::uint64_t position = 0;
    if (!take_apart(next.get(), 3, "readdir must yield (name, attributes, next)", items)) return false;
    if (!PyBytes_Check(item(items, 0))) {
      PyErr_Format(PyExc_TypeError, "names must be bytes, not %s", Py_TYPE(item(items, 0))->tp_name);
      return false;
    }
    if (!to_entry(item(items, 1), entry) || !to_number(item(items, 2), position)) return false;
    const std::string_view name = text_of(bytes_in(item(items, 0)));
    const bool added =
        whole ? sink.add(name, entry, position) : sink.add(name, entry.ino, file_type(entry.attributes.mode), position);
    if (!added) return true;
  }
  return PyErr_Occurred() == nullptr;
}

}  // namespace fuselage::python
