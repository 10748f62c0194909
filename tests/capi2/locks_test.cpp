// What is promised of locks: of records (fcntl) and of whole files (flock).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/unique_fd.hpp"
#include "capi2/c_program.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;
using ::testing::StartsWith;

struct flock lock_of(int type, int whence = SEEK_SET, off_t start = 0, off_t length = 0) {
  struct flock lock {};
  lock.l_type = static_cast<short>(type);
  lock.l_whence = static_cast<short>(whence);
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

class LockTest : public MirrorTest {
 protected:
  UniqueFd open(int flags = 0) const { return UniqueFd(::open(path("file").c_str(), O_RDWR | flags, 0600)); }
};

TEST_F(LockTest, AsksForRangesFromTheBeginningInTheNameOfTheProcess) {
  start("locks");
  const UniqueFd file = open(O_CREAT);
  ASSERT_EQ(::ftruncate(file.get(), 200), 0);
  ASSERT_EQ(::lseek(file.get(), 50, SEEK_SET), 50);
  const struct {
    int command;
    struct flock lock;
    const char* seen;
  } rows[] = {
      {F_SETLK, lock_of(F_WRLCK, SEEK_END, -190, 100), "type=1 start=10 len=100"},
      {F_SETLKW, lock_of(F_RDLCK, SEEK_CUR, 5, 10), "type=0 start=55 len=10"},
      {F_SETLKW, lock_of(F_WRLCK, SEEK_SET, 150, 0), "type=1 start=150 len=0"},
      {F_SETLK, lock_of(F_UNLCK, SEEK_SET, 0, 0), "type=2 start=0 len=0"},
  };
  for (const auto& row : rows) {
    struct flock lock = row.lock;
    EXPECT_EQ(failure_of(::fcntl(file.get(), row.command, &lock)), 0) << row.seen;
    EXPECT_THAT(last("lock"),
                StartsWith(fmt::format("lock /file {} {} whence=0 pid={} ", row.command, row.seen, ::getpid())));
  }
  struct flock lock = lock_of(F_WRLCK, SEEK_SET, 20, 30);
  EXPECT_EQ(::fcntl(file.get(), F_GETLK, &lock), 0);
  EXPECT_EQ(lock.l_type, F_UNLCK);
  EXPECT_THAT(last("lock"), StartsWith(fmt::format("lock /file {} type=1 start=20 len=30 whence=0 ", F_GETLK)));
}

TEST_F(LockTest, LocksForLockfAsItIsCalled) {
  start("locks");
  const UniqueFd file = open(O_CREAT);
  EXPECT_EQ(::lockf(file.get(), F_LOCK, 10), 0);
  EXPECT_THAT(last("lock"), StartsWith(fmt::format("lock /file {} type=1 start=0 len=10 ", F_SETLKW)));
  EXPECT_EQ(::lockf(file.get(), F_TLOCK, 20), 0);
  EXPECT_THAT(last("lock"), StartsWith(fmt::format("lock /file {} type=1 start=0 len=20 ", F_SETLK)));
}

TEST_F(LockTest, TellsWhoHoldsALockWithoutAskingTheProgram) {
  start("locks");
  const UniqueFd file = open(O_CREAT);
  struct flock lock = lock_of(F_WRLCK, SEEK_SET, 10, 100);
  EXPECT_EQ(::fcntl(file.get(), F_SETLK, &lock), 0);
  const pid_t holder = ::getpid();
  const auto seen_by_others = [this] {
    return in_child([this] {
      const UniqueFd other = open();
      struct flock wanted = lock_of(F_WRLCK);
      EXPECT_EQ(::fcntl(other.get(), F_GETLK, &wanted), 0);
      return fmt::format("{} {} {} {}", wanted.l_type, wanted.l_start, wanted.l_len, wanted.l_pid);
    });
  };
  EXPECT_EQ(seen_by_others(), fmt::format("{} 10 100 {}", F_WRLCK, holder));
  EXPECT_EQ(logged(fmt::format("lock /file {}", F_GETLK)), 0);
  lock.l_type = F_UNLCK;
  EXPECT_EQ(::fcntl(file.get(), F_SETLK, &lock), 0);
  EXPECT_THAT(seen_by_others(), StartsWith(fmt::format("{} ", F_UNLCK)));
  EXPECT_EQ(logged(fmt::format("lock /file {}", F_GETLK)), 1);
}

TEST_F(LockTest, KnowsOwnersByTheirProcess) {
  start("locks");
  const UniqueFd file = open(O_CREAT);
  const auto owner_of_a_lock_by = [this](int fd) {
    struct flock lock = lock_of(F_RDLCK);
    EXPECT_EQ(::fcntl(fd, F_SETLK, &lock), 0);
    return field(last("lock"), "owner=");
  };
  const std::string owner = owner_of_a_lock_by(file.get());
  EXPECT_NE(owner, "0");
  EXPECT_EQ(owner_of_a_lock_by(UniqueFd(::dup(file.get())).get()), owner);
  EXPECT_EQ(owner_of_a_lock_by(open().get()), owner);
  const std::string other = in_child([&] { return owner_of_a_lock_by(file.get()); });
  EXPECT_NE(other, owner);
  EXPECT_NE(other, "0");
}

TEST_F(LockTest, UnlocksWithEachFlush) {
  start("locks");
  const UniqueFd file = open(O_CREAT);
  struct flock lock = lock_of(F_WRLCK, SEEK_SET, 10, 100);
  EXPECT_EQ(::fcntl(file.get(), F_SETLK, &lock), 0);
  const std::string locking = last("lock");
  EXPECT_EQ(::close(::dup(file.get())), 0);  // drops the locks of the process
  EXPECT_THAT(last("lock"), StartsWith(fmt::format("lock /file {} type=2 start=0 len=0 whence=0 pid=0 ", F_SETLK)));
  for (const char* key : {"fh=", "owner="}) EXPECT_EQ(field(last("lock"), key), field(locking, key));
  EXPECT_EQ(logged("flush"), 1);
}

TEST_F(LockTest, PassesFlockAsItIsCalled) {
  start("locks");
  const UniqueFd file = open(O_CREAT);
  for (const int operation : {LOCK_SH, LOCK_EX, LOCK_EX | LOCK_NB, LOCK_SH | LOCK_NB, LOCK_UN}) {
    EXPECT_EQ(::flock(file.get(), operation), 0);
    EXPECT_THAT(last("flock"), StartsWith(fmt::format("flock /file {:x} ", operation)));
  }
}

TEST_F(LockTest, ReleasesFileLocksWithTheirOwner) {
  start("locks");
  const auto release_of = [this](UniqueFd& file) {
    const int before = logged("release");
    file.reset();
    EXPECT_TRUE(eventually_logged("release", before + 1)) << log();
    return last("release");
  };
  UniqueFd never_locked = open(O_CREAT);
  EXPECT_EQ(field(release_of(never_locked), "flock="), "0");
  UniqueFd files[] = {open(), open()};
  std::string owners[2];
  for (const int i : {0, 1}) {
    ASSERT_EQ(::flock(files[i].get(), LOCK_SH), 0);
    owners[i] = field(last("flock"), "owner=");
    EXPECT_NE(owners[i], "0");
  }
  EXPECT_NE(owners[0], owners[1]);
  for (const int i : {0, 1}) {
    const std::string released = release_of(files[i]);
    EXPECT_EQ(field(released, "flock="), "1");
    EXPECT_EQ(field(released, "owner="), owners[i]);
  }
}

TEST_F(LockTest, LeavesLocksToTheKernelWithoutHandlers) {
  start();
  const UniqueFd file = open(O_CREAT);
  struct flock lock = lock_of(F_WRLCK);
  EXPECT_EQ(::fcntl(file.get(), F_SETLK, &lock), 0);
  EXPECT_EQ(::flock(file.get(), LOCK_EX), 0);
  const std::string seen = in_child([this] {
    const UniqueFd other = open();
    struct flock wanted = lock_of(F_WRLCK);
    const int of_records = failure_of(::fcntl(other.get(), F_SETLK, &wanted));
    return fmt::format("{} {}", of_records, failure_of(::flock(other.get(), LOCK_EX | LOCK_NB)));
  });
  EXPECT_EQ(seen, fmt::format("{} {}", EAGAIN, EWOULDBLOCK));
  EXPECT_EQ(logged("lock") + logged("flock"), 0);
}

}  // namespace
}  // namespace fuselage::test
