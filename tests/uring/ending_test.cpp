// The ring comes to its end in every order, under load, and loses no answer while it lives.
#include <sys/mount.h>

#include <future>

#include "client_faults/server_process.hpp"
#include "uring/ring_mount.hpp"

namespace fuselage::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class RingEnding : public RingTest {
 protected:
  std::size_t count_entries(const char* directory) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), {}));
  }
};

TEST_F(RingEnding, by_unmounting_under_load) {
  Stuck files;
  Served served(files, path_, {}, on_ring());
  {
    Load load(path_);
    ASSERT_TRUE(load.wait_for(200));
    ASSERT_EQ(::umount2(path_.c_str(), MNT_DETACH), 0);
  }
  EXPECT_EQ(served.wait().reason, Ended::Reason::unmounted);
}

TEST_F(RingEnding, by_cutting_the_connection_under_load) {
  Stuck files;
  Served served(files, path_, {}, on_ring());
  const auto stuck = std::async(std::launch::async, [&] { return read_failure(path_ / "stuck"); });
  ASSERT_TRUE(files.wait_for(1));
  Load load(path_);
  ASSERT_TRUE(load.wait_for(200));
  const fs::path control = make_directory("fusectl");
  ASSERT_EQ(::mount("none", control.c_str(), "fusectl", 0, nullptr), 0);
  std::ofstream(control / below().front().connection() / "abort") << 1;
  const auto reason = served.wait().reason;
  EXPECT_EQ(::umount(control.c_str()), 0);
  EXPECT_TRUE(reason == Ended::Reason::aborted || reason == Ended::Reason::unmounted);
}

TEST_F(RingEnding, by_stopping_under_load_and_going_on_later) {
  Stuck files(Stuck::Waits::as_coroutine);
  Mount mount = must(Mount::create(path_));
  Session session = must(Session::create(files, mount, on_ring()));
  const Watchdog watchdog(path_, 180s);
  auto ended = std::async(std::launch::async, [&] { return session.run(); });
  auto load = std::make_unique<Load>(path_);
  for (int round = 0; round < 10; ++round) {
    const base::UniqueFd fd(::open((path_ / "stuck").c_str(), O_RDONLY | O_CLOEXEC));
    const auto suspended = std::async(std::launch::async, [&] {
      char byte = 0;
      return failure(::read(fd.get(), &byte, 1));
    });
    ASSERT_TRUE(files.wait_for(1));
    ASSERT_TRUE(load->wait_for(100));
    session.stop();
    EXPECT_EQ(ended.get().reason, Ended::Reason::stopped);
    // Nobody serves, but what was stopped has its answer.
    EXPECT_EQ(suspended.wait_for(30s), std::future_status::ready);
    ended = std::async(std::launch::async, [&] { return session.run(); });
  }
  EXPECT_TRUE(load->wait_for(100));
  load.reset();
  EXPECT_TRUE(mount.unmount());
  EXPECT_EQ(ended.get().reason, Ended::Reason::unmounted);
}

TEST_F(RingEnding, with_a_session_that_goes_before_its_mount) {
  for (int round = 0; round < 10; ++round) {
    Stuck files(Stuck::Waits::as_coroutine);
    Mount mount = must(Mount::create(path_));
    std::unique_ptr<Load> load;
    {
      Session session = must(Session::create(files, mount, on_ring()));
      auto ended = std::async(std::launch::async, [&] { return session.run(); });
      load = std::make_unique<Load>(path_, 1);
      EXPECT_TRUE(load->wait_for(20));
      session.stop();
      EXPECT_EQ(ended.get().reason, Ended::Reason::stopped);
    }
    ASSERT_EQ(::umount2(path_.c_str(), MNT_FORCE | MNT_DETACH), 0);
    load.reset();
  }
}

TEST_F(RingEnding, by_killing_the_server_under_load) {
  for (int round = 0; round < 5; ++round) {
    auto server = std::make_unique<ServerProcess>(path_, std::function([] { return std::make_unique<Stuck>(); }),
                                                  MountOptions{}, on_ring());
    Load load(path_);
    ASSERT_TRUE(load.wait_for(100));
    std::jthread stuck([&] { read_failure(path_ / "stuck"); });
    server->kill();
    ASSERT_EQ(::umount2(path_.c_str(), MNT_DETACH), 0);
  }
}

TEST_F(RingEnding, again_and_again_under_load_leaks_nothing) {
  const auto run_once = [&] {
    Stuck files;
    const Served served(files, path_, {}, on_ring());
    Load load(path_, 1);
    EXPECT_TRUE(load.wait_for(30));
  };
  for (int i = 0; i < 10; ++i) run_once();
  const std::size_t descriptors = count_entries("/proc/self/fd");
  const std::size_t threads = count_entries("/proc/self/task");
  for (int i = 0; i < 60; ++i) run_once();
  EXPECT_EQ(count_entries("/proc/self/fd"), descriptors);
  EXPECT_TRUE(eventually([&] { return count_entries("/proc/self/task") == threads; }));
}

}  // namespace
}  // namespace fuselage::test
