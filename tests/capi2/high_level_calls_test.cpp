// The functions of the high level, called as a program calls them that does without fuse_main, and the signals.
#define FUSE_USE_VERSION 29
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <fuse.h>
#include <fuse_lowlevel.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <mutex>
#include <optional>

#include "base/unique_fd.hpp"
#include "capi2/arguments.hpp"
#include "capi2/cut_off.hpp"
#include "support/mount_namespace.hpp"
#include "support/process.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;

int failure_of(long result) { return result < 0 ? errno : 0; }

/// What the handlers have seen.
struct Seen {
  std::mutex mutex;
  fuse_context context{};  // guarded by mutex, as what follows
  std::vector<gid_t> groups;
  fuse_conn_info connection{};
  std::atomic<int> now{0}, most{0}, destroyed{0};
};

Seen* seen = nullptr;
struct fuse* served = nullptr;

fuse_operations handlers() {
  fuse_operations ops{};
  ops.init = [](fuse_conn_info* connection) -> void* {
    seen->connection = *connection;
    return seen;
  };
  ops.destroy = [](void* data) { ++static_cast<Seen*>(data)->destroyed; };
  ops.getattr = [](const char* path, struct stat* status) {
    const std::string_view name(path);
    if (name == "/exit") fuse_exit(fuse_get_context()->fuse);
    status->st_nlink = 1;
    status->st_mode = name == "/" ? S_IFDIR | 0755 : S_IFREG | 0666;
    status->st_size = 1 << 20;
    return name == "/new" ? -ENOENT : 0;
  };
  ops.mkdir = [](const char*, mode_t) {
    const std::lock_guard lock(seen->mutex);
    seen->context = *fuse_get_context();
    gid_t two[2] = {};
    seen->groups.assign(static_cast<std::size_t>(fuse_getgroups(0, nullptr)), 0);
    const int count = fuse_getgroups(static_cast<int>(seen->groups.size()), seen->groups.data());
    const bool fits = fuse_getgroups(2, two) == count && two[0] == seen->groups[0] && fuse_interrupted() == 0;
    return fits ? -EPERM : -EIO;
  };
  ops.read = [](const char*, char*, size_t size, off_t, fuse_file_info*) {
    const int now = ++seen->now;
    for (int most = seen->most; most < now && !seen->most.compare_exchange_weak(most, now);) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    --seen->now;
    return static_cast<int>(size);
  };
  return ops;
}

class HighLevelCallsTest : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped()) return;
    mnt_ = make_directory();
    cut_off_.emplace(mnt_);
    seen = &seen_;
  }

  using Loop = int (*)(struct fuse*);

  void start(Loop loop = fuse_loop_mt, std::vector<std::string> words = {}) {
    words.insert(words.begin(), "test");
    Arguments line(std::move(words));
    channel_ = fuse_mount(mnt_.c_str(), &line.args);
    ASSERT_NE(channel_, nullptr);
    const fuse_operations ops = handlers();
    served = fuse_new(channel_, &line.args, &ops, sizeof ops, nullptr);
    ASSERT_NE(served, nullptr);
    EXPECT_EQ(line.rest(), std::vector<std::string>{"test"});
    thread_ = std::thread([this, loop] { result_ = loop(served); });
    EXPECT_EQ(::access(path("file").c_str(), F_OK), 0);
  }
  /// Waits for the loop, which something has ended, and cleans up.
  int finish() {
    thread_.join();
    fuse_unmount(mnt_.c_str(), channel_);
    fuse_destroy(served);
    EXPECT_FALSE(is_mounted(mnt_));
    return result_;
  }
  std::string path(const std::string& name) const { return mnt_ / name; }

  Seen seen_;
  std::filesystem::path mnt_;
  std::optional<CutOff> cut_off_;
  fuse_chan* channel_ = nullptr;
  std::thread thread_;
  int result_ = -2;
};

