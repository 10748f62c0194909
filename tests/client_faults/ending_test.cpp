// Every way in which a session can end, seen from outside.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include <fstream>
#include <memory>
#include <optional>

#include "base/unique_fd.hpp"
#include "client_faults/server_process.hpp"
#include "support/mount_namespace.hpp"
#include "support/process.hpp"
#include "support/shelf.hpp"

namespace fuselage::test {
namespace {

namespace fs = std::filesystem;
using base::UniqueFd;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Takes writes to "file", and keeps nothing.
class Sink : public Shelf {
 public:
  Reply<std::size_t> write(const Context&, Ino, const OpenFile&, std::uint64_t, Bytes bytes, WriteFlags) override {
    return bytes.size();
  }
};

std::unique_ptr<Sink> make_sink() { return std::make_unique<Sink>(); }

int stat_failure(const fs::path& path) {
  struct stat status {};
  return failure(::stat(path.c_str(), &status));
}

// A process that reads, writes and lists as fast as it can until something fails.
class Load {
 public:
  explicit Load(const fs::path& path) {
    for (pid_t& pid : pids_) {
      pid = ::fork();
      if (pid == 0) {
        ::close_range(3, ~0u, 0);
        run(path);
        ::_exit(0);
      }
    }
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() {
    for (const pid_t pid : pids_) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  }

 private:
  static void run(const fs::path& path) {
    std::string block(100000, 'x');
    for (;;) {
      const UniqueFd fd(::open((path / "file").c_str(), O_RDWR | O_CLOEXEC));
      if (!fd || ::pwrite(fd.get(), block.data(), block.size(), 0) < 0) return;
      if (::pread(fd.get(), block.data(), block.size(), 0) < 0 || stat_failure(path / "nothing") != ENOENT) return;
    }
  }

  pid_t pids_[3] = {};
};

class Ending : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (!IsSkipped()) path_ = make_directory();
  }

  // The directory of /sys/fs/fuse/connections that belongs to the mount.
  fs::path connection() const {
    const fs::path root = "/sys/fs/fuse/connections";
    for (const auto& entry : below()) {
      if (entry.mountpoint != path_) continue;
      if (!fs::exists(root) || (fs::is_empty(root) && ::mount("none", root.c_str(), "fusectl", 0, nullptr) != 0)) {
        return {};
      }
      // An unknown device cannot be asked for: statx with AT_STATX_DONT_SYNC gives it from the cache.
      struct ::statx extended {};
      if (::statx(AT_FDCWD, path_.c_str(), AT_STATX_DONT_SYNC, 0, &extended) != 0) return {};
      return root / std::to_string(makedev(extended.stx_dev_major, extended.stx_dev_minor));
    }
    return {};
  }

