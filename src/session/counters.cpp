#include "session/counters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace fuselage {
namespace {

// 950 ns, 12.3 us, 4.1 ms, ...
std::string to_text(std::chrono::nanoseconds duration) {
  const auto value = static_cast<double>(duration.count());
  if (value < 1e3) return fmt::format("{:.0f} ns", value);
  if (value < 1e6) return fmt::format("{:.1f} us", value / 1e3);
  if (value < 1e9) return fmt::format("{:.1f} ms", value / 1e6);
  return fmt::format("{:.1f} s", value / 1e9);
}

}  // namespace

std::chrono::nanoseconds LatencyHistogram::quantile(double share) const noexcept {
  std::uint64_t total = 0;
  for (const std::uint64_t count : counts) total += count;
  if (total == 0) return std::chrono::nanoseconds(0);
  const double wanted = share * static_cast<double>(total);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < classes; ++i) {
    seen += counts[i];
    if (static_cast<double>(seen) >= wanted && seen > 0) return bound(i);
  }
  return bound(classes - 1);
}

std::string Statistics::to_string() const {
  std::string text = fmt::format("{:<20}{:>12}{:>10}{:>14}{:>14}{:>11}{:>11}{:>11}\n", "operation", "count", "errors",
                                 "bytes in", "bytes out", "mean", "50 % <", "99 % <");
  for (const OperationStatistics& operation : operations) {
    const auto mean = operation.busy / std::max<std::int64_t>(1, static_cast<std::int64_t>(operation.count));
    text += fmt::format("{:<20}{:>12}{:>10}{:>14}{:>14}{:>11}{:>11}{:>11}\n", operation.name, operation.count,
                        operation.errors, operation.bytes_in, operation.bytes_out, to_text(mean),
                        to_text(operation.latency.quantile(0.5)), to_text(operation.latency.quantile(0.99)));
  }
  text += fmt::format("transport {}{}, {} thread{}, {} notifications, {} interrupts, ", transport,
                      transport_reason.empty() ? "" : " (no io_uring: " + transport_reason + ")", threads,
                      threads == 1 ? "" : "s", notifications, interrupts);
  text += fmt::format("{} past their deadline, {} malformed\n", deadlines, malformed);
  return text;
}

namespace session {

void Counters::record(wire::Opcode opcode, bool failed, std::size_t bytes_in, std::size_t bytes_out,
                      std::chrono::nanoseconds took) noexcept {
  Operation& operation = operations_[wire::index_of(opcode)];
  const auto nanoseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(0, took.count()));
  const auto latency_class = std::min<std::size_t>(std::bit_width(nanoseconds), LatencyHistogram::classes - 1);
  if (failed) add(operation.errors, 1);
  if (bytes_in != 0) add(operation.bytes_in, bytes_in);
  if (bytes_out != 0) add(operation.bytes_out, bytes_out);
  add(operation.busy, nanoseconds);
  add(operation.latency[latency_class], 1);
}

void add(Statistics& statistics, const Counters& counters) {
  constexpr auto relaxed = std::memory_order_relaxed;
  statistics.operations.resize(wire::operations.size());
  for (std::size_t i = 0; i < wire::operations.size(); ++i) {
    OperationStatistics& total = statistics.operations[i];
    const Counters::Operation& operation = counters.operation(i);
    total.name = wire::operations[i].name;
    total.errors += operation.errors.load(relaxed);
    total.bytes_in += operation.bytes_in.load(relaxed);
    total.bytes_out += operation.bytes_out.load(relaxed);
    total.busy += std::chrono::nanoseconds(static_cast<std::int64_t>(operation.busy.load(relaxed)));
    for (std::size_t c = 0; c < LatencyHistogram::classes; ++c) {
      const std::uint64_t count = operation.latency[c].load(relaxed);
      total.latency.counts[c] += count;
      total.count += count;
    }
  }
}

}  // namespace session
}  // namespace fuselage