// One thread, and the parts of fuse_loop.
int loop_by_commands(struct fuse* fuse) {
  while (fuse_exited(fuse) == 0) {
    if (fuse_cmd* const command = fuse_read_cmd(fuse)) fuse_process_cmd(fuse, command);
  }
  return 0;
}
int loop_by_processor(struct fuse* fuse) {
  int calls = 0;
  const int result = fuse_loop_mt_proc(
      fuse,
      [](struct fuse* of, fuse_cmd* command, void* data) {
        ++*static_cast<int*>(data);
        fuse_process_cmd(of, command);
      },
      &calls);
  return calls > 0 ? result : -1;
}

TEST_F(HighLevelCallsTest, EveryLoopServesUntilItIsUnmountedOrToldToEnd) {
  for (const Loop loop : {fuse_loop, fuse_loop_mt, loop_by_commands, loop_by_processor}) {
    start(loop);
    EXPECT_EQ(::umount2(mnt_.c_str(), MNT_DETACH), 0);
    EXPECT_EQ(finish(), 0);

    start(loop);
    EXPECT_EQ(fuse_exited(served), 0);
    ::access(path("exit").c_str(), F_OK);  // by a handler
    EXPECT_EQ(finish(), 0);
  }
  for (const Loop loop : {fuse_loop, fuse_loop_mt}) {
    start(loop);
    fuse_exit(served);  // by another thread, while nothing goes on
    EXPECT_EQ(finish(), 0);
  }
  EXPECT_EQ(seen_.destroyed, 10);
}

TEST_F(HighLevelCallsTest, ALoopThatHasEndedCanBeginAgain) {
  start();
  fuse_exit(served);
  thread_.join();
  EXPECT_EQ(result_, 0);
  EXPECT_TRUE(is_mounted(mnt_));
  EXPECT_EQ(fuse_exited(served), 0);
  thread_ = std::thread([this] { result_ = fuse_loop_mt(served); });
  EXPECT_EQ(::access(path("other").c_str(), F_OK), 0);
  fuse_exit(served);
  EXPECT_EQ(finish(), 0);
  EXPECT_EQ(fuse_loop(nullptr), -1);
  EXPECT_EQ(fuse_loop_mt(nullptr), -1);
}

TEST_F(HighLevelCallsTest, TheContextSaysWhoAsks) {
  start(fuse_loop_mt, {"-oallow_other"});
  const std::string pid = in_child([this] {
    const gid_t groups[] = {5, 6, 7};
    ::umask(027);
    EXPECT_EQ(::setgroups(3, groups), 0);
    EXPECT_EQ(::setgid(34), 0);
    EXPECT_EQ(::setuid(12), 0);
    EXPECT_EQ(failure_of(::mkdir(path("new").c_str(), 0777)), EPERM);
    return std::to_string(::getpid());
  });
  EXPECT_EQ(seen_.context.fuse, served);
  EXPECT_EQ(seen_.context.uid, 12u);
  EXPECT_EQ(seen_.context.gid, 34u);
  EXPECT_EQ(std::to_string(seen_.context.pid), pid);
  EXPECT_EQ(seen_.context.umask, 027u);
  EXPECT_EQ(seen_.context.private_data, &seen_);
  EXPECT_EQ(seen_.groups, (std::vector<gid_t>{5, 6, 7}));
  fuse_exit(served);
  finish();
  // Nobody asks here.
  EXPECT_EQ(fuse_getgroups(0, nullptr), -EINVAL);
  EXPECT_EQ(fuse_interrupted(), 0);
}

TEST_F(HighLevelCallsTest, TheContextCanComeFromTheProgram) {
  static fuse_context own;
  fuse_set_getcontext_func([] { return &own; });
  EXPECT_EQ(fuse_get_context(), &own);
  fuse_set_getcontext_func(nullptr);
  EXPECT_NE(fuse_get_context(), &own);
}

TEST_F(HighLevelCallsTest, SessionAndChannelAreTheOnesThatWereGiven) {
  start();
  fuse_session* const session = fuse_get_session(served);
  EXPECT_EQ(fuse_session_next_chan(session, nullptr), channel_);
  EXPECT_EQ(fuse_chan_session(channel_), session);
  fuse_session_exit(session);  // the same as fuse_exit
  EXPECT_EQ(finish(), 0);
}

