// The functions of the low level, called as a program calls them and seen from the other side of a mount. Each way to
// serve a session gets the same tests.
#define FUSE_USE_VERSION 29
#define _FILE_OFFSET_BITS 64
#include <dirent.h>
#include <fmt/format.h>
#include <fuse_lowlevel.h>
#include <grp.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <future>
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

constexpr unsigned long swap_words = _IOWR('L', 1, char[8]);
constexpr unsigned long ask_again = _IOWR('L', 2, int);
constexpr unsigned long in_pieces = _IOR('L', 3, char[8]);

int failure_of(long result) { return result < 0 ? errno : 0; }

// One way after another in which programs serve their sessions.
int loop_by_buffers(fuse_session* session) {
  std::vector<char> memory(fuse_chan_bufsize(fuse_session_next_chan(session, nullptr)));
  while (fuse_session_exited(session) == 0) {
    fuse_chan* from = fuse_session_next_chan(session, nullptr);
    fuse_buf message{};
    message.mem = memory.data();
    message.size = memory.size();
    const int size = fuse_session_receive_buf(session, &message, &from);
    if (size == -EINTR) continue;
    if (size <= 0) return size;
    fuse_session_process_buf(session, &message, from);
  }
  return 0;
}
int loop_by_messages(fuse_session* session) {
  std::vector<char> memory(fuse_chan_bufsize(fuse_session_next_chan(session, nullptr)));
  while (fuse_session_exited(session) == 0) {
    fuse_chan* from = fuse_session_next_chan(session, nullptr);
    const int size = fuse_chan_recv(&from, memory.data(), memory.size());
    if (size == -EINTR) continue;
    if (size <= 0) return size;
    fuse_session_process(session, memory.data(), static_cast<std::size_t>(size), from);
  }
  return 0;
}

struct Loop {
  const char* name;
  int (*serve)(fuse_session*);
};

/// The root with the file "file", whose attributes and names the kernel may believe for long.
class LowLevelCallsTest : public MountTest, public ::testing::WithParamInterface<Loop> {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped()) return;
    mnt_ = make_directory();
    Arguments line({"test"});
    channel_ = fuse_mount(mnt_.c_str(), &line.args);
    ASSERT_NE(channel_, nullptr);
    const fuse_lowlevel_ops ops = handlers();
    session_ = fuse_lowlevel_new(&line.args, &ops, sizeof ops, this);
    ASSERT_NE(session_, nullptr);
    fuse_session_add_chan(session_, channel_);
    cut_off_.emplace(mnt_);
    thread_ = std::thread([this] { result_ = GetParam().serve(session_); });
  }

  void TearDown() override {
    if (session_ != nullptr) {
      EXPECT_EQ(::umount2(mnt_.c_str(), MNT_DETACH), 0) << std::strerror(errno);
      thread_.join();
      EXPECT_EQ(result_, 0);
      fuse_session_remove_chan(channel_);
      fuse_session_destroy(session_);
      fuse_unmount(mnt_.c_str(), channel_);
    }
    MountTest::TearDown();
  }

  static LowLevelCallsTest& of(fuse_req_t req) { return *static_cast<LowLevelCallsTest*>(fuse_req_userdata(req)); }
  static fuse_lowlevel_ops handlers();

  std::string path(const std::string& name) const { return mnt_ / name; }
  UniqueFd open(int flags = O_RDWR) const {
    UniqueFd file(::open(path("file").c_str(), flags | O_CLOEXEC));
    EXPECT_TRUE(file) << std::strerror(errno);
    return file;
  }
  std::string read_all() const {
    const UniqueFd file = open(O_RDONLY);
    std::string text(100, '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::pread(file.get(), text.data(), text.size(), 0))));
    return text;
  }
  struct stat status() const {
    struct stat out {};
    EXPECT_EQ(::stat(path("file").c_str(), &out), 0) << std::strerror(errno);
    return out;
  }
  void set_content(const std::string& text) {
    const std::lock_guard lock(mutex_);
    content_ = text;
    ++changes_;
  }
  std::string content() {
    const std::lock_guard lock(mutex_);
    return content_;
  }
  void note(const std::string& line) {
    const std::lock_guard lock(mutex_);
    notes_.push_back(line);
  }
  std::vector<std::string> notes() {
    const std::lock_guard lock(mutex_);
    return notes_;
  }
  struct stat status_of(fuse_ino_t ino) {
    struct stat status {};
    status.st_ino = ino;
    status.st_nlink = 1;
    status.st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0666;
    const std::lock_guard lock(mutex_);
    status.st_size = static_cast<off_t>(content_.size());
    status.st_mtime = changes_;
    return status;
  }

  std::filesystem::path mnt_;
  std::optional<CutOff> cut_off_;
  fuse_chan* channel_ = nullptr;
  fuse_session* session_ = nullptr;
  std::thread thread_;
  int result_ = -2;
  std::atomic<int> lookups_{0}, reads_{0};
  std::atomic<fuse_pollhandle*> waiting_{nullptr};
  std::mutex mutex_;
  std::string content_ = "content";  // guarded by mutex_
  int changes_ = 0;                  // guarded by mutex_; the time of the last change
  std::vector<std::string> notes_;   // guarded by mutex_
};

