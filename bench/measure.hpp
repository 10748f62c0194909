// Running clients against a server, and counting what it costs both.
#pragma once

#include <chrono>
#include <cstdint>

#include "metric.hpp"
#include "results.hpp"
#include "subject.hpp"

namespace bench {

struct Load {
  Mode mode = Mode::pinned;
  std::chrono::nanoseconds slice{};     ///< How long each client goes on.
  std::uint64_t most_ops = UINT64_MAX;  ///< ... or until it has done so much.
};

/// Measures once. Clients are processes of their own, with a thread each. Throws what a client had to say when it
/// failed, or when it hangs.
Sample measure(const Metric& metric, const Server& server, const Load& load);

}  // namespace bench
