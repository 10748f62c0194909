// Messages carried by hand between a real mount and a session, and answers that come later from elsewhere.
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fuselage/async.hpp>
#include <fuselage/deferred.hpp>
#include <fuselage/manual_session.hpp>

#include "support/fake.hpp"
#include "support/mount_namespace.hpp"
#include "support/served.hpp"
#include "support/shelf.hpp"

namespace fuselage::test {
namespace {

/// What is read comes from another thread, a moment later, or never.
class Later : public Shelf {
 public:
  using Shelf::Shelf;
  ~Later() override {
    for (std::thread& thread : threads_) thread.join();
  }
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{.direct_io = true}; }
  Reply<Data> read(const Context& context, Ino ino, const OpenFile&, Range range) override {
    if (range.offset > 0) return Data{};
    if (ino != ino_of("file")) return sleep(context);
    auto later = std::make_shared<Deferred<Data>>();
    Reply<Data> reply = later->reply();
    const std::lock_guard lock(mutex_);
    threads_.emplace_back([later] {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      EXPECT_TRUE(later->answer(Data::own(std::string("later"))));
      EXPECT_FALSE(later->answer(Data{}));
    });
    return reply;
  }

 private:
  static Reply<Data> sleep(const Context& context) {
    const Result<void> slept = co_await sleep_for(context, std::chrono::milliseconds(10));
    if (!slept) co_return slept.error();
    co_return Data::own(std::string("slept"));
  }

  std::mutex mutex_;
  std::vector<std::thread> threads_;
};

class Device : public Carrier {
 public:
  explicit Device(int fd) : fd_(fd) {}
  int send(std::span<const ::iovec> message) noexcept override {
    return ::writev(fd_, message.data(), static_cast<int>(message.size())) < 0 ? errno : 0;
  }

 private:
  int fd_;
};

std::string read_all(const std::filesystem::path& path) {
  char buffer[100];
  const int file = ::open(path.c_str(), O_RDONLY);
  const ssize_t size = ::read(file, buffer, sizeof buffer);
  ::close(file);
  return size < 0 ? std::string() : std::string(buffer, static_cast<std::size_t>(size));
}

TEST_F(MountTest, AManualSessionServesWhatItIsGiven) {
  Later files({"file", "slow"});
  Mount mount = must(Mount::create(make_directory()));
  Watchdog watchdog(mount.mountpoint(), std::chrono::seconds(60));
  Device device(mount.device());
  std::optional<ManualSession> session = must(ManualSession::create(files, device));
  std::thread carrier([&] {
    std::vector<std::byte> buffer(2 << 20);
    for (ssize_t size; (size = ::read(mount.device(), buffer.data(), buffer.size())) > 0 || errno == ENOENT;) {
      if (size < 0) continue;
      EXPECT_TRUE(session->process(Bytes(buffer).first(static_cast<std::size_t>(size))));
    }
  });
  EXPECT_EQ(read_all(mount.mountpoint() / "file"), "later");
  EXPECT_EQ(read_all(mount.mountpoint() / "slow"), "slept");
  EXPECT_TRUE(session->notifier().inval_inode(files.ino_of("file")));
  std::uint64_t reads = 0;
  for (const auto& row : session->statistics().operations) reads += row.name == "READ" ? row.count : 0;
  EXPECT_EQ(reads, 2u);
  EXPECT_TRUE(mount.unmount());
  carrier.join();
  session.reset();
}

TEST(ManualSessionTest, RefusesWhatIsTooLong) {
  Shelf files;
  Device nowhere(-1);
  ManualSession session = must(ManualSession::create(files, nowhere, {.max_write = 4096}));
  const std::vector<std::byte> message(100'000);
  const Result<void> done = session.process(message);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), EMSGSIZE);
  EXPECT_TRUE(session.process(Bytes(message).first(10)));  // no message, and no reason to end
}

TEST(DeferredTest, GoesNowhereOnceNobodyWaits) {
  Deferred<int> later;
  {
    const Reply<int> reply = later.reply();  // never awaited
  }
  EXPECT_TRUE(later.answer(1));
  EXPECT_FALSE(later.answer(2));
}

TEST_F(MountTest, ADeferredAnswerServesALoopToo) {
  Later files;
  const Served served(files, make_directory());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(read_all(served.path("file")), "later");
}

class Deferring : public FileSystem {
 public:
  Reply<Attributes> getattr(const Context&, Ino, const OpenFile*) override { return later.reply(); }
  Deferred<Attributes> later;
};

TEST(DeferredTest, AnswersWhoWaits) {
  Deferring files;
  FakeKernel kernel(files, strict());
  const auto asked = kernel.getattr(root_ino);
  EXPECT_FALSE(asked.answered());
  EXPECT_TRUE(files.later.answer(Attributes::directory(0711)));
  EXPECT_TRUE(asked.answered());
  EXPECT_EQ(asked->mode, S_IFDIR | 0711u);
}

TEST(DeferredTest, AnswersBeforeAnybodyAsks) {
  Deferring files;
  FakeKernel kernel(files, strict());
  EXPECT_TRUE(files.later.answer(Error{EBUSY}));
  EXPECT_EQ(kernel.getattr(root_ino).code(), EBUSY);
}

// The session ends while somebody else still has the answer.
TEST(DeferredTest, AnswersNobodyAfterTheEnd) {
  Deferring files;
  FakeKernel kernel(files, strict());
  const auto asked = kernel.getattr(root_ino);
  kernel.unmount();
  EXPECT_EQ(asked.code(), EIO);
  EXPECT_FALSE(files.later.answer(Attributes::directory()));
}

}  // namespace
}  // namespace fuselage::test