fuse_lowlevel_ops LowLevelCallsTest::handlers() {
  fuse_lowlevel_ops ops{};
  ops.lookup = [](fuse_req_t req, fuse_ino_t parent, const char* name) {
    if (parent != FUSE_ROOT_ID || std::string_view(name) != "file") {
      fuse_reply_err(req, ENOENT);
      return;
    }
    ++of(req).lookups_;
    fuse_entry_param entry{};
    entry.ino = 2;
    entry.attr = of(req).status_of(2);
    entry.attr_timeout = entry.entry_timeout = 1000;
    fuse_reply_entry(req, &entry);
  };
  ops.getattr = [](fuse_req_t req, fuse_ino_t ino, fuse_file_info*) {
    const struct stat status = of(req).status_of(ino);
    fuse_reply_attr(req, &status, 1000);
  };
  ops.access = [](fuse_req_t req, fuse_ino_t, int) {
    gid_t groups[2] = {};
    const int count = fuse_req_getgroups(req, 2, groups);
    const fuse_ctx* const who = fuse_req_ctx(req);
    of(req).note(
        fmt::format("uid={} gid={} pid={} groups={}:{},{}", who->uid, who->gid, who->pid, count, groups[0], groups[1]));
    fuse_reply_err(req, fuse_req_getgroups(req, 0, nullptr) == count ? 0 : EIO);
  };
  ops.mkdir = [](fuse_req_t req, fuse_ino_t, const char*, mode_t mode) {
    of(req).note(fmt::format("umask={:o} mode={:o}", fuse_req_ctx(req)->umask, mode & 07777));
    fuse_reply_err(req, EPERM);
  };
  ops.open = [](fuse_req_t req, fuse_ino_t, fuse_file_info* fi) {
    fi->keep_cache = 1;
    fuse_reply_open(req, fi);
  };
  ops.read = [](fuse_req_t req, fuse_ino_t, size_t size, off_t off, fuse_file_info*) {
    ++of(req).reads_;
    // From a file, in two pieces, and not from its beginning.
    const std::string text = of(req).content();
    const UniqueFd file(::memfd_create("content", MFD_CLOEXEC));
    if (::pwrite(file.get(), text.data(), text.size(), 0) < 0) std::abort();
    const std::size_t from = std::min(static_cast<std::size_t>(off), text.size());
    const std::size_t length = std::min(size, text.size() - from);
    struct {
      fuse_bufvec vector;
      fuse_buf second;
    } parts{};
    parts.vector.count = 2;
    for (fuse_buf* const part : {&parts.vector.buf[0], &parts.second}) {
      part->flags = static_cast<fuse_buf_flags>(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY);
      part->fd = file.get();
    }
    parts.vector.buf[0].size = length / 2;
    parts.vector.buf[0].pos = static_cast<off_t>(from);
    parts.second.size = length - length / 2;
    parts.second.pos = static_cast<off_t>(from + length / 2);
    fuse_reply_data(req, &parts.vector, static_cast<fuse_buf_copy_flags>(0));
  };
  ops.write_buf = [](fuse_req_t req, fuse_ino_t, fuse_bufvec* source, off_t off, fuse_file_info*) {
    std::string piece(fuse_buf_size(source), '\0');
    fuse_bufvec target = FUSE_BUFVEC_INIT(piece.size());
    target.buf[0].mem = piece.data();
    const ssize_t size = fuse_buf_copy(&target, source, static_cast<fuse_buf_copy_flags>(0));
    std::string text = of(req).content();
    text.resize(std::max(text.size(), static_cast<std::size_t>(off) + piece.size()));
    text.replace(static_cast<std::size_t>(off), piece.size(), piece);
    of(req).set_content(text);
    fuse_reply_write(req, static_cast<std::size_t>(size));
  };
  ops.ioctl = [](fuse_req_t req, fuse_ino_t, int command, void* argument, fuse_file_info*, unsigned flags,
                 const void* in, size_t in_size, size_t out_size) {
    if (static_cast<unsigned>(command) == swap_words && in_size == 8 && out_size == 8 && (flags & 2) == 0) {
      const auto* const words = static_cast<const char*>(in);
      char swapped[8];
      std::memcpy(swapped, words + 4, 4);
      std::memcpy(swapped + 4, words, 4);
      fuse_reply_ioctl(req, 17, swapped, sizeof swapped);
    } else if (static_cast<unsigned>(command) == in_pieces && in_size == 0 && out_size == 8) {
      char pieces[] = "onetwo!";
      const iovec parts[] = {{pieces, 3}, {pieces + 3, 5}};
      fuse_reply_ioctl_iov(req, 0, parts, 2);
    } else if (static_cast<unsigned>(command) == ask_again) {
      const iovec wanted{argument, 100};
      fuse_reply_ioctl_retry(req, &wanted, 1, &wanted, 1);
    } else {
      fuse_reply_err(req, ENOTTY);
    }
  };
  ops.poll = [](fuse_req_t req, fuse_ino_t, fuse_file_info*, fuse_pollhandle* handle) {
    auto& test = of(req);
    if (handle != nullptr) fuse_pollhandle_destroy(test.waiting_.exchange(handle));
    fuse_reply_poll(req, test.content().empty() ? 0 : POLLIN);
  };
  ops.getlk = [](fuse_req_t req, fuse_ino_t, fuse_file_info* fi, struct flock* lock) {
    of(req).note(fmt::format("getlk type={} whence={} start={} len={} owner={}", lock->l_type, lock->l_whence,
                             lock->l_start, lock->l_len, fi->lock_owner != 0));
    struct flock held {};
    held.l_type = F_WRLCK;
    held.l_start = 10;
    held.l_len = 5;
    held.l_pid = ::getpid();
    fuse_reply_lock(req, &held);
  };
  ops.setlk = [](fuse_req_t req, fuse_ino_t, fuse_file_info*, struct flock* lock, int sleep) {
    of(req).note(
        fmt::format("setlk type={} start={} len={} sleep={}", lock->l_type, lock->l_start, lock->l_len, sleep));
    fuse_reply_err(req, lock->l_start == 100 ? EAGAIN : 0);
  };
  ops.flock = [](fuse_req_t req, fuse_ino_t, fuse_file_info*, int operation) {
    of(req).note(fmt::format("flock {}", operation));
    fuse_reply_err(req, operation == (LOCK_SH | LOCK_NB) ? EWOULDBLOCK : 0);
  };
  ops.retrieve_reply = [](fuse_req_t req, void* cookie, fuse_ino_t ino, off_t offset, fuse_bufvec* source) {
    std::string text(fuse_buf_size(source), '\0');
    fuse_bufvec target = FUSE_BUFVEC_INIT(text.size());
    target.buf[0].mem = text.data();
    fuse_buf_copy(&target, source, static_cast<fuse_buf_copy_flags>(0));
    of(req).note(fmt::format("retrieved {} ino={} offset={} {}", cookie == &of(req).content_, ino, offset, text));
    fuse_reply_none(req);
  };
  // Answers that no handler may give.
  ops.readlink = nullptr;
  ops.getxattr = [](fuse_req_t req, fuse_ino_t ino, const char* name, size_t size) {
    const std::string_view kind(name);
    const std::string large(70000, 'x');
    const struct stat status = of(req).status_of(ino);
    if (kind == "user.kind") {
      fuse_reply_attr(req, &status, 0);
    } else if (kind == "user.negative") {
      fuse_reply_err(req, -EIO);
    } else if (kind == "user.large_errno") {
      fuse_reply_err(req, 5000);
    } else if (kind == "user.large") {
      fuse_reply_buf(req, large.data(), large.size());
    } else if (kind == "user.none") {
      fuse_reply_none(req);
    } else if (kind == "user.length") {
      fuse_reply_xattr(req, size);
    } else {
      fuse_reply_err(req, ENODATA);
    }
  };
  ops.readdir = [](fuse_req_t req, fuse_ino_t, size_t, off_t off, fuse_file_info*) {
    const struct stat status = of(req).status_of(2);
    char buffer[400];
    const std::string name = of(req).content();
    const std::size_t used = fuse_add_direntry(req, buffer, sizeof buffer, name.c_str(), &status, 1);
    fuse_reply_buf(req, buffer, off == 0 ? used : 0);
  };
  return ops;
}

