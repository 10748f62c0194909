#include "measure.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <new>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int most_clients = 2;
constexpr auto hang = 120s;

// What one client has to say, in memory that it shares with the bench.
struct Report {
  std::uint64_t ops = 0;
  double begin = 0;
  double end = 0;
  double client_cpu = 0;
  double server_begin = 0;
  double server_end = 0;
  char error[256] = "";
};
struct Shared {
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::array<Report, most_clients> reports;
};

double seconds(::clockid_t clock) {
  ::timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// The clock of a process counts what all its threads, also those that have ended, spent on a CPU: the sum of their
// schedstat.
double server_seconds(::pid_t pid) {
  ::clockid_t clock = 0;
  if (pid == 0 || ::clock_getcpuclockid(pid, &clock) != 0) return 0;
  return seconds(clock);
}

void work(const Metric& metric, const Server& server, const Load& load, int number, int clients, Shared& shared) {
  Report& report = shared.reports[static_cast<std::size_t>(number)];
  if (load.mode == Mode::pinned) pin();
  const Step step = metric.prepare(server.mountpoint(), number);
  if (!metric.cold) {
    const auto warm = Clock::now() + load.slice / 10;
    do step();
    while (Clock::now() < warm);
  }
  ++shared.ready;
  while (!shared.go) std::this_thread::sleep_for(100us);
  const auto end = Clock::now() + load.slice;
  report.server_begin = server_seconds(server.pid());
  report.begin = seconds(CLOCK_MONOTONIC);
  report.client_cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
  if (metric.cold) {
    report.ops = step();
  } else {
    // The clock is not read for each operation.
    while (report.ops < load.most_ops && Clock::now() < end) {
      for (int i = 0; i < 8; ++i) report.ops += step();
    }
  }
  report.client_cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - report.client_cpu;
  report.end = seconds(CLOCK_MONOTONIC);
  report.server_end = server_seconds(server.pid());
  // Nobody shall lack company before all have ended: two clients are measured while both are at work.
  ++shared.ready;
  while (shared.ready < 2 * clients) std::this_thread::sleep_for(100us);
}

[[noreturn]] void client(const Metric& metric, const Server& server, const Load& load, int number, int clients,
                         Shared& shared) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    work(metric, server, load, number, clients, shared);
    ::_exit(0);
  } catch (const std::exception& error) {
    std::strncpy(shared.reports[static_cast<std::size_t>(number)].error, error.what(), sizeof Report::error - 1);
    ::_exit(1);
  }
}

Sample sum(const Shared& shared, int clients) {
  Sample sample;
  double begin = shared.reports[0].begin;
  double end = shared.reports[0].end;
  double server_begin = shared.reports[0].server_begin;
  double server_end = shared.reports[0].server_end;
  for (int i = 0; i < clients; ++i) {
    const Report& report = shared.reports[static_cast<std::size_t>(i)];
    sample.ops += static_cast<double>(report.ops);
    sample.client_cpu += report.client_cpu;
    begin = std::min(begin, report.begin);
    end = std::max(end, report.end);
    server_begin = std::min(server_begin, report.server_begin);
    server_end = std::max(server_end, report.server_end);
  }
  sample.wall = end - begin;
  sample.server_cpu = server_end - server_begin;
  return sample;
}

struct Unmap {
  void operator()(Shared* shared) const { ::munmap(shared, sizeof *shared); }
};

}  // namespace

Sample measure(const Metric& metric, const Server& server, const Load& load) {
  const int clients = load.mode == Mode::two ? 2 : 1;
  void* const memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  const std::unique_ptr<Shared, Unmap> shared(new (memory) Shared);
  std::array<::pid_t, most_clients> pids{};
  for (int i = 0; i < clients; ++i) {
    pids[static_cast<std::size_t>(i)] = ::fork();
    if (pids[static_cast<std::size_t>(i)] == 0) client(metric, server, load, i, clients, *shared);
  }
  int left = clients;
  bool failed = false;
  for (const auto end = Clock::now() + hang; left > 0;) {
    if (shared->ready == clients) shared->go = true;
    for (::pid_t& pid : pids) {
      int status = 0;
      if (pid <= 0 || ::waitpid(pid, &status, WNOHANG) != pid) continue;
      pid = 0;
      --left;
      failed = failed || status != 0;
    }
    if (left > 0 && (failed || Clock::now() > end)) {
      failed = true;
      for (::pid_t& pid : pids) {
        if (pid > 0) ::kill(pid, SIGKILL);
      }
    }
    std::this_thread::sleep_for(200us);
  }
  if (!failed) return sum(*shared, clients);
  std::string text;
  for (const Report& report : shared->reports) text += report.error;
  throw std::runtime_error(text.empty() ? "a client hangs" : text);
}

}  // namespace bench
