#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "goals.hpp"
#include "metric.hpp"
#include "results.hpp"
#include "subject.hpp"

namespace bench {
namespace {

using Rows = std::vector<std::vector<std::string>>;

// A table of Markdown whose columns are aligned for those who read it as text; numbers stand to the right.
std::string table(const Rows& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 3);
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t i = 0; i < rows[r].size(); ++i) {
      text +=
          i == 0 ? fmt::format("| {:<{}} |", rows[r][i], widths[i]) : fmt::format(" {:>{}} |", rows[r][i], widths[i]);
    }
    text += '\n';
    if (r > 0) continue;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      text += i == 0 ? fmt::format("|-{:-<{}}-|", "", widths[i]) : fmt::format("-{:-<{}}:|", "", widths[i]);
    }
    text += '\n';
  }
  return text;
}

std::string number(double value) {
  return value >= 100  ? fmt::format("{:.0f}", value)
         : value >= 10 ? fmt::format("{:.1f}", value)
                       : fmt::format("{:.2f}", value);
}

// In brackets: how often the floor of the same transport.
std::string cell(const Results& results, const Subject& subject, std::string_view metric, Mode mode, bool cpu) {
  const auto value = [&](const Series& series) { return cpu ? series.least_cpu_us() : series.median_rate() / 1000; };
  const Series* const series = results.find(subject.name, metric, mode);
  if (series == nullptr) return "-";
  const Series* const floor = subject.floor.empty() ? nullptr : results.find(subject.floor, metric, mode);
  if (floor == nullptr) return number(value(*series));
  return fmt::format("{} ({:.2f})", number(value(*series)), value(*series) / value(*floor));
}

std::string mode_table(const Results& results, Mode mode, bool cpu) {
  Rows rows(1, {""});
  std::vector<Subject> shown = subjects();
  std::erase_if(shown, [&](const Subject& subject) {
    return std::find(results.subjects.begin(), results.subjects.end(), subject.name) == results.subjects.end();
  });
  for (const Subject& subject : shown) rows.front().push_back(subject.name);
  for (const std::string& metric : results.metrics) {
    std::vector<std::string> row{metric};
    bool any = false;
    for (const Subject& subject : shown) {
      row.push_back(cell(results, subject, metric, mode, cpu));
      any = any || row.back() != "-";
    }
    if (any) rows.push_back(std::move(row));
  }
  return rows.size() > 1 ? table(rows) : std::string();
}

// What the best of the other libraries needs, as a multiple of what fuselage needs.
std::string peer_table(const Results& results) {
  const auto is_ours = [](const std::string& subject) { return subject.starts_with("fuselage"); };
  Rows rows(1, {"", "best of the others"});
  std::copy_if(results.subjects.begin(), results.subjects.end(), std::back_inserter(rows.front()), is_ours);
  for (const std::string& metric : results.metrics) {
    const Series* best = nullptr;
    for (const std::string& subject : results.subjects) {
      const Series* const series = results.find(subject, metric, Mode::pinned);
      if (series == nullptr || !subject.starts_with("libfuse")) continue;
      if (best == nullptr || series->least_cpu_us() < best->least_cpu_us()) best = series;
    }
    if (best == nullptr) continue;
    std::vector<std::string> row{metric, best->subject};
    for (std::size_t i = 2; i < rows.front().size(); ++i) {
      const Series* const series = results.find(rows.front()[i], metric, Mode::pinned);
      row.push_back(series == nullptr ? "-" : fmt::format("{:.2f}", best->least_cpu_us() / series->least_cpu_us()));
    }
    rows.push_back(std::move(row));
  }
  return rows.size() > 1 ? table(rows) : std::string();
}

std::string workload_table(const Results& results) {
  Rows rows(1, {""});
  for (const Workload& one : results.workloads) {
    if (std::find(rows.front().begin(), rows.front().end(), one.subject) == rows.front().end()) {
      rows.front().push_back(one.subject);
    }
  }
  for (const Workload& one : results.workloads) {
    if (rows.back().front() != one.name) {
      rows.push_back({one.name});
      rows.back().resize(rows.front().size(), "-");
    }
    const auto at = std::find(rows.front().begin(), rows.front().end(), one.subject) - rows.front().begin();
    rows.back()[static_cast<std::size_t>(at)] = fmt::format("{:.2f}", one.seconds);
  }
  return table(rows);
}

}  // namespace

std::string to_markdown(const Results& results) {
  std::string text = "# Performance\n\n";
  text += fmt::format("Measured with `{}`, {} rounds, interleaved over all servers, on:\n\n", results.command,
                      results.rounds);
  for (const auto& [key, value] : results.machine) text += fmt::format("* {}: {}\n", key, value);
  const auto section = [&text](std::string_view title, std::string_view words, const std::string& body) {
    if (!body.empty()) text += fmt::format("\n## {}\n\n{}\n\n{}", title, words, body);
  };

  Rows rows(1, {"goal", "measured", "floor", ""});
  for (const Goal& goal : goals(results)) rows.push_back({goal.text, goal.measured, goal.floor, goal.verdict()});
  section(
      "Goals",
      "What fuselage wants to be, and what this run says. CPU time is compared within each round, and the median of\n"
      "the rounds counts. Floor: what a server without a library makes of the same goal on this machine.",
      table(rows));
  section(
      "CPU time, one client on the CPU of the server",
      "Microseconds for each operation, client and server together, the least of all rounds. In brackets: how many\n"
      "times that of the server without a library over the same transport (the floor).",
      mode_table(results, Mode::pinned, true));
  section("CPU time against the best of the other libraries",
          "How many times as much as fuselage that one needs for an operation: more than 1 where fuselage is better.",
          peer_table(results));
  section("Rate, one client", "Thousand operations a second where nobody is pinned, the median of all rounds.",
          mode_table(results, Mode::free, false));
  section("Rate, two clients", "The same with two clients at once, both counted.",
          mode_table(results, Mode::two, false));
  if (!results.workloads.empty()) {
    section("Programs on the memory file system", "Seconds, the least of all rounds.", workload_table(results));
  }
  if (!results.nodes.empty()) {
    Rows nodes(1, {"", "bytes"});
    for (const NodeMemory& one : results.nodes) nodes.push_back({one.subject, fmt::format("{:.0f}", one.bytes)});
    section("Memory of a node at the level of paths", "What the server has grown by for each of a million files.",
            table(nodes));
  }

  std::string words;
  for (const Metric& metric : metrics()) {
    const auto& shown = results.metrics;
    if (std::find(shown.begin(), shown.end(), metric.name) == shown.end()) continue;
    words += fmt::format("* {}: {}\n", metric.name, metric.description);
  }
  section("What was measured", "Each server serves the same trivial file system in memory.", words);
  if (!results.skipped.empty()) {
    std::string reasons;
    for (const Skipped& skipped : results.skipped) reasons += fmt::format("* {}: {}\n", skipped.subject, skipped.why);
    section("What could not be measured", "These are left out above.", reasons);
  }
  return text;
}

}  // namespace bench
