// The counters behind `Statistics`: a few relaxed additions for each request, in a shard of the worker that received
// it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fuselage/statistics.hpp>

#include "wire/operations.hpp"

namespace fuselage::session {

/// One shard. Its worker adds to it, also from other threads when requests of the worker were suspended; anybody reads.
class Counters {
 public:
  struct Operation {
    std::atomic<std::uint64_t> count{0};
    std::atomic<std::uint64_t> errors{0};
    std::atomic<std::uint64_t> bytes_in{0};
    std::atomic<std::uint64_t> bytes_out{0};
    std::atomic<std::uint64_t> busy{0};
    std::array<std::atomic<std::uint64_t>, LatencyHistogram::classes> latency{};
  };

  /// An operation was answered, or (FORGET) handled.
  void record(wire::Opcode opcode, bool failed, std::size_t bytes_in, std::size_t bytes_out,
              std::chrono::nanoseconds took) noexcept;

  const Operation& operation(std::size_t index) const noexcept { return operations_[index]; }

 private:
  std::array<Operation, wire::operations.size()> operations_;
};

/// Adds a shard to the totals; `statistics.operations` has an element for each row of the table then.
void add(Statistics& statistics, const Counters& counters);

}  // namespace fuselage::session
