// What a worker waits with for a coroutine, which the caller's interrupt or the end of the session cuts short.
#pragma once

#include <fuselage/context.hpp>

#include "python/object.hpp"

namespace fuselage::python {

/// While it lives, waiters of this thread are interrupted with the request of `context`, which outlives it.
class Asking {
 public:
  explicit Asking(const Context& context) noexcept;
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;
  ~Asking();

 private:
  const Context* before_;
};

/// Adds the class Waiter. False with an exception.
bool add_waiter(PyObject* module);

}  // namespace fuselage::python