  fs::path path_;
};

class EndingBySignal : public Ending, public ::testing::WithParamInterface<std::pair<int, const char*>> {
 protected:
  void expect_end(ServerProcess& server) {
    ASSERT_EQ(::kill(server.pid(), GetParam().first), 0);
    const auto begin = Clock::now();
    EXPECT_EQ(server.ended(), GetParam().second);
    EXPECT_LT(Clock::now() - begin, 2s);
    EXPECT_EQ(server.exit_status(), 0);
    EXPECT_FALSE(is_mounted(path_));
    EXPECT_TRUE(fs::is_empty(path_));
  }
};

TEST_P(EndingBySignal, unmounts_when_idle) {
  ServerProcess server(path_, std::function(make_sink));
  EXPECT_EQ(stat_failure(path_ / "file"), 0);
  expect_end(server);
}

TEST_P(EndingBySignal, unmounts_under_load) {
  ServerProcess server(path_, std::function(make_sink));
  EXPECT_EQ(stat_failure(path_ / "file"), 0);
  const Load load(path_);
  std::this_thread::sleep_for(100ms);
  expect_end(server);
}

TEST_P(EndingBySignal, unmounts_with_one_thread) {
  ServerProcess server(path_, std::function(make_sink), {}, {.max_threads = 1, .handle_signals = true});
  EXPECT_EQ(stat_failure(path_ / "file"), 0);  // so it is running
  const Load load(path_);
  expect_end(server);
}

INSTANTIATE_TEST_SUITE_P(Signals, EndingBySignal,
                         ::testing::Values(std::pair(SIGTERM, "signal 15 (TERM)"), std::pair(SIGINT, "signal 2 (INT)"),
                                           std::pair(SIGHUP, "signal 1 (HUP)")),
                         [](const auto& instance) { return ::sigabbrev_np(instance.param.first); });

TEST_F(Ending, signals_that_the_program_ignores_stay_ignored) {
  ServerProcess server(path_, std::function([] {
                         ::signal(SIGHUP, SIG_IGN);
                         return make_sink();
                       }));
  EXPECT_EQ(stat_failure(path_ / "file"), 0);
  ::kill(server.pid(), SIGHUP);
  ::kill(server.pid(), SIGPIPE);
  EXPECT_EQ(server.ended(200ms), "");
  EXPECT_EQ(stat_failure(path_ / "file"), 0);
  ::kill(server.pid(), SIGTERM);
  EXPECT_EQ(server.ended(), "signal 15 (TERM)");
}

TEST_F(Ending, a_killed_server_leaves_a_dead_mount_that_the_next_one_replaces) {
  {
    ServerProcess server(path_, std::function(make_sink));
    const UniqueFd open(::open((path_ / "file").c_str(), O_RDONLY | O_CLOEXEC));
    server.kill();
    EXPECT_TRUE(eventually([&] { return stat_failure(path_) == ENOTCONN; }));
    char byte = 0;
    const int error = failure(::read(open.get(), &byte, 1));
    EXPECT_TRUE(error == ENOTCONN || error == ECONNABORTED) << error;
  }
  EXPECT_TRUE(is_mounted(path_));
  ServerProcess next(path_, std::function(make_sink));
  EXPECT_EQ(stat_failure(path_ / "file"), 0);
  EXPECT_EQ(below().size(), 1u);
  ::kill(next.pid(), SIGTERM);
  EXPECT_EQ(next.exit_status(), 0);
}

TEST_F(Ending, a_killed_server_fails_callers_that_wait) {
  ServerProcess server(path_, std::function(make_sink));
  std::optional<Load> load(std::in_place, path_);
  std::this_thread::sleep_for(50ms);
  server.kill();
  load.reset();  // they can be reaped
  EXPECT_TRUE(eventually([&] { return stat_failure(path_) == ENOTCONN; }));
  EXPECT_EQ(::umount(path_.c_str()), 0);
}

TEST_F(Ending, a_program_that_the_server_started_does_not_keep_the_mount_alive) {
  // The child is started after the mount exists: by the file system's init.
  class Starter : public Sink {
   public:
    Result<void> init(Negotiation&) override {
      if (::fork() == 0) {
        ::execlp("sleep", "sleep", "2", nullptr);
        ::_exit(127);
      }
      return {};
    }
  };
  ServerProcess server(path_, std::function([] { return std::make_unique<Starter>(); }));
  EXPECT_EQ(stat_failure(path_ / "file"), 0);
  std::this_thread::sleep_for(100ms);
  server.kill();
  EXPECT_TRUE(eventually([&] { return stat_failure(path_) == ENOTCONN; }));
  EXPECT_EQ(::umount(path_.c_str()), 0);
}

TEST_F(Ending, an_abort_is_told_apart_from_an_unmount) {
  ServerProcess server(path_, std::function(make_sink));
  EXPECT_EQ(stat_failure(path_ / "file"), 0);
  const fs::path control = connection();
  if (control.empty() || !fs::exists(control)) GTEST_SKIP() << "no fusectl here";
  std::ofstream(control / "abort") << 1 << std::flush;
  EXPECT_EQ(server.ended(), "the connection was aborted");
  EXPECT_EQ(server.exit_status(), 0);
  EXPECT_FALSE(is_mounted(path_));
}

TEST_F(Ending, an_unmount_of_the_idle_mount_ends_the_session) {
  Sink file_system;
  Served served(file_system, path_);
  EXPECT_EQ(stat_failure(path_ / "file"), 0);
  ASSERT_EQ(::umount(path_.c_str()), 0);
  EXPECT_TRUE(served.ends_within(1s));
  EXPECT_EQ(served.wait().reason, Ended::Reason::unmounted);
}

TEST_F(Ending, an_unmount_of_the_busy_mount_is_refused) {
  Sink file_system;
  Served served(file_system, path_);
  UniqueFd open(::open(served.path("file").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(failure(::umount(path_.c_str())), EBUSY);
  EXPECT_EQ(stat_failure(served.path("file")), 0);
}

TEST_F(Ending, a_lazy_unmount_serves_until_the_last_user_is_gone) {
  Sink file_system;
  Served served(file_system, path_);
  UniqueFd open(::open(served.path("file").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(open);
  ASSERT_EQ(::umount2(path_.c_str(), MNT_DETACH), 0);
  EXPECT_EQ(stat_failure(path_ / "file"), ENOENT);
  EXPECT_FALSE(served.ends_within(100ms));
  char text[64];
  EXPECT_EQ(::pread(open.get(), text, sizeof text, 0), 14);
  EXPECT_EQ(::pwrite(open.get(), text, 5, 0), 5);
  open.reset();
  EXPECT_TRUE(served.ends_within(1s));
  EXPECT_EQ(served.wait().reason, Ended::Reason::unmounted);
}

TEST_F(Ending, stop_takes_effect_at_once_when_idle) {
  Sink file_system;
  Mount mount = must(Mount::create(path_));
  Session session = must(Session::create(file_system, mount));
  // The best of some: one may be delayed by a busy machine.
  auto best = Clock::duration::max();
  for (int i = 0; i < 5; ++i) {
    std::thread runner([&] { EXPECT_EQ(session.run().reason, Ended::Reason::stopped); });
    EXPECT_EQ(stat_failure(path_ / "file"), 0);
    std::this_thread::sleep_for(50ms);
    const auto begin = Clock::now();
    session.stop();
    runner.join();
    best = std::min(best, Clock::now() - begin);
  }
  EXPECT_LT(best, 100ms);
}

TEST_F(Ending, what_came_between_two_runs_is_answered_in_the_second) {
  Sink file_system;
  Mount mount = must(Mount::create(path_));
  Session session = must(Session::create(file_system, mount));
  session.stop();
  EXPECT_EQ(session.run().reason, Ended::Reason::stopped);
  std::thread client([&] { EXPECT_EQ(stat_failure(path_ / "file"), 0); });
  std::this_thread::sleep_for(50ms);
  std::thread runner([&] { EXPECT_EQ(session.run().reason, Ended::Reason::unmounted); });
  client.join();
  EXPECT_TRUE(mount.unmount());
  runner.join();
}

TEST_F(Ending, several_mounts_in_one_process_end_each_for_itself) {
  Sink one;
  Sink two;
  Sink three;
  const auto second = make_directory("second");
  const auto third = make_directory("third");
  Served first_served(one, path_);
  Served second_served(two, second);
  Served third_served(three, third);
  for (const auto& path : {path_, second, third}) EXPECT_EQ(stat_failure(path / "file"), 0);
  ASSERT_EQ(::umount(second.c_str()), 0);
  EXPECT_EQ(second_served.wait().reason, Ended::Reason::unmounted);
  first_served.session().stop();
  EXPECT_EQ(first_served.wait().reason, Ended::Reason::stopped);
  EXPECT_EQ(stat_failure(third / "file"), 0);
  EXPECT_FALSE(third_served.ends_within(10ms));
}

TEST_F(Ending, a_signal_ends_all_sessions_of_a_process) {
  const auto second = make_directory("second");
  // Served by a thread of the process that serves the other one.
  class Both : public Sink {
   public:
    explicit Both(fs::path path) : path_(std::move(path)) {}
    Result<void> init(Negotiation&) override {
      served_.emplace(sink_, path_, MountOptions{}, SessionOptions{.handle_signals = true});
      return {};
    }
    void destroy() override {
      if (served_->wait().to_string() != "signal 15 (TERM)") std::abort();
      served_.reset();
    }

   private:
    fs::path path_;
    Sink sink_;
    std::optional<Served> served_;
  };
  ServerProcess server(path_, std::function([&] { return std::make_unique<Both>(second); }));
  EXPECT_EQ(stat_failure(path_ / "file"), 0);
  EXPECT_EQ(stat_failure(second / "file"), 0);
  ::kill(server.pid(), SIGTERM);
  EXPECT_EQ(server.ended(), "signal 15 (TERM)");
  EXPECT_EQ(server.exit_status(), 0);
  EXPECT_TRUE(below().empty());
}

}  // namespace
}  // namespace fuselage::test
