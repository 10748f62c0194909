// The counters behind `Statistics`: a few additions for each request, in a shard of the worker that handles it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fuselage/statistics.hpp>

#include "wire/operations.hpp"

namespace fuselage::session {

/// One shard, which anybody reads.
class Counters {
 public:
  enum class Writers {
    one,   ///< A worker, which needs no locked instructions then.
    many,  ///< Whoever answers what no worker holds any more.
  };
  explicit Counters(Writers writers) noexcept : is_shared_(writers == Writers::many) {}

  struct Operation {
    std::atomic<std::uint64_t> errors{0};
    std::atomic<std::uint64_t> bytes_in{0};
    std::atomic<std::uint64_t> bytes_out{0};
    std::atomic<std::uint64_t> busy{0};
    std::array<std::atomic<std::uint64_t>, LatencyHistogram::classes> latency{};  // together: how many there were
  };

  /// An operation was answered, or (FORGET) handled.
  void record(wire::Opcode opcode, bool failed, std::size_t bytes_in, std::size_t bytes_out,
              std::chrono::nanoseconds took) noexcept;

  const Operation& operation(std::size_t index) const noexcept { return operations_[index]; }

 private:
  void add(std::atomic<std::uint64_t>& counter, std::uint64_t more) const noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    if (is_shared_) {
      counter.fetch_add(more, relaxed);
    } else {
      counter.store(counter.load(relaxed) + more, relaxed);
    }
  }

  const bool is_shared_;
  std::array<Operation, wire::operations.size()> operations_;
};

/// Adds a shard to the totals; `statistics.operations` has an element for each row of the table then.
void add(Statistics& statistics, const Counters& counters);

}  // namespace fuselage::session
