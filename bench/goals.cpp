#include "goals.hpp"

#include <fmt/format.h>

namespace bench {
namespace {

constexpr std::string_view path_level = "fuselage-path-device";
constexpr std::string_view peer = "libfuse3-low-mt";  // libfuse's own default loop

// One goal: a quotient of two numbers with a limit.
class Table {
 public:
  explicit Table(const Results& results) : results_(results) {}

  using Value = double (Series::*)() const;
  struct Place {
    std::string_view subject;
    std::string_view metric;
  };

  /// `over` divided by `under` shall be at most `limit`.
  void at_most(double limit, std::string text, Mode mode, Value value, Place over, Place under) {
    add(std::move(text), mode, value, over, under, [limit](double quotient) { return quotient <= limit; });
  }
  /// ... at least `limit`.
  void at_least(double limit, std::string text, Mode mode, Value value, Place over, Place under) {
    add(std::move(text), mode, value, over, under, [limit](double quotient) { return quotient >= limit; });
  }
  void add(Goal goal) { goals_.push_back(std::move(goal)); }

  std::vector<Goal> take() { return std::move(goals_); }

 private:
  template <class Check>
  void add(std::string text, Mode mode, Value value, Place over, Place under, Check check) {
    const Series* const upper = results_.find(over.subject, over.metric, mode);
    const Series* const lower = results_.find(under.subject, under.metric, mode);
    Goal goal{std::move(text), "-", std::nullopt};
    if (upper != nullptr && lower != nullptr) {
      const double quotient = (upper->*value)() / (lower->*value)();
      goal.measured = fmt::format("{:.2f}", quotient);
      goal.met = check(quotient);
    }
    goals_.push_back(std::move(goal));
  }

  const Results& results_;
  std::vector<Goal> goals_;
};

void add_floors(Table& table) {
  constexpr auto cpu = &Series::least_cpu_us;
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
  constexpr auto cpu = &Series::least_cpu_us;
  constexpr std::string_view device = "fuselage-device";
  constexpr std::string_view ring = "fuselage-ring";  // the default where it is there
  for (const char* metric : {"getattr", "read-4k", "write-4k"}) {
    table.at_most(0.80, fmt::format("{}, device, pinned: CPU at most 0.80 x libfuse3", metric), Mode::pinned, cpu,
                  {device, metric}, {peer, metric});
  }
  table.at_least(2.4, "getattr, ring, one free client: median rate at least 2.4 x libfuse3", Mode::free,
                 &Series::median_rate, {ring, "getattr"}, {peer, "getattr"});
  for (const char* metric : {"getattr", "read-4k"}) {
    table.at_least(2.0, fmt::format("{}, ring, two clients: best rate at least 2 x libfuse3", metric), Mode::two,
                   &Series::best_rate, {ring, metric}, {peer, metric});
  }
  table.at_least(1.4, "aio-read-4k, ring, pinned: CPU at least 1.4 x better than libfuse3", Mode::pinned, cpu,
                 {peer, "aio-read-4k"}, {ring, "aio-read-4k"});
  table.at_least(1.4, "open, device, pinned: CPU at least 1.4 x better than libfuse3", Mode::pinned, cpu,
                 {peer, "open"}, {device, "open"});
  table.at_most(1.0, "create, pinned: CPU over the ring no worse than over the device", Mode::pinned, cpu,
                {ring, "create"}, {device, "create"});
}

void add_paths(Table& table) {
  constexpr auto cpu = &Series::least_cpu_us;
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
    table.add({"an idle daemon is not woken", fmt::format("{:.1f} a second", results.idle->wake_ups_per_second),
               results.idle->wake_ups_per_second == 0});
    table.add({"an idle daemon takes less than 10 MiB", fmt::format("{:.1f} MiB", results.idle->resident_mib),
               results.idle->resident_mib < 10});
  }
  for (const NodeMemory& one : results.nodes) {
    if (one.subject != path_level) continue;
    table.add({"a node of the path level takes at most 64 bytes of a million", fmt::format("{:.0f} bytes", one.bytes),
               one.bytes <= 64});
  }
  return table.take();
}

}  // namespace bench