TEST_P(LowLevelCallsTest, SessionAndChannelKnowEachOther) {
  status();  // it serves
  EXPECT_EQ(fuse_session_next_chan(session_, nullptr), channel_);
  EXPECT_EQ(fuse_session_next_chan(session_, channel_), nullptr);
  EXPECT_EQ(fuse_chan_session(channel_), session_);
  EXPECT_EQ(fuse_chan_data(channel_), nullptr);
  EXPECT_GE(fuse_chan_bufsize(channel_), 128u * 1024);
  EXPECT_EQ(fuse_session_exited(session_), 0);
  struct stat device {};
  ASSERT_EQ(::fstat(fuse_chan_fd(channel_), &device), 0);
  EXPECT_EQ(device.st_rdev, makedev(10, 229));
}

TEST_P(LowLevelCallsTest, ReadsAndWritesThroughBuffers) {
  EXPECT_EQ(read_all(), "content");
  const UniqueFd file = open();
  EXPECT_EQ(::pwrite(file.get(), "NEW", 3, 4), 3);
  EXPECT_EQ(content(), "contNEW");
  EXPECT_EQ(::pwrite(file.get(), "longer", 6, 7), 6);
  EXPECT_EQ(content(), "contNEWlonger");
}

TEST_P(LowLevelCallsTest, TellsWhoAsks) {
  const std::string failures = in_child([this] {
    const gid_t groups[] = {5, 6, 7};
    ::umask(027);
    const int grouped = ::setgroups(3, groups);
    const int access = ::access(path("file").c_str(), R_OK);
    const int made = failure_of(::mkdir(path("dir").c_str(), 0777));
    return fmt::format("{} {} {} {}", grouped, access, made, ::getpid());
  });
  const std::string pid = failures.substr(failures.rfind(' ') + 1);
  EXPECT_EQ(failures, fmt::format("0 0 {} {}", EPERM, pid));
  EXPECT_EQ(notes(),
            (std::vector<std::string>{fmt::format("uid=0 gid=0 pid={} groups=3:5,6", pid), "umask=27 mode=750"}));
}

