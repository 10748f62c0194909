// Who asks, for the thread of an operation of the high level while it runs.
#pragma once

#include <fuselage/context.hpp>

#include "capi/v2/high_api.hpp"

namespace fuselage::capi2 {

struct Current {
  fuse_context context{};
  const Context* request = nullptr;  ///< Null outside of operations.
};

inline Current& current() {
  static thread_local Current here;
  return here;
}

}  // namespace fuselage::capi2