TEST_F(HighLevelCallsTest, WhatIsRememberedIsCleanedUpByItself) {
  start(fuse_loop_mt, {"-oremember=1"});
  EXPECT_EQ(fuse_start_cleanup_thread(served), 0);
  EXPECT_GT(fuse_clean_cache(served), 0);
  fuse_stop_cleanup_thread(served);
  EXPECT_EQ(fuse_invalidate(served, "/file"), -EINVAL);
  EXPECT_EQ(::access(path("file").c_str(), F_OK), 0);
  fuse_exit(served);
  EXPECT_EQ(finish(), 0);
}

TEST_F(HighLevelCallsTest, ReadsOfAFileComeTogetherOrOneByOne) {
  const auto most_at_once = [this](const std::string& options) {
    start(fuse_loop_mt, {"-omax_read=4096," + options});
    seen_.most = 0;
    char byte = 0;
    EXPECT_EQ(::read(UniqueFd(::open(path("file").c_str(), O_RDONLY)).get(), &byte, 1), 1);
    fuse_exit(served);
    EXPECT_EQ(finish(), 0);
    return seen_.most.load();
  };
  EXPECT_GT(most_at_once("async_read"), 1);
  EXPECT_EQ(seen_.connection.async_read, 1u);
  EXPECT_EQ(most_at_once("sync_read"), 1);
  EXPECT_EQ(seen_.connection.async_read, 0u);
}

TEST_F(HighLevelCallsTest, InitSeesWhatWasAskedFor) {
  start(fuse_loop_mt, {"-omax_write=8192,max_readahead=16384,max_background=5,congestion_threshold=3,atomic_o_trunc"});
  EXPECT_EQ(seen_.connection.proto_major, 7u);
  EXPECT_GE(seen_.connection.proto_minor, 23u);
  EXPECT_EQ(seen_.connection.max_write, 8192u);
  EXPECT_EQ(seen_.connection.max_readahead, 16384u);
  EXPECT_EQ(seen_.connection.max_background, 5u);
  EXPECT_EQ(seen_.connection.congestion_threshold, 3u);
  const unsigned capable = FUSE_CAP_ASYNC_READ | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_ATOMIC_O_TRUNC |
                           FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_BIG_WRITES | FUSE_CAP_DONT_MASK | FUSE_CAP_FLOCK_LOCKS |
                           FUSE_CAP_IOCTL_DIR;
  EXPECT_EQ(seen_.connection.capable & capable, capable);
  EXPECT_EQ(seen_.connection.want & (FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_BIG_WRITES),
            static_cast<unsigned>(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_BIG_WRITES));
  // The kernel has taken them over.
  const auto connection = std::filesystem::path("/sys/fs/fuse/connections") / below().front().connection();
  const auto number = [&](const char* name) {
    std::ifstream file(connection / name);
    int value = -1;
    file >> value;
    return value;
  };
  if (std::filesystem::exists(connection)) {
    EXPECT_EQ(number("max_background"), 5);
    EXPECT_EQ(number("congestion_threshold"), 3);
  }
  fuse_exit(served);
  EXPECT_EQ(finish(), 0);
}

void (*disposition(int number))(int) {
  struct sigaction action {};
  ::sigaction(number, nullptr, &action);
  return action.sa_handler;
}

constexpr int all_signals[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE};

TEST_F(HighLevelCallsTest, SetupAndTeardownAreAWholeProgram) {
  for (const int number : all_signals) std::signal(number, SIG_DFL);
  const std::filesystem::path link = directory() / "link";
  std::filesystem::create_symlink(mnt_, link);
  for (const bool one_thread : {false, true}) {
    std::vector<std::string> words{"program", "-f", link, "-ofsname=name"};
    if (one_thread) words.push_back("-s");
    Arguments line(words);
    const fuse_operations ops = handlers();
    char* mountpoint = nullptr;
    int multithreaded = -1;
    served = fuse_setup(line.args.argc, line.args.argv, &ops, sizeof ops, &mountpoint, &multithreaded, nullptr);
    ASSERT_NE(served, nullptr);
    EXPECT_EQ(mountpoint, mnt_.native());
    EXPECT_EQ(multithreaded, one_thread ? 0 : 1);
    EXPECT_EQ(below().front().source, "name");
    for (const int number : {SIGHUP, SIGINT, SIGTERM}) EXPECT_NE(disposition(number), SIG_DFL);
    EXPECT_EQ(disposition(SIGPIPE), SIG_IGN);
    std::thread loop([this] { result_ = fuse_loop(served); });
    EXPECT_EQ(::access(path("file").c_str(), F_OK), 0);
    std::raise(SIGPIPE);
    EXPECT_EQ(::access(path("other").c_str(), F_OK), 0);
    std::raise(one_thread ? SIGINT : SIGTERM);
    loop.join();
    EXPECT_EQ(result_, 0);
    fuse_teardown(served, mountpoint);
    EXPECT_FALSE(is_mounted(mnt_));
    for (const int number : all_signals) EXPECT_EQ(disposition(number), SIG_DFL);
  }
}

