// What was measured, before anybody has an opinion about it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// How clients and server are placed.
enum class Mode {
  pinned,  ///< One client, on the same CPU as the server: CPU time is comparable there, also between runs.
  free,    ///< One client, the scheduler decides: what a user sees.
  two,     ///< Two clients.
};
inline constexpr std::array modes = {Mode::pinned, Mode::free, Mode::two};
constexpr std::string_view name(Mode mode) {
  return mode == Mode::pinned ? "pinned" : mode == Mode::free ? "free" : "two";
}

/// Times in seconds.
struct Sample {
  double ops = 0;
  double wall = 0;
  double client_cpu = 0;
  double server_cpu = 0;

  double cpu_us() const { return (client_cpu + server_cpu) / ops * 1e6; }
  double rate() const { return ops / wall; }
};

/// The samples of one metric, one for each round.
struct Series {
  std::string subject;
  std::string metric;
  Mode mode{};
  std::vector<Sample> samples;

  double least_cpu_us() const;
  double median_cpu_us() const;
  double median_rate() const;
  double best_rate() const;
};

struct Skipped {
  std::string subject;
  std::string why;
};

/// A daemon of the memory file system that nobody uses.
struct Idle {
  double wake_ups_per_second = 0;
  double resident_mib = 0;
};

/// What a server at the level of paths keeps in memory for each file that the kernel knows, out of a million.
struct NodeMemory {
  std::string subject;
  double bytes = 0;
};

/// A real program on the memory file system.
struct Workload {
  std::string name;
  std::string subject;
  double seconds = 0;
};

struct Results {
  std::vector<std::pair<std::string, std::string>> machine;  ///< "kernel": "6.18.1", ...
  std::string command;                                       ///< Which reproduces it.
  int rounds = 0;
  std::vector<std::string> subjects;
  std::vector<std::string> metrics;
  std::vector<Series> series;
  std::vector<Skipped> skipped;
  std::vector<Workload> workloads;
  std::optional<Idle> idle;
  std::vector<NodeMemory> nodes;

  /// Null if it was not measured.
  const Series* find(std::string_view subject, std::string_view metric, Mode mode) const;
  Series& at(std::string_view subject, std::string_view metric, Mode mode);
};

std::string to_json(const Results& results);
/// Tables, for a terminal and for a Markdown document alike.
std::string to_markdown(const Results& results);
/// A page with plots that needs nothing else.
std::string to_html(const Results& results);

}  // namespace bench
