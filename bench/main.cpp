// fuselage-bench: measures fuselage against a server without a library, other libraries, and the kernel's own tmpfs.
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <utility>

#include "measure.hpp"
#include "metric.hpp"
#include "programs.hpp"
#include "results.hpp"
#include "subject.hpp"

namespace bench {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct Order {
  bool full = false;
  int rounds = 0;  // 0: as quick and full say
  std::uint64_t most_ops = UINT64_MAX;
  std::vector<std::string> subjects;
  std::vector<std::string> metrics;
  std::string json;
  std::string html;
  std::string report;
};

// A folder of its own, removed at the end.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "fuselage-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
    path_ = name;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    for (const auto& entry : fs::directory_iterator(path_)) ::rmdir(entry.path().c_str());
    ::rmdir(path_.c_str());
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Nothing can be measured here.
class Unable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Nobody else's new mount namespace shall hold our mounts.
void enter_private_namespace() {
  if (::geteuid() != 0 || ::access("/dev/fuse", R_OK | W_OK) != 0 || ::unshare(CLONE_NEWNS) != 0 ||
      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    throw Unable("measuring takes root, a usable /dev/fuse and a mount namespace of its own");
  }
}

std::vector<std::pair<std::string, std::string>> describe_machine() {
  ::utsname kernel{};
  ::uname(&kernel);
  std::string model = "unknown";
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string line; std::getline(cpus, line);) {
    if (line.starts_with("model name")) model = line.substr(line.find(':') + 2);
  }
  double load = 0;
  std::ifstream("/proc/loadavg") >> load;
  return {{"processor", fmt::format("{} x {}", ::sysconf(_SC_NPROCESSORS_ONLN), model)},
          {"memory", fmt::format("{:.0f} GiB", static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
                                                   static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 30))},
          {"kernel", fmt::format("{} {}", kernel.sysname, kernel.release)},
          {"load before it began", fmt::format("{:.2f}", load)}};
}

template <class Items>
std::vector<std::string> names_of(const Items& items) {
  std::vector<std::string> names;
  for (const auto& item : items) names.emplace_back(item.name);
  return names;
}

class Bench {
 public:
  Bench(const Order& order, const fs::path& scratch, Results& results)
      : order_(order), scratch_(scratch), results_(results) {
    results_.rounds = order_.rounds;
    for (const Metric& metric : metrics()) {
      const bool named = std::count(order_.metrics.begin(), order_.metrics.end(), metric.name) > 0;
      if (named || (order_.metrics.empty() && (order_.full || !metric.full_only))) metrics_.push_back(&metric);
    }
    for (const Metric* metric : metrics_) results_.metrics.emplace_back(metric->name);
    for (const Subject& subject : subjects()) {
      if (order_.subjects.empty() || std::count(order_.subjects.begin(), order_.subjects.end(), subject.name) > 0) {
        subjects_.push_back(subject);
      }
    }
  }

  // Interleaved, so that what else happens on the machine hits all alike; and with new servers in each round, for where
  // a process finds itself in memory makes a difference of some percent as long as it lives.
  void run() {
    for (int round = 0; round < order_.rounds; ++round) {
      start_all();
      for (const Metric* metric : metrics_) {
        for (const Mode mode : modes) {
          if (metric->cold && mode != Mode::pinned) continue;
          fmt::print(stderr, "\rround {} of {}: {:<20} {:<6}", round + 1, order_.rounds, metric->name, name(mode));
          for (const Running& one : running_) sample(one, *metric, mode);
        }
      }
    }
    fmt::print(stderr, "\r{:<60}\r", "");
  }

 private:
  // Two servers, because one that was started on one CPU stays there with all its threads.
  struct Running {
    Subject subject;
    std::unique_ptr<Server> pinned;
    std::unique_ptr<Server> free;
  };

