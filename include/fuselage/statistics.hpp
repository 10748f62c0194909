// Module: session.
//
// What a session has done so far: always counted, readable at any time.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fuselage {

/// How long requests took, in classes that double: class `i` holds what took less than 2^i nanoseconds, and more than
/// the class before it.
struct LatencyHistogram {
  static constexpr std::size_t classes = 40;
  std::array<std::uint64_t, classes> counts{};

  /// The upper bound of class `i`.
  static constexpr std::chrono::nanoseconds bound(std::size_t i) noexcept {
    return std::chrono::nanoseconds(std::int64_t{1} << i);
  }
  /// The bound below which the part `share` (0 to 1) of all requests lies; 0 if there were none.
  std::chrono::nanoseconds quantile(double share) const noexcept;
};

/// One operation of the protocol.
struct OperationStatistics {
  std::string_view name;  ///< As in the protocol: "READ".
  std::uint64_t count = 0;
  std::uint64_t errors = 0;         ///< Answers with an errno, ENOENT of a lookup among them.
  std::uint64_t bytes_in = 0;       ///< Payload of the requests: data of writes, names.
  std::uint64_t bytes_out = 0;      ///< Payload of the answers.
  std::chrono::nanoseconds busy{};  ///< From arrival to answer, summed.
  LatencyHistogram latency;
};

/// A picture of a session's counters; they go on while it is taken, so sums may be off by what is under way.
struct Statistics {
  std::vector<OperationStatistics> operations;  ///< Those that occurred, in the protocol's order.
  std::uint64_t notifications = 0;              ///< Sent to the kernel.
  std::uint64_t interrupts = 0;                 ///< INTERRUPT messages that found their request.
  std::uint64_t deadlines = 0;                  ///< Requests answered ETIMEDOUT by the session.
  std::uint64_t malformed = 0;                  ///< Messages that were answered EIO or dropped unread.
  std::size_t threads = 0;                      ///< Worker threads now.
  std::string transport;                        ///< "io_uring" or "device".
  std::string transport_reason;                 ///< Why it is not io_uring; empty if it is.

  /// A table for people, one line for each operation.
  std::string to_string() const;
};

}  // namespace fuselage
