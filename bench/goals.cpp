#include "goals.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace bench {
namespace {

constexpr std::string_view path_level = "fuselage-path-device";
constexpr std::string_view peer = "libfuse3-low-mt";  // libfuse's own default loop

enum class Quantity {
  cpu,          ///< Time of the CPU for an operation.
  median_rate,  ///< Operations a second.
  best_rate,
};

// CPU time is compared within each round, where what else the machine does hits both alike, and the median of the
// rounds counts.
double quotient(Quantity quantity, const Series& over, const Series& under) {
  if (quantity == Quantity::median_rate) return over.median_rate() / under.median_rate();
  if (quantity == Quantity::best_rate) return over.best_rate() / under.best_rate();
  std::vector<double> quotients;
  for (std::size_t i = 0; i < std::min(over.samples.size(), under.samples.size()); ++i) {
    quotients.push_back(over.samples[i].cpu_us() / under.samples[i].cpu_us());
  }
  const auto middle = quotients.begin() + static_cast<std::ptrdiff_t>(quotients.size() / 2);
  std::nth_element(quotients.begin(), middle, quotients.end());
  return *middle;
}

// One goal: a quotient of two numbers with a limit.
class Table {
 public:
  explicit Table(const Results& results) : results_(results) {}

  struct Place {
    std::string_view subject;
    std::string_view metric;
  };

  /// `over` divided by `under` shall be at most `limit`.
  void at_most(double limit, std::string text, Mode mode, Quantity quantity, Place over, Place under) {
    add(std::move(text), mode, quantity, over, under, [limit](double quotient) { return quotient <= limit; });
  }
  /// ... at least `limit`.
  void at_least(double limit, std::string text, Mode mode, Quantity quantity, Place over, Place under) {
    add(std::move(text), mode, quantity, over, under, [limit](double quotient) { return quotient >= limit; });
  }
  void add(Goal goal) { goals_.push_back(std::move(goal)); }

  std::vector<Goal> take() { return std::move(goals_); }

 private:
  template <class Check>
  void add(std::string text, Mode mode, Quantity quantity, Place over, Place under, Check check) {
    Goal goal{std::move(text)};
    if (const auto measured = find(mode, quantity, over, under)) {
      goal.measured = fmt::format("{:.2f}", *measured);
      goal.met = check(*measured);
    }
    // What a server without a library makes of it: more than that, the kernel does not let anybody have.
    const Place floor_over{floor_of(over.subject), over.metric};
    const Place floor_under{floor_of(under.subject), under.metric};
    if (floor_over.subject != floor_under.subject) {
      if (const auto floor = find(mode, quantity, floor_over, floor_under)) {
        goal.floor = fmt::format("{:.2f}", *floor);
        goal.floor_meets = check(*floor);
      }
    }
    goals_.push_back(std::move(goal));
  }

  std::optional<double> find(Mode mode, Quantity quantity, Place over, Place under) const {
    const Series* const upper = results_.find(over.subject, over.metric, mode);
    const Series* const lower = results_.find(under.subject, under.metric, mode);
    if (upper == nullptr || lower == nullptr) return std::nullopt;
    return quotient(quantity, *upper, *lower);
  }

  static std::string_view floor_of(std::string_view subject) {
    if (!subject.starts_with("fuselage-")) return subject;
    return subject.ends_with("-ring") ? "raw-ring" : "raw-device";
  }

  const Results& results_;
  std::vector<Goal> goals_;
};

void add_floors(Table& table) {
  constexpr auto cpu = Quantity::cpu;
  for (const std::string transport : {"device", "ring"}) {
    const std::string ours = "fuselage-" + transport;
    const std::string floor = "raw-" + transport;
    for (const char* metric : {"getattr", "read-4k", "write-4k", "aio-read-4k"}) {
      table.at_most(1.05, fmt::format("{}, {}, pinned: CPU at most 1.05 x the floor", metric, transport), Mode::pinned,
                    cpu, {ours, metric}, {floor, metric});
    }
  }
}

void add_peers(Table& table) {
  constexpr auto cpu = Quantity::cpu;
  constexpr std::string_view device = "fuselage-device";
  constexpr std::string_view ring = "fuselage-ring";  // the default where it is there
  for (const char* metric : {"getattr", "read-4k", "write-4k"}) {
    table.at_most(0.80, fmt::format("{}, device, pinned: CPU at most 0.80 x libfuse3", metric), Mode::pinned, cpu,
                  {device, metric}, {peer, metric});
  }
  table.at_least(2.4, "getattr, ring, one free client: median rate at least 2.4 x libfuse3", Mode::free,
                 Quantity::median_rate, {ring, "getattr"}, {peer, "getattr"});
  for (const char* metric : {"getattr", "read-4k"}) {
    table.at_least(2.0, fmt::format("{}, ring, two clients: best rate at least 2 x libfuse3", metric), Mode::two,
                   Quantity::best_rate, {ring, metric}, {peer, metric});
  }
  table.at_least(1.4, "aio-read-4k, ring, pinned: CPU at least 1.4 x better than libfuse3", Mode::pinned, cpu,
                 {peer, "aio-read-4k"}, {ring, "aio-read-4k"});
  table.at_least(1.4, "open, device, pinned: CPU at least 1.4 x better than libfuse3", Mode::pinned, cpu,
                 {peer, "open"}, {device, "open"});
  table.at_most(1.0, "create, pinned: CPU over the ring no worse than over the device", Mode::pinned, cpu,
                {ring, "create"}, {device, "create"});
}

void add_paths(Table& table) {
  constexpr auto cpu = Quantity::cpu;
  for (const std::string transport : {"device", "ring"}) {
    const std::string ours = "fuselage-path-" + transport;
    for (const char* metric : {"getattr", "read-4k", "lookup"}) {
      table.at_most(
          1.05, fmt::format("{}, {}, pinned: CPU of the path level at most 1.05 x the inode level", metric, transport),
          Mode::pinned, cpu, {ours, metric}, {"fuselage-" + transport, metric});
    }
  }
  table.at_most(1.0, "find-million, device: CPU of the path level no more than libfuse3's high level", Mode::pinned,
                cpu, {path_level, "find-million"}, {"libfuse3-high-mt", "find-million"});
}

}  // namespace

std::vector<Goal> goals(const Results& results) {
  Table table(results);
  add_floors(table);
  add_peers(table);
  add_paths(table);
  if (results.idle) {
    table.add({.text = "an idle daemon is not woken",
               .measured = fmt::format("{:.1f} a second", results.idle->wake_ups_per_second),
               .met = results.idle->wake_ups_per_second == 0});
    table.add({.text = "an idle daemon takes less than 10 MiB",
               .measured = fmt::format("{:.1f} MiB", results.idle->resident_mib),
               .met = results.idle->resident_mib < 10});
  }
  for (const NodeMemory& one : results.nodes) {
    if (one.subject != path_level) continue;
    table.add({.text = "a million nodes of the path level take at most 64 bytes each",
               .measured = fmt::format("{:.0f} bytes", one.bytes),
               .met = one.bytes <= 64});
  }
  return table.take();
}

}  // namespace bench
