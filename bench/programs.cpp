#include "programs.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <thread>

#include "subject.hpp"

namespace bench {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

Subject memory(const std::string& transport) {
  Subject subject{"memory-" + transport, transport, "", {"fuselage", "mount", "memory", "-f"}};
  if (transport == "ring") subject.command.insert(subject.command.end(), {"-o", "transport=uring"});
  return subject;
}

// The sum, over all threads, of the lines of /proc/PID/task/*/status that begin with `key`.
double status_sum(::pid_t pid, std::string_view key) {
  double sum = 0;
  for (const auto& thread : fs::directory_iterator(fmt::format("/proc/{}/task", pid))) {
    std::ifstream status(thread.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(key)) sum += std::stod(line.substr(key.size()));
    }
  }
  return sum;
}
double wake_ups(::pid_t pid) {
  return status_sum(pid, "voluntary_ctxt_switches:") + status_sum(pid, "nonvoluntary_ctxt_switches:");
}
double resident_mib(::pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

struct Program {
  const char* name;
  const char* prepare;  ///< Not timed; in the mount, like the command. $TAR is an archive of sources.
  const char* command;
};

constexpr Program programs[] = {
    {"unpack", "rm -rf include", "tar xf \"$TAR\""},
    {"git status",
     "test -d .git || { git init -q . && git add include && git -c user.name=bench -c user.email=bench@localhost "
     "commit "
     "-qm all; }; touch include/*",
     "git status --short"},
    {"grep -r", ":", "grep -r no_such_word_anywhere include || test $? = 1"},
    {"compile", "for i in 1 2 3 4 5 6 7 8; do echo \"#include <vector>\nint f$i() { return 0; }\" > f$i.cpp; done",
     "for i in 1 2 3 4 5 6 7 8; do g++ -I include/c++/* -c f$i.cpp || exit 1; done"},
};

void shell(const fs::path& place, const char* command) {
  const std::string line = fmt::format("cd '{}' && {{ {}; }} > /dev/null", place.string(), command);
  if (std::system(line.c_str()) != 0) throw std::runtime_error(fmt::format("this failed: {}", command));
}

}  // namespace

void measure_idle(Results& results, const fs::path& scratch) {
  const Subject ring = memory("ring");
  const Subject subject = obstacle(ring).empty() ? ring : memory("device");  // the default
  if (!obstacle(subject).empty()) return;
  fs::create_directory(scratch / "idle");
  const Server server(subject, scratch / "idle", false);
  std::ofstream(server.mountpoint() / "file") << "so that it has done something";
  std::this_thread::sleep_for(1s);
  constexpr auto watched = 3s;
  const double before = wake_ups(server.pid());
  std::this_thread::sleep_for(watched);
  results.idle =
      Idle{(wake_ups(server.pid()) - before) / static_cast<double>(watched.count()), resident_mib(server.pid())};
}

void measure_nodes(Results& results, const fs::path& scratch) {
  for (const Subject& subject : subjects()) {
    if (subject.name != "fuselage-path-device" && subject.name != "libfuse3-high-mt") continue;
    if (!obstacle(subject).empty()) continue;
    fmt::print(stderr, "\rmemory of a million nodes: {:<30}", subject.name);
    const fs::path place = scratch / ("nodes-" + subject.name);
    fs::create_directory(place);
    const Server server(subject, place, false);
    const auto ask = [&place](std::uint64_t first, std::uint64_t last) {
      for (std::uint64_t i = first; i < last; ++i) {
        struct ::stat status {};
        const std::string path = fmt::format("{}/million/f{}", place.string(), i);
        if (::stat(path.c_str(), &status) != 0) throw std::system_error(errno, std::generic_category(), path);
      }
    };
    constexpr std::uint64_t few = 1'000;  // for what does not grow with them
    constexpr std::uint64_t all = 1'000'000;
    ask(0, few);
    const double before = resident_mib(server.pid());
    ask(few, all);
    const double grown = resident_mib(server.pid()) - before;
    results.nodes.push_back({subject.name, grown * (1 << 20) / static_cast<double>(all - few)});
  }
}

void measure_programs(Results& results, const fs::path& scratch) {
  constexpr int rounds = 3;
  const fs::path archive = scratch / "sources.tar";
  ::setenv("TAR", archive.c_str(), 1);
  struct Place {
    std::string name;
    std::unique_ptr<Server> server;
  };
  std::vector<Place> places;
  const Subject tmpfs{"tmpfs", "none", "", {}};
  for (const Subject& subject : {memory("device"), memory("ring"), tmpfs}) {
    if (!obstacle(subject).empty()) continue;
    const fs::path place = scratch / ("programs-" + subject.name);
    fs::create_directory(place);
    try {
      places.push_back({subject.name, std::make_unique<Server>(subject, place, false)});
    } catch (const std::exception& error) {
      results.skipped.push_back({subject.name, error.what()});
    }
  }
  shell("/usr", "tar cf \"$TAR\" include/linux include/c++");
  for (const Program& program : programs) {
    std::vector<double> least(places.size(), 1e9);
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < places.size(); ++i) {
        fmt::print(stderr, "\r{:<12} on {:<20}", program.name, places[i].name);
        shell(places[i].server->mountpoint(), program.prepare);
        const auto begin = std::chrono::steady_clock::now();
        shell(places[i].server->mountpoint(), program.command);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        least[i] = std::min(least[i], took.count());
      }
    }
    for (std::size_t i = 0; i < places.size(); ++i) {
      results.workloads.push_back({program.name, places[i].name, least[i]});
    }
  }
  fmt::print(stderr, "\r{:<60}\r", "");
  places.clear();
  fs::remove(archive);
}

}  // namespace bench
