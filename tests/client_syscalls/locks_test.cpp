// Locks: kept by the kernel where the file system has none, and by the file system where it has.
#include <sys/file.h>

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <map>
#include <mutex>

#include "client_syscalls/memory_mount.hpp"
#include "support/shelf.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;
using namespace std::chrono_literals;

struct ::flock lock_of(short type, off_t start, off_t length) {
  struct ::flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

int set_lock(int fd, int command, short type, off_t start = 0, off_t length = 0) {
  const struct ::flock lock = lock_of(type, start, length);
  return failure(::fcntl(fd, command, &lock));
}

class LocalLocks : public MemoryClient {};
INSTANTIATE_TEST_SUITE_P(Users, LocalLocks, ::testing::Values(0u, nobody),
                         [](const auto& user) { return user.param == 0 ? "root" : "user"; });

// What another process gets when it tries.
int in_another(const std::function<int()>& attempt) {
  return std::stoi(in_child([&] { return std::to_string(attempt()); }));
}

TEST_P(LocalLocks, of_records_are_between_processes) {
  run([] {
    const UniqueFd fd = open_file("file", O_RDWR | O_CREAT);
    EXPECT_EQ(set_lock(fd.get(), F_SETLK, F_WRLCK, 10, 20), 0);
    const auto other = [] { return open_file("file", O_RDWR); };
    EXPECT_EQ(in_another([&] { return set_lock(other().get(), F_SETLK, F_WRLCK, 15, 1); }), EAGAIN);
    EXPECT_EQ(in_another([&] { return set_lock(other().get(), F_SETLK, F_WRLCK, 30, 1); }), 0);
    EXPECT_EQ(in_another([&] {
                struct ::flock lock = lock_of(F_RDLCK, 0, 0);
                EXPECT_EQ(::fcntl(other().get(), F_GETLK, &lock), 0);
                return lock.l_type == F_WRLCK && lock.l_start == 10 && lock.l_len == 20 ? static_cast<int>(lock.l_pid)
                                                                                        : -1;
              }),
              ::getpid());
    EXPECT_EQ(set_lock(fd.get(), F_SETLK, F_UNLCK), 0);
    EXPECT_EQ(in_another([&] { return set_lock(other().get(), F_SETLK, F_WRLCK); }), 0);
  });
}

TEST_P(LocalLocks, of_open_files_and_flocks_are_between_descriptions) {
  run([] {
    const UniqueFd one = open_file("file", O_RDWR | O_CREAT);
    const UniqueFd two = open_file("file", O_RDWR);
    EXPECT_EQ(set_lock(one.get(), F_OFD_SETLK, F_WRLCK, 0, 10), 0);
    EXPECT_EQ(set_lock(two.get(), F_OFD_SETLK, F_WRLCK, 5, 10), EAGAIN);
    EXPECT_EQ(failure(::flock(one.get(), LOCK_SH)), 0);
    EXPECT_EQ(failure(::flock(two.get(), LOCK_SH | LOCK_NB)), 0);
    EXPECT_EQ(failure(::flock(two.get(), LOCK_EX | LOCK_NB)), EWOULDBLOCK);
    EXPECT_EQ(failure(::flock(one.get(), LOCK_UN)), 0);
    EXPECT_EQ(failure(::flock(two.get(), LOCK_EX | LOCK_NB)), 0);
  });
}

// Whole-file locks by owner, as a server for several machines would keep them.
class Locking : public Shelf {
 public:
  struct Asked {
    Lock lock;
    LockOwner owner{};
    bool wait = false;
  };

  Reply<Lock> getlk(const Context&, Ino, const OpenFile& file, Lock lock) override {
    const std::lock_guard guard(mutex_);
    if (holder_ && *holder_ != file.lock_owner) return held_;
    lock.type = Lock::Type::unlock;
    return lock;
  }

  Reply<void> setlk(const Context& context, Ino, const OpenFile& file, Lock lock, bool wait) override {
    std::unique_lock guard(mutex_);
    asked_.push_back({lock, file.lock_owner, wait});
    if (lock.type == Lock::Type::unlock) {
      if (holder_ == file.lock_owner) holder_.reset();
      wake_.notify_all();
      return {};
    }
    const auto free = [&] { return !holder_ || *holder_ == file.lock_owner; };
    if (!free() && !wait) return Error{EAGAIN};
    if (!wake_.wait(guard, context.stop_token(), free)) return Error{EINTR};
    holder_ = file.lock_owner;
    held_ = lock;
    return {};
  }
  Reply<void> flush(const Context&, Ino, const OpenFile& file) override {
    drop(file.lock_owner);
    return {};
  }
  Reply<void> release(const Context&, Ino, const OpenFile& file, bool flock_unlock) override {
    if (flock_unlock) drop(file.lock_owner);
    released_with_flock_ = released_with_flock_ || flock_unlock;
    return {};
  }

  std::vector<Asked> asked() {
    const std::lock_guard guard(mutex_);
    return asked_;
  }
  bool released_with_flock() const { return released_with_flock_; }

