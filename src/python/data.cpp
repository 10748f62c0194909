#include "python/data.hpp"

#include <structmember.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>

#include "python/fields.hpp"
#include "python/threads.hpp"

namespace fuselage::python {
namespace {

struct EntryObject {
  PyObject_HEAD std::uint64_t ino, generation;
  double entry_timeout, attr_timeout;
  std::uint32_t mode, nlink, uid, gid, block_size;
  std::uint64_t rdev, blocks;
  std::int64_t size;
  Timestamp atime, mtime, ctime;
};

struct StatvfsObject {
  PyObject_HEAD std::uint64_t bsize, frsize, blocks, bfree, bavail, files, ffree, favail, namemax;
};

struct ContextObject {
  PyObject_HEAD unsigned uid, gid, umask;
  int pid;
};

struct FieldsObject {
  PyObject_HEAD char atime, mtime, mode, uid, gid, size;
};

struct ErrorObject {
  PyBaseExceptionObject base;
  int number;
};

PyTypeObject* entry_type = nullptr;
PyTypeObject* statvfs_type = nullptr;
PyTypeObject* context_type = nullptr;
PyTypeObject* fields_type = nullptr;
PyTypeObject* error_type = nullptr;

constexpr Field entry_fields[] = {
    {"st_ino", Kind::u64, offsetof(EntryObject, ino), "number of the inode; also the one that stat(2) shows"},
    {"generation", Kind::u64, offsetof(EntryObject, generation), "tells inodes of one number apart"},
    {"entry_timeout", Kind::real, offsetof(EntryObject, entry_timeout), "seconds for which the name leads here"},
    {"attr_timeout", Kind::real, offsetof(EntryObject, attr_timeout), "seconds for which the attributes hold"},
    {"st_mode", Kind::u32, offsetof(EntryObject, mode), "type and permissions"},
    {"st_nlink", Kind::u32, offsetof(EntryObject, nlink), "number of names"},
    {"st_uid", Kind::u32, offsetof(EntryObject, uid), "owner"},
    {"st_gid", Kind::u32, offsetof(EntryObject, gid), "group"},
    {"st_rdev", Kind::u64, offsetof(EntryObject, rdev), "the device of a device node"},
    {"st_size", Kind::i64, offsetof(EntryObject, size), "bytes"},
    {"st_blksize", Kind::u32, offsetof(EntryObject, block_size), "preferred size of I/O in bytes"},
    {"st_blocks", Kind::u64, offsetof(EntryObject, blocks), "allocated, in units of 512 bytes"},
    {"st_atime_ns", Kind::time, offsetof(EntryObject, atime), "nanoseconds since 1970"},
    {"st_ctime_ns", Kind::time, offsetof(EntryObject, ctime), "nanoseconds since 1970"},
    {"st_mtime_ns", Kind::time, offsetof(EntryObject, mtime), "nanoseconds since 1970"},
    {"st_birthtime_ns", Kind::no_time, 0, "always 0 on Linux"},
};

constexpr Field statvfs_fields[] = {
    {"f_bsize", Kind::u64, offsetof(StatvfsObject, bsize), "preferred size of I/O in bytes"},
    {"f_frsize", Kind::u64, offsetof(StatvfsObject, frsize), "unit of the block counts in bytes"},
    {"f_blocks", Kind::u64, offsetof(StatvfsObject, blocks), "blocks"},
    {"f_bfree", Kind::u64, offsetof(StatvfsObject, bfree), "free blocks"},
    {"f_bavail", Kind::u64, offsetof(StatvfsObject, bavail), "free blocks for everybody"},
    {"f_files", Kind::u64, offsetof(StatvfsObject, files), "inodes"},
    {"f_ffree", Kind::u64, offsetof(StatvfsObject, ffree), "free inodes"},
    {"f_favail", Kind::u64, offsetof(StatvfsObject, favail), "free inodes for everybody"},
    {"f_namemax", Kind::u64, offsetof(StatvfsObject, namemax), "longest name in bytes; 0 means 255"},
};

PyObject* new_entry(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  if (PyTuple_GET_SIZE(arguments) != 0 || (keywords != nullptr && PyDict_GET_SIZE(keywords) != 0)) {
    PyErr_SetString(PyExc_TypeError, "EntryAttributes() takes no arguments");
    return nullptr;
  }
  auto* const entry = reinterpret_cast<EntryObject*>(type->tp_alloc(type, 0));
  if (entry == nullptr) return nullptr;
  entry->entry_timeout = entry->attr_timeout = 300;
  entry->mode = S_IFREG;
  entry->nlink = 1;
  entry->block_size = 4096;
  return reinterpret_cast<PyObject*>(entry);
}

PyObject* refuse_pickling(PyObject* self, PyObject*) {
  const Ref module(PyImport_ImportModule("pickle"));
  const Ref error(module ? PyObject_GetAttrString(module.get(), "PicklingError") : nullptr);
  if (error) PyErr_Format(error.get(), "%s instances can't be pickled", Py_TYPE(self)->tp_name);
  return nullptr;
}

PyMethodDef no_pickling[] = {{"__getstate__", as_method(refuse_pickling), METH_NOARGS, nullptr},
                             {"__reduce__", as_method(refuse_pickling), METH_NOARGS, nullptr},
                             {nullptr, nullptr, 0, nullptr}};

PyMemberDef context_members[] = {{"uid", T_UINT, offsetof(ContextObject, uid), READONLY, "the caller's user id"},
                                 {"gid", T_UINT, offsetof(ContextObject, gid), READONLY, "the caller's group id"},
                                 {"pid", T_INT, offsetof(ContextObject, pid), READONLY, "the caller's thread id"},
                                 {"umask", T_UINT, offsetof(ContextObject, umask), READONLY, "the caller's umask"},
                                 {nullptr, 0, 0, 0, nullptr}};
PyMemberDef fields_members[] = {{"update_atime", T_BOOL, offsetof(FieldsObject, atime), READONLY, nullptr},
                                {"update_mtime", T_BOOL, offsetof(FieldsObject, mtime), READONLY, nullptr},
                                {"update_mode", T_BOOL, offsetof(FieldsObject, mode), READONLY, nullptr},
                                {"update_uid", T_BOOL, offsetof(FieldsObject, uid), READONLY, nullptr},
                                {"update_gid", T_BOOL, offsetof(FieldsObject, gid), READONLY, nullptr},
                                {"update_size", T_BOOL, offsetof(FieldsObject, size), READONLY, nullptr},
                                {nullptr, 0, 0, 0, nullptr}};

PyObject* new_error(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  if (PyTuple_GET_SIZE(arguments) != 1 || (keywords != nullptr && PyDict_GET_SIZE(keywords) != 0)) {
    PyErr_SetString(PyExc_TypeError, "FUSEError takes exactly one argument, an errno");
    return nullptr;
  }
  const long number = PyLong_AsLong(PyTuple_GET_ITEM(arguments, 0));
  if (number == -1 && PyErr_Occurred()) return nullptr;
  if (number > std::numeric_limits<int>::max() || number < std::numeric_limits<int>::min()) {
    PyErr_SetString(PyExc_OverflowError, "value too large for an errno");
    return nullptr;
  }
  const auto base = reinterpret_cast<PyTypeObject*>(PyExc_Exception);
  PyObject* const error = base->tp_new(type, arguments, keywords);
  if (error != nullptr) reinterpret_cast<ErrorObject*>(error)->number = static_cast<int>(number);
  return error;
}

PyObject* error_text(PyObject* self) {
  char buffer[128];
  return PyUnicode_DecodeLocale(::strerror_r(reinterpret_cast<ErrorObject*>(self)->number, buffer, sizeof buffer),
                                "surrogateescape");
}

PyMemberDef error_members[] = {{"errno", T_INT, offsetof(ErrorObject, number), READONLY, "what the caller gets"},
                               {"errno_", T_INT, offsetof(ErrorObject, number), READONLY, "the same"},
                               {nullptr, 0, 0, 0, nullptr}};

PyTypeObject* add_type(PyObject* module, const char* name, std::size_t size, PyType_Slot* slots,
                       PyObject* base = nullptr) {
  PyType_Spec spec{name, static_cast<int>(size), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  PyTypeObject* const type = make_type(spec, base);
  return type != nullptr && PyModule_AddType(module, type) == 0 ? type : nullptr;
}

bool add_records(PyObject* module) {
  PyType_Slot entry_slots[] = {{Py_tp_new, as_slot(new_entry)},
                               {Py_tp_getset, getters_of<entry_fields>()},
                               {Py_tp_methods, state_methods_of<entry_fields>()},
                               {Py_tp_doc, const_cast<char*>("What a name leads to, and what stat(2) tells of it.")},
                               {0, nullptr}};
  PyType_Slot statvfs_slots[] = {{Py_tp_getset, getters_of<statvfs_fields>()},
                                 {Py_tp_methods, state_methods_of<statvfs_fields>()},
                                 {Py_tp_doc, const_cast<char*>("What statvfs(3) tells.")},
                                 {0, nullptr}};
  entry_type = add_type(module, "llfuse.EntryAttributes", sizeof(EntryObject), entry_slots);
  statvfs_type = add_type(module, "llfuse.StatvfsData", sizeof(StatvfsObject), statvfs_slots);
  return entry_type != nullptr && statvfs_type != nullptr;
}

// Whether `object` is of `type`; sets TypeError if not.
bool check(PyObject* object, PyTypeObject* type) {
  if (Py_IS_TYPE(object, type) || PyObject_TypeCheck(object, type)) return true;
  PyErr_Format(PyExc_TypeError, "the handler must return %s, not %s", type->tp_name, Py_TYPE(object)->tp_name);
  return false;
}

std::chrono::nanoseconds timeout(double seconds) noexcept {
  constexpr double longest = 9e9;  // what nanoseconds can hold
  if (!(seconds > 0)) return {};
  return std::chrono::nanoseconds(std::llrint(std::min(seconds, longest) * 1e9));
}

}  // namespace

bool add_data_types(PyObject* module) {
  PyType_Slot context_slots[] = {{Py_tp_members, context_members},
                                 {Py_tp_methods, no_pickling},
                                 {Py_tp_doc, const_cast<char*>("Who asks.")},
                                 {0, nullptr}};
  PyType_Slot fields_slots[] = {{Py_tp_members, fields_members},
                                {Py_tp_methods, no_pickling},
                                {Py_tp_doc, const_cast<char*>("Which attributes setattr shall change.")},
                                {0, nullptr}};
  PyType_Slot error_slots[] = {{Py_tp_new, as_slot(new_error)},
                               {Py_tp_str, as_slot(error_text)},
                               {Py_tp_members, error_members},
                               {Py_tp_doc, const_cast<char*>("Raise it in a handler to answer with its errno.")},
                               {0, nullptr}};
  context_type = add_type(module, "llfuse.RequestContext", sizeof(ContextObject), context_slots);
  fields_type = add_type(module, "llfuse.SetattrFields", sizeof(FieldsObject), fields_slots);
  error_type = add_type(module, "llfuse.FUSEError", sizeof(ErrorObject), error_slots, PyExc_Exception);
  return context_type != nullptr && fields_type != nullptr && error_type != nullptr && add_records(module);
}

PyObject* context_object(const Context& context) {
  PyObject*& spare = spare_object();
  // Nobody else has the last one any more: the usual case.
  if (spare == nullptr || Py_REFCNT(spare) != 1) {
    Py_XSETREF(spare, context_type->tp_alloc(context_type, 0));
    if (spare == nullptr) return nullptr;
  }
  auto* const object = reinterpret_cast<ContextObject*>(spare);
  object->uid = context.uid;
  object->gid = context.gid;
  object->pid = context.pid;
  object->umask = context.umask;
  return Py_NewRef(spare);
}

PyObject* setattr_fields(const SetAttributes& changes) {
  PyObject* const result = fields_type->tp_alloc(fields_type, 0);
  if (result == nullptr) return nullptr;
  auto* const fields = reinterpret_cast<FieldsObject*>(result);
  fields->atime = changes.atime.has_value();
  fields->mtime = changes.mtime.has_value();
  fields->mode = changes.mode.has_value();
  fields->uid = changes.uid.has_value();
  fields->gid = changes.gid.has_value();
  fields->size = changes.size.has_value();
  return result;
}

PyObject* entry_attributes(const SetAttributes& changes) {
  PyObject* const result = entry_type->tp_alloc(entry_type, 0);
  if (result == nullptr) return nullptr;
  auto* const entry = reinterpret_cast<EntryObject*>(result);
  entry->entry_timeout = entry->attr_timeout = 300;
  entry->mode = changes.mode.value_or(0);
  entry->uid = changes.uid.value_or(0);
  entry->gid = changes.gid.value_or(0);
  entry->size = static_cast<std::int64_t>(changes.size.value_or(0));
  entry->atime = changes.atime.value_or(Timestamp());
  entry->mtime = changes.mtime.value_or(Timestamp());
  return result;
}

bool to_attributes(PyObject* object, Attributes& attributes) {
  if (!check(object, entry_type)) return false;
  const auto& entry = *reinterpret_cast<EntryObject*>(object);
  attributes.mode = entry.mode;
  attributes.nlink = entry.nlink;
  attributes.uid = entry.uid;
  attributes.gid = entry.gid;
  attributes.rdev = entry.rdev;
  attributes.size = static_cast<std::uint64_t>(entry.size);
  attributes.blocks = entry.blocks;
  attributes.block_size = entry.block_size;
  attributes.atime = entry.atime;
  attributes.mtime = entry.mtime;
  attributes.ctime = entry.ctime;
  attributes.ino = Ino{entry.ino};
  attributes.timeout = timeout(entry.attr_timeout);
  return true;
}

bool to_entry(PyObject* object, Entry& entry) {
  if (!to_attributes(object, entry.attributes)) return false;
  const auto& from = *reinterpret_cast<EntryObject*>(object);
  entry.ino = Ino{from.ino};
  entry.generation = from.generation;
  entry.timeout = timeout(from.entry_timeout);
  return true;
}

bool to_statfs(PyObject* object, StatFs& statfs) {
  if (!check(object, statvfs_type)) return false;
  const auto& from = *reinterpret_cast<StatvfsObject*>(object);
  statfs.blocks = from.blocks;
  statfs.blocks_free = from.bfree;
  statfs.blocks_available = from.bavail;
  statfs.files = from.files;
  statfs.files_free = from.ffree;
  statfs.block_size = static_cast<std::uint32_t>(from.bsize);
  statfs.fragment_size = static_cast<std::uint32_t>(from.frsize);
  statfs.name_max = from.namemax != 0 ? static_cast<std::uint32_t>(from.namemax) : 255;
  return true;
}

int take_fuse_error() {
  if (!PyErr_ExceptionMatches(reinterpret_cast<PyObject*>(error_type))) return 0;
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  const bool is_ours = value != nullptr && PyObject_TypeCheck(value, error_type);
  const int number = is_ours ? reinterpret_cast<ErrorObject*>(value)->number : EIO;
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(traceback);
  return number != 0 ? number : EIO;
}

}  // namespace fuselage::python