  // What cannot be started once is not tried again.
  void start_all() {
    running_.clear();
    for (const Subject& subject : std::exchange(subjects_, {})) {
      std::string why = obstacle(subject);
      if (why.empty()) {
        try {
          running_.push_back({subject, start(subject, true), start(subject, false)});
          subjects_.push_back(subject);
          continue;
        } catch (const std::exception& error) {
          why = error.what();
        }
      }
      fmt::print(stderr, "skipping {}: {}\n", subject.name, why);
      results_.skipped.push_back({subject.name, why});
    }
    results_.subjects = names_of(subjects_);
  }

  std::unique_ptr<Server> start(const Subject& subject, bool pinned) {
    const fs::path place = scratch_ / std::to_string(++places_);
    fs::create_directory(place);
    return std::make_unique<Server>(subject, place, pinned);
  }

  void sample(const Running& running, const Metric& metric, Mode mode) {
    const Subject& subject = running.subject;
    const auto slice = order_.full ? 200ms : 30ms;
    if (metric.name == subject.without) return;
    if (metric.cold && subject.transport == "none") return;  // always warm
    std::unique_ptr<Server> fresh;
    if (metric.cold) fresh = start(subject, true);
    const Server& server = fresh ? *fresh : mode == Mode::pinned ? *running.pinned : *running.free;
    try {
      results_.at(subject.name, metric.name, mode)
          .samples.push_back(measure(metric, server, {mode, slice, order_.most_ops}));
    } catch (const std::exception& error) {
      throw std::runtime_error(fmt::format("{}, {}, {}: {}", subject.name, metric.name, name(mode), error.what()));
    }
  }

  const Order& order_;
  const fs::path& scratch_;
  Results& results_;
  int places_ = 0;
  std::vector<const Metric*> metrics_;
  std::vector<Subject> subjects_;  // those that can be started
  std::vector<Running> running_;
};

void write(const std::string& path, const std::string& text) {
  if (path.empty()) return;
  std::ofstream file(path);
  if (!(file << text) || !file.flush()) throw std::runtime_error("cannot write " + path);
}

void run(const Order& order) {
  Results results;
  results.machine = describe_machine();
  results.command = order.full ? "./dev bench --full" : "./dev bench";
  enter_private_namespace();
  const Scratch scratch;
  Bench(order, scratch.path(), results).run();
  if (order.metrics.empty()) measure_idle(results, scratch.path());
  if (order.full) measure_nodes(results, scratch.path());
  if (order.full) measure_programs(results, scratch.path());
  const std::string text = to_markdown(results);
  fmt::print("{}", text);
  write(order.json, to_json(results));
  write(order.html, to_html(results));
  write(order.report, text);
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  bench::Order order;
  bool quick = false;
  CLI::App program("Measures fuselage against a server without a library, libfuse, and tmpfs", "bench");
  auto* const full = program.add_flag("--full", order.full, "Longer, with everything: about twenty-five minutes");
  program.add_flag("--quick", quick, "Within two minutes (the default)")->excludes(full);
  program.add_option("--rounds", order.rounds, "How often each is measured")->check(CLI::Range(1, 1000));
  program.add_option("--ops", order.most_ops, "End each measurement after so many operations");
  program.add_option("--subjects", order.subjects, "Only these, separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember(bench::names_of(bench::subjects())));
  program.add_option("--metrics", order.metrics, "Only these, separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember(bench::names_of(bench::metrics())));
  program.add_option("--json", order.json, "Write everything that was measured into this file");
  program.add_option("--html", order.html, "Write a page with plots into this file");
  program.add_option("--report", order.report, "Write the report into this file, as Markdown");
  CLI11_PARSE(program, argc, argv);
  if (order.rounds == 0) order.rounds = order.full ? 9 : 3;
  try {
    bench::run(order);
    return 0;
  } catch (const bench::Unable& error) {
    fmt::print("Skipped: {}\n", error.what());
    return 77;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench: {}\n", error.what());
    return 1;
  }
}