TEST_P(LowLevelCallsTest, AnInodeIsForgottenByTheKernel) {
  EXPECT_EQ(read_all(), "content");
  EXPECT_EQ(status().st_mtime, 0);  // it asks: reading has changed the time of the last access
  set_content("CONTENT");
  EXPECT_EQ(status().st_mtime, 0);
  EXPECT_EQ(fuse_lowlevel_notify_inval_inode(channel_, 2, -1, 0), 0);
  EXPECT_EQ(status().st_mtime, 1);
  EXPECT_EQ(read_all(), "content");  // which was left
  EXPECT_EQ(fuse_lowlevel_notify_inval_inode(channel_, 2, 0, 0), 0);
  EXPECT_EQ(read_all(), "CONTENT");
  EXPECT_EQ(fuse_lowlevel_notify_inval_inode(channel_, 99, 0, 0), -ENOENT);
  EXPECT_EQ(fuse_lowlevel_notify_inval_inode(nullptr, 2, 0, 0), -EINVAL);
}

TEST_P(LowLevelCallsTest, ANameIsForgottenByTheKernel) {
  status(), status();
  EXPECT_EQ(lookups_, 1);
  EXPECT_EQ(fuse_lowlevel_notify_inval_entry(channel_, FUSE_ROOT_ID, "file", 4), 0);
  status(), status();
  EXPECT_EQ(lookups_, 2);
  EXPECT_EQ(fuse_lowlevel_notify_delete(channel_, FUSE_ROOT_ID, 2, "file", 4), 0);
  status(), status();
  EXPECT_EQ(lookups_, 3);
  EXPECT_EQ(fuse_lowlevel_notify_inval_entry(channel_, 99, "file", 4), -ENOENT);
  EXPECT_EQ(fuse_lowlevel_notify_delete(channel_, 99, 2, "file", 4), -ENOENT);
  EXPECT_EQ(fuse_lowlevel_notify_inval_entry(channel_, FUSE_ROOT_ID, "other", 5), -ENOENT);
}