 private:
  void drop(LockOwner owner) {
    const std::lock_guard guard(mutex_);
    if (holder_ == owner) holder_.reset();
    wake_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::optional<LockOwner> holder_;
  Lock held_;
  std::vector<Asked> asked_;
  std::atomic<bool> released_with_flock_{false};
};

class RemoteLocks : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (!IsSkipped()) served_.emplace(file_system_, make_directory());
  }
  void TearDown() override {
    served_.reset();
    MountTest::TearDown();
  }
  std::filesystem::path file() const { return served_->path("file"); }

  Locking file_system_;
  std::optional<Served> served_;
};

TEST_F(RemoteLocks, arrive_with_range_process_and_owner) {
  UniqueFd fd = open_file(file(), O_RDWR);
  EXPECT_EQ(set_lock(fd.get(), F_SETLK, F_WRLCK, 10, 20), 0);
  auto asked = file_system_.asked();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].lock.type, Lock::Type::write);
  EXPECT_EQ(asked[0].lock.start, 10u);
  EXPECT_EQ(asked[0].lock.end, 29u);
  EXPECT_EQ(asked[0].lock.pid, ::getpid());
  EXPECT_FALSE(asked[0].lock.flock);
  EXPECT_FALSE(asked[0].wait);

  const auto held = in_child([&] {
    const UniqueFd other = open_file(file(), O_RDWR);
    struct ::flock lock = lock_of(F_RDLCK, 0, 0);
    EXPECT_EQ(::fcntl(other.get(), F_GETLK, &lock), 0);
    return std::to_string(lock.l_type) + " " + std::to_string(lock.l_start) + " " + std::to_string(lock.l_len) + " " +
           std::to_string(lock.l_pid) + " " + std::to_string(set_lock(other.get(), F_SETLK, F_WRLCK));
  });
  EXPECT_EQ(held, "1 10 20 " + std::to_string(::getpid()) + " " + std::to_string(EAGAIN));
  asked = file_system_.asked();
  ASSERT_GE(asked.size(), 2u);
  EXPECT_NE(asked[1].owner, asked[0].owner);
  EXPECT_EQ(asked[1].lock.end, static_cast<std::uint64_t>(INT64_MAX));

  fd.reset();  // which flushes, and so gives the lock back
  EXPECT_EQ(in_child([&] { return std::to_string(set_lock(open_file(file(), O_RDWR).get(), F_SETLK, F_WRLCK)); }), "0");
}

TEST_F(RemoteLocks, are_waited_for) {
  UniqueFd fd = open_file(file(), O_RDWR);
  ASSERT_EQ(set_lock(fd.get(), F_SETLK, F_WRLCK), 0);
  std::atomic<bool> has_it{false};
  // A copy of the table of descriptors has the same owner: only another process is somebody else.
  std::thread waiter([&] {
    EXPECT_EQ(in_child([&] { return std::to_string(set_lock(open_file(file(), O_RDWR).get(), F_SETLKW, F_WRLCK)); }),
              "0");
    has_it = true;
  });
  EXPECT_TRUE(eventually([&] { return file_system_.asked().size() == 2; }));
  EXPECT_TRUE(file_system_.asked().back().wait);
  std::this_thread::sleep_for(50ms);
  EXPECT_FALSE(has_it);
  EXPECT_EQ(set_lock(fd.get(), F_SETLK, F_UNLCK), 0);
  waiter.join();
}

TEST_F(RemoteLocks, that_are_waited_for_can_be_interrupted) {
  const UniqueFd fd = open_file(file(), O_RDWR);
  ASSERT_EQ(set_lock(fd.get(), F_SETLK, F_WRLCK), 0);
  const auto begin = std::chrono::steady_clock::now();
  const std::string got = in_child([&] {
    struct ::sigaction nothing {};
    nothing.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &nothing, nullptr);
    const UniqueFd other = open_file(file(), O_RDWR);
    ::ualarm(100000, 0);
    return std::to_string(set_lock(other.get(), F_SETLKW, F_WRLCK));
  });
  EXPECT_EQ(got, std::to_string(EINTR));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
}

TEST_F(RemoteLocks, of_whole_files_are_told_apart) {
  UniqueFd one = open_file(file(), O_RDWR);
  const UniqueFd two = open_file(file(), O_RDWR);
  EXPECT_EQ(failure(::flock(one.get(), LOCK_EX)), 0);
  EXPECT_EQ(failure(::flock(two.get(), LOCK_EX | LOCK_NB)), EWOULDBLOCK);
  const auto asked = file_system_.asked();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_TRUE(asked[0].lock.flock);
  EXPECT_TRUE(asked[0].wait);
  EXPECT_FALSE(asked[1].wait);
  EXPECT_NE(asked[0].owner, asked[1].owner);
  one.reset();
  EXPECT_TRUE(eventually([&] { return file_system_.released_with_flock(); }));
  EXPECT_EQ(failure(::flock(two.get(), LOCK_EX)), 0);
}

}  // namespace
}  // namespace fuselage::test
