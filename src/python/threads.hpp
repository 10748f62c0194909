// Threads of the library inside the interpreter.
#pragma once

#include "python/lock.hpp"
#include "python/object.hpp"

namespace fuselage::python {

/// While it lives, the calling thread holds the GIL, and before that the global lock if it wants it. A thread that the
/// interpreter does not know gets to know it once, not for each handler.
class Inside {
 public:
  explicit Inside(bool with_lock);
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside();

 private:
  bool with_lock_;
};

/// What is called, with the GIL, by a thread that the interpreter did not know: with a number when it enters for the
/// first time, and without one when it ends.
void set_thread_hook(Ref hook);

/// One reference of the calling thread, free at the end of the thread: for an object to be used again.
PyObject*& spare_object() noexcept;

}  // namespace fuselage::python