TEST_P(LowLevelCallsTest, TheCacheIsFilledAndAskedForItsContent) {
  EXPECT_EQ(status().st_size, 7);
  char text[] = "stored ";
  fuse_bufvec source = FUSE_BUFVEC_INIT(7);
  source.buf[0].mem = text;
  EXPECT_EQ(fuse_lowlevel_notify_store(channel_, 2, 0, &source, static_cast<fuse_buf_copy_flags>(0)), 0);
  EXPECT_EQ(read_all(), "stored ");
  EXPECT_EQ(reads_, 0);
  EXPECT_EQ(fuse_lowlevel_notify_retrieve(channel_, 2, 5, 2, &content_), 0);
  EXPECT_TRUE(eventually([this] { return notes() == std::vector<std::string>{"retrieved true ino=2 offset=2 ored "}; }))
      << ::testing::PrintToString(notes());
  EXPECT_EQ(fuse_lowlevel_notify_store(channel_, 99, 0, &source, static_cast<fuse_buf_copy_flags>(0)), -ENOENT);
}

TEST_P(LowLevelCallsTest, PollersAreWoken) {
  set_content("");
  const UniqueFd file = open();
  auto poller = std::async(std::launch::async, [&file] {
    ::pollfd wait{file.get(), POLLIN, 0};
    return ::poll(&wait, 1, 60000) == 1 ? wait.revents : -1;
  });
  ASSERT_TRUE(eventually([this] { return waiting_ != nullptr; }));
  set_content("something");
  EXPECT_EQ(fuse_lowlevel_notify_poll(waiting_), 0);
  EXPECT_EQ(poller.get(), POLLIN);
  fuse_pollhandle_destroy(waiting_.exchange(nullptr));
  EXPECT_EQ(fuse_lowlevel_notify_poll(nullptr), 0);
}

TEST_P(LowLevelCallsTest, IoctlsTakeAndGiveData) {
  const UniqueFd file = open();
  char words[9] = "onwnext ";
  EXPECT_EQ(::ioctl(file.get(), swap_words, words), 17);
  EXPECT_EQ(std::string(words, 8), "ext onwn");
  EXPECT_EQ(::ioctl(file.get(), in_pieces, words), 0);
  EXPECT_STREQ(words, "onetwo!");
  EXPECT_EQ(failure_of(::ioctl(file.get(), _IO('L', 9))), ENOTTY);
  // The kernel lets only devices choose other memory than the number of the call says.
  int value = 0;
  EXPECT_EQ(failure_of(::ioctl(file.get(), ask_again, &value)), EIO);
  EXPECT_EQ(::ioctl(file.get(), in_pieces, words), 0);
}

