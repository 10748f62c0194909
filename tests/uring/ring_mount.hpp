// What tests of FUSE over io_uring share.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <fuselage/async.hpp>
#include <mutex>
#include <thread>

#include "base/unique_fd.hpp"
#include "support/log_lines.hpp"
#include "support/mount_namespace.hpp"
#include "support/process.hpp"
#include "support/served.hpp"
#include "support/shelf.hpp"
#include "transport/cpus.hpp"

namespace fuselage::test {

inline constexpr const char* ring_parameter = "/sys/module/fuse/parameters/enable_uring";

/// Why this kernel has no rings for FUSE; empty if it has.
inline std::string why_no_ring() {
  char enabled = 0;
  if (!(std::ifstream(ring_parameter) >> enabled)) return "this kernel has no FUSE over io_uring";
  if (enabled != 'Y') return std::string("FUSE over io_uring is off: echo 1 > ") + ring_parameter;
  return {};
}

/// Skips where the ring cannot be had.
class RingTest : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped()) return;
    if (const std::string why = why_no_ring(); !why.empty()) GTEST_SKIP() << why;
    ::setenv("FUSELAGE_TRANSPORT", "uring", 1);
    path_ = make_directory();
    Shelf shelf;
    Served served(shelf, path_);
    const std::string reason = served.session().statistics().transport_reason;
    // Filters of containers; anything else is a failure of the test.
    if (reason.find("io_uring_setup") != std::string::npos) GTEST_SKIP() << reason;
  }

  std::filesystem::path path_;
};

/// Insists on the ring.
inline SessionOptions on_ring(SessionOptions options = {}) {
  options.transport = Transport::uring;
  return options;
}

inline std::vector<unsigned> own_cpus() { return transport::CpuMask::of_this_thread().cpus(); }

/// A thread of the test that stays on one CPU.
template <class Body>
std::jthread on_cpu(unsigned cpu, Body body) {
  return std::jthread([cpu, body = std::move(body)]() mutable {
    transport::CpuMask::of({cpu}).apply();
    body();
  });
}

/// 0 or the errno of reading a byte.
inline int read_failure(const std::filesystem::path& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char byte = 0;
  return fd ? failure(::read(fd.get(), &byte, 1)) : errno;
}

/// 0 or the errno of asking for attributes, which no cache answers.
inline int stat_failure(const std::filesystem::path& path) {
  struct statx status {};
  return failure(::statx(AT_FDCWD, path.c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &status));
}

/// "stuck" cannot be read before `let_go`, or the reader gives up.
class Stuck : public Shelf {
 public:
  enum class Waits { in_thread, as_coroutine };
  explicit Stuck(Waits waits = Waits::in_thread) : Shelf({"file", "stuck"}), waits_(waits) {}

  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{.direct_io = true}; }
  Reply<void> flush(const Context&, Ino, const OpenFile&) override { return {}; }
  Reply<Attributes> getattr(const Context&, Ino ino, const OpenFile*) override {
    last_cpu = ::sched_getcpu();
    return attributes(ino);
  }
  Reply<Data> read(const Context& context, Ino ino, const OpenFile& file, Range range) override {
    if (ino != ino_of("stuck")) return Shelf::read(context, ino, file, range);
    return waits_ == Waits::as_coroutine ? read_later(context, range) : read_now(context, range);
  }

  void let_go() {
    {
      const std::lock_guard lock(mutex_);
      released_ = true;
    }
    wake_.notify_all();
  }
  bool wait_for(int count) {
    return eventually([&] { return waiting == count; }, std::chrono::seconds(60));
  }

  std::atomic<int> waiting{0};
  std::atomic<int> last_cpu{-1};

 private:
  Reply<Data> read_now(const Context& context, Range range) {
    ++waiting;
    std::unique_lock lock(mutex_);
    wake_.wait(lock, context.stop_token(), [this] { return released_; });
    --waiting;
    if (context.interrupted()) return Error{EINTR};
    return Data::borrow(slice(text(), range));
  }
  Reply<Data> read_later(const Context& context, Range range) {
    ++waiting;
    Result<void> slept;
    while (slept && !released()) slept = co_await sleep_for(context, std::chrono::milliseconds(20));
    // Answered by a thread that has nothing to do with the ring's.
    static_cast<void>(co_await run_blocking(context, [] { return 0; }));
    --waiting;
    if (!slept) co_return slept.error();
    co_return Data::borrow(slice(text(), range));
  }
  bool released() {
    const std::lock_guard lock(mutex_);
    return released_;
  }

  const Waits waits_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  bool released_ = false;
};

/// Clients on every CPU that ask for one thing after the other until the scope ends; they may fail at the end.
class Load {
 public:
  explicit Load(const std::filesystem::path& path, std::size_t per_cpu = 2) {
    for (const unsigned cpu : own_cpus()) {
      for (std::size_t i = 0; i < per_cpu; ++i) {
        clients_.push_back(on_cpu(cpu, [this, path] {
          while (!over_) {
            if (stat_failure(path / "file") == 0) ++done;
            if (read_failure(path / "file") == 0) ++done;
          }
        }));
      }
    }
  }
  ~Load() { over_ = true; }
  bool wait_for(std::uint64_t count) {
    const std::uint64_t before = done;
    return eventually([&] { return done >= before + count; }, std::chrono::seconds(60));
  }

  std::atomic<std::uint64_t> done{0};

 private:
  std::atomic<bool> over_{false};
  std::vector<std::jthread> clients_;
};

}  // namespace fuselage::test