TEST_F(HighLevelCallsTest, SetupThatFailsLeavesNothingBehind) {
  const fuse_operations ops = handlers();
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"program", mnt_, "-f", "-obogus"}, std::vector<std::string>{"program", "-f"},
        std::vector<std::string>{"program", "-f", mnt_ / "missing"}, std::vector<std::string>{"program", "-h"}}) {
    Arguments line(words);
    char* mountpoint = nullptr;
    int multithreaded = -1;
    EXPECT_EQ(fuse_setup(line.args.argc, line.args.argv, &ops, sizeof ops, &mountpoint, &multithreaded, nullptr),
              nullptr);
    EXPECT_EQ(mountpoint, nullptr);
    EXPECT_TRUE(below().empty());
  }
  EXPECT_EQ(seen_.destroyed, 0);  // as init was not called
}

class SignalsTest : public ::testing::Test {
 protected:
  SignalsTest() : session_(fuse_lowlevel_new(nullptr, nullptr, 0, nullptr)) {
    for (const int number : all_signals) std::signal(number, SIG_DFL);
  }
  ~SignalsTest() override { fuse_session_destroy(session_); }
  fuse_session* session_;
};

TEST_F(SignalsTest, WhatTheProgramIgnoresOrHandlesStaysAsItIs) {
  const auto own = [](int) {};
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGHUP, own);
  std::signal(SIGPIPE, own);
  EXPECT_EQ(fuse_set_signal_handlers(session_), 0);
  EXPECT_EQ(disposition(SIGINT), SIG_IGN);
  EXPECT_EQ(disposition(SIGHUP), static_cast<void (*)(int)>(own));
  EXPECT_EQ(disposition(SIGPIPE), static_cast<void (*)(int)>(own));
  EXPECT_NE(disposition(SIGTERM), SIG_DFL);
  fuse_remove_signal_handlers(session_);
  EXPECT_EQ(disposition(SIGINT), SIG_IGN);
  EXPECT_EQ(disposition(SIGHUP), static_cast<void (*)(int)>(own));
  EXPECT_EQ(disposition(SIGPIPE), static_cast<void (*)(int)>(own));
  EXPECT_EQ(disposition(SIGTERM), SIG_DFL);
  for (const int number : all_signals) std::signal(number, SIG_DFL);
}

TEST_F(SignalsTest, EachEndsTheSession) {
  for (const int number : {SIGHUP, SIGINT, SIGTERM}) {
    EXPECT_EQ(fuse_set_signal_handlers(session_), 0);
    EXPECT_EQ(fuse_session_exited(session_), 0);
    std::raise(number);
    EXPECT_EQ(fuse_session_exited(session_), 1);
    fuse_session_reset(session_);
    EXPECT_EQ(fuse_session_exited(session_), 0);
    fuse_remove_signal_handlers(session_);
  }
}

TEST(HighLevelTest, KnowsItsOptions) {
  for (const char* option :
       {"kernel_cache", "umask=022", "modules=subdir", "subdir=/", "max_write=1", "to_code=UTF-8"}) {
    EXPECT_EQ(fuse_is_lib_option(option), 1) << option;
  }
  for (const char* option : {"bogus", "umask", "fsname=x", ""}) EXPECT_EQ(fuse_is_lib_option(option), 0) << option;
  EXPECT_EQ(fuse_daemonize(1), 0);  // which is nothing
}

}  // namespace
}  // namespace fuselage::test