TEST_P(LowLevelCallsTest, LocksAreAskedForAndSet) {
  const UniqueFd file = open();
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_start = 12;
  EXPECT_EQ(::fcntl(file.get(), F_GETLK, &lock), 0);
  EXPECT_EQ(lock.l_type, F_WRLCK);
  EXPECT_EQ(lock.l_start, 10);
  EXPECT_EQ(lock.l_len, 5);
  EXPECT_EQ(lock.l_pid, ::getpid());
  const auto set = [&file](short type, off_t start, off_t length, int command) {
    struct flock wanted {};
    wanted.l_type = type;
    wanted.l_start = start;
    wanted.l_len = length;
    return failure_of(::fcntl(file.get(), command, &wanted));
  };
  EXPECT_EQ(set(F_WRLCK, 1, 2, F_SETLK), 0);
  EXPECT_EQ(set(F_RDLCK, 3, 0, F_SETLKW), 0);
  EXPECT_EQ(set(F_RDLCK, 100, 1, F_SETLK), EAGAIN);
  EXPECT_EQ(set(F_UNLCK, 1, 2, F_SETLK), 0);
  EXPECT_EQ(::flock(file.get(), LOCK_EX), 0);
  EXPECT_EQ(failure_of(::flock(file.get(), LOCK_SH | LOCK_NB)), EWOULDBLOCK);
  EXPECT_EQ(::flock(file.get(), LOCK_UN), 0);
  EXPECT_EQ(notes(),
            (std::vector<std::string>{"getlk type=0 whence=0 start=12 len=0 owner=true",
                                      "setlk type=1 start=1 len=2 sleep=0", "setlk type=0 start=3 len=0 sleep=1",
                                      "setlk type=0 start=100 len=1 sleep=0", "setlk type=2 start=1 len=2 sleep=0",
                                      fmt::format("flock {}", LOCK_EX), fmt::format("flock {}", LOCK_SH | LOCK_NB),
                                      fmt::format("flock {}", static_cast<int>(LOCK_UN))}));
}

TEST_P(LowLevelCallsTest, AnswersThatDoNotFitAreErrors) {
  char value[100];
  const std::pair<const char*, int> wrong[] = {{"user.kind", EIO},           {"user.negative", ERANGE},
                                               {"user.large_errno", ERANGE}, {"user.large", ERANGE},
                                               {"user.length", EIO},         {"user.missing", ENODATA}};
  for (const auto& [name, error] : wrong) {
    EXPECT_EQ(failure_of(::getxattr(path("file").c_str(), name, value, sizeof value)), error) << name;
  }
  EXPECT_EQ(::getxattr(path("file").c_str(), "user.none", value, sizeof value), 0);
  EXPECT_EQ(status().st_size, 7);
}

TEST_P(LowLevelCallsTest, NamesThatNoDirectoryCanHoldFailTheListing) {
  for (const std::string& name : {std::string(), std::string("a/b"), std::string(256, 'x')}) {
    set_content(name);
    const UniqueFd directory(::open(mnt_.c_str(), O_RDONLY | O_DIRECTORY));
    char entries[4096];
    EXPECT_EQ(failure_of(::getdents64(directory.get(), entries, sizeof entries)), EIO) << name;
  }
  set_content(std::string(255, 'x'));
  const UniqueFd directory(::open(mnt_.c_str(), O_RDONLY | O_DIRECTORY));
  char entries[4096];
  EXPECT_GT(::getdents64(directory.get(), entries, sizeof entries), 255);
}

INSTANTIATE_TEST_SUITE_P(Loop, LowLevelCallsTest,
                         ::testing::Values(Loop{"Threads", fuse_session_loop_mt}, Loop{"Messages", loop_by_messages},
                                           Loop{"Buffers", loop_by_buffers}),
                         [](const auto& loop) { return std::string(loop.param.name); });

}  // namespace
}  // namespace fuselage::test
