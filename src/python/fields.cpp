#include "python/fields.hpp"

namespace fuselage::python {
namespace {

constexpr long long nanos_per_second = 1'000'000'000;

template <class T>
T& at(PyObject* self, const Field& field) noexcept {
  return *reinterpret_cast<T*>(reinterpret_cast<char*>(self) + field.offset);
}

// The value as a Python int: numbers with a fraction lose it.
Ref integer(PyObject* value) {
  if (PyLong_Check(value)) return Ref::borrow(value);
  if (PyNumber_Check(value)) return Ref(PyNumber_Long(value));
  PyErr_Format(PyExc_TypeError, "an integer is required, not %s", Py_TYPE(value)->tp_name);
  return Ref();
}

int set_unsigned(PyObject* self, PyObject* value, const Field& field) {
  const Ref number = integer(value);
  if (!number) return -1;
  const unsigned long long parsed = PyLong_AsUnsignedLongLong(number.get());
  if (parsed == static_cast<unsigned long long>(-1) && PyErr_Occurred()) return -1;
  if (field.kind == Kind::u64) {
    at<std::uint64_t>(self, field) = parsed;
    return 0;
  }
  if (parsed > std::numeric_limits<std::uint32_t>::max()) {
    PyErr_Format(PyExc_OverflowError, "%s must fit into 32 bits", field.name);
    return -1;
  }
  at<std::uint32_t>(self, field) = static_cast<std::uint32_t>(parsed);
  return 0;
}

int set_signed(PyObject* self, PyObject* value, const Field& field) {
  const Ref number = integer(value);
  if (!number) return -1;
  const long long parsed = PyLong_AsLongLong(number.get());
  if (parsed == -1 && PyErr_Occurred()) return -1;
  at<std::int64_t>(self, field) = parsed;
  return 0;
}

int set_time(PyObject* self, PyObject* value, const Field& field) {
  const Ref unit(PyLong_FromLongLong(nanos_per_second));
  if (!unit) return -1;
  const Ref quotient(PyNumber_FloorDivide(value, unit.get()));
  const Ref remainder(quotient ? PyNumber_Remainder(value, unit.get()) : nullptr);
  if (!remainder) return -1;
  if (field.kind == Kind::no_time) return 0;
  const Ref seconds = integer(quotient.get());
  const Ref rest = integer(remainder.get());
  if (!seconds || !rest) return -1;
  const long long whole = PyLong_AsLongLong(seconds.get());
  if (whole == -1 && PyErr_Occurred()) return -1;
  at<Timestamp>(self, field) = {whole, static_cast<std::uint32_t>(PyLong_AsLongLong(rest.get()))};
  return 0;
}

// Most times fit into 64 bits, and need no arithmetic of Python's.
bool set_usual_time(PyObject* self, PyObject* value, const Field& field) {
  if (!PyLong_CheckExact(value) || field.kind == Kind::no_time) return false;
  int overflow = 0;
  const long long parsed = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (overflow != 0 || parsed < 0) return false;
  at<Timestamp>(self, field) = {parsed / nanos_per_second, static_cast<std::uint32_t>(parsed % nanos_per_second)};
  return true;
}

PyObject* get_time(const Timestamp& time) {
  long long ns = 0;
  if (!__builtin_mul_overflow(static_cast<long long>(time.seconds), nanos_per_second, &ns) &&
      !__builtin_add_overflow(ns, static_cast<long long>(time.nanoseconds), &ns)) {
    return PyLong_FromLongLong(ns);
  }
  const Ref seconds(PyLong_FromLongLong(time.seconds));
  const Ref unit(PyLong_FromLongLong(nanos_per_second));
  const Ref product(seconds && unit ? PyNumber_Multiply(seconds.get(), unit.get()) : nullptr);
  const Ref rest(PyLong_FromUnsignedLong(time.nanoseconds));
  return product && rest ? PyNumber_Add(product.get(), rest.get()) : nullptr;
}

}  // namespace

PyObject* get_field(PyObject* self, void* closure) {
  const Field& field = *static_cast<const Field*>(closure);
  switch (field.kind) {
    case Kind::u64:
      return PyLong_FromUnsignedLongLong(at<std::uint64_t>(self, field));
    case Kind::u32:
      return PyLong_FromUnsignedLong(at<std::uint32_t>(self, field));
    case Kind::i64:
      return PyLong_FromLongLong(at<std::int64_t>(self, field));
    case Kind::real:
      return PyFloat_FromDouble(at<double>(self, field));
    case Kind::time:
      return get_time(at<Timestamp>(self, field));
    case Kind::no_time:
      break;
  }
  return PyLong_FromLong(0);
}

int set_field(PyObject* self, PyObject* value, void* closure) {
  const Field& field = *static_cast<const Field*>(closure);
  if (value == nullptr) {
    PyErr_Format(PyExc_AttributeError, "%s cannot be deleted", field.name);
    return -1;
  }
  switch (field.kind) {
    case Kind::u64:
    case Kind::u32:
      return set_unsigned(self, value, field);
    case Kind::i64:
      return set_signed(self, value, field);
    case Kind::time:
    case Kind::no_time:
      return set_usual_time(self, value, field) ? 0 : set_time(self, value, field);
    case Kind::real:
      break;
  }
  const double parsed = PyFloat_AsDouble(value);
  if (parsed == -1.0 && PyErr_Occurred()) return -1;
  at<double>(self, field) = parsed;
  return 0;
}

PyObject* get_state(PyObject* self, const Field* begin, const Field* end) {
  Ref state(PyDict_New());
  for (const Field* field = begin; state && field != end; ++field) {
    const Ref value(get_field(self, const_cast<Field*>(field)));
    if (!value || PyDict_SetItemString(state.get(), field->name, value.get()) != 0) return nullptr;
  }
  return state.release();
}

PyObject* set_state(PyObject* self, PyObject* state, const Field* begin, const Field* end) {
  if (!PyDict_Check(state)) {
    PyErr_SetString(PyExc_TypeError, "the state must be a dict");
    return nullptr;
  }
  for (const Field* field = begin; field != end; ++field) {
    PyObject* const value = PyDict_GetItemString(state, field->name);
    if (value != nullptr && set_field(self, value, const_cast<Field*>(field)) != 0) return nullptr;
  }
  Py_RETURN_NONE;
}

}  // namespace fuselage::python
