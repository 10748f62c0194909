// Counts what each thread allocates in this program.
#pragma once

#include <cstddef>

namespace fuselage {

/// How often the calling thread has called `operator new`.
std::size_t allocations_of_this_thread() noexcept;

}  // namespace fuselage
