// Every operation of `llfuse::Operations`, asked through system calls; and the example.
#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <map>
#include <vector>

#include "llfuse/notes.hpp"
#include "support/program.hpp"

namespace fuselage::test {
namespace {

// Says what it was asked, and answers with something that shows up at the client.
class Recorder : public llfuse::Operations {
 public:
  using Ctx = llfuse::RequestContext;
  using Attr = llfuse::EntryAttributes;
  using Ino = std::uint64_t;
  using Name = std::string_view;

  bool said(const std::string& line) const {
    const std::lock_guard lock(mutex_);
    return std::find(lines_.begin(), lines_.end(), line) != lines_.end();
  }
  std::string all() const {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const auto& line : lines_) text += line + "\n";
    return text;
  }

  Attr lookup(Ino parent, Name name, const Ctx&) override {
    if (name.starts_with("new")) throw llfuse::FUSEError(ENOENT);
    if (name.starts_with("dir")) return attr(3, S_IFDIR | 0755);
    if (name == "link") return attr(4, S_IFLNK | 0777);
    if (name == "absent") return attr(0, S_IFREG);
    say(fmt::format("lookup {} {}", parent, name));
    return attr(2, S_IFREG | 0644);
  }
  void forget(std::span<const llfuse::Forgotten> list) override { say(fmt::format("forget {}", list[0].first)); }
  Attr getattr(Ino inode, const Ctx&) override {
    return inode == 1 ? attr(1, S_IFDIR | 0755) : inode == 3 ? attr(3, S_IFDIR | 0755) : attr(2, S_IFREG | 0644);
  }
  Attr setattr(Ino inode, const Attr& to, const llfuse::SetattrFields& fields, std::optional<std::uint64_t> fh,
               const Ctx&) override {
    std::string what;
    if (fields.update_mode) what += fmt::format(" mode={:o}", to.st_mode & 07777);
    if (fields.update_uid) what += fmt::format(" uid={}", to.st_uid);
    if (fields.update_gid) what += fmt::format(" gid={}", to.st_gid);
    if (fields.update_size) what += fmt::format(" size={}", to.st_size);
    if (fields.update_atime) what += fmt::format(" atime={}", to.st_atime_ns);
    if (fields.update_mtime) what += fmt::format(" mtime={}", to.st_mtime_ns);
    say(fmt::format("setattr {}{}{}", inode, what, fh ? fmt::format(" fh={}", *fh) : ""));
    return getattr(inode, {});
  }
  std::string readlink(Ino, const Ctx&) override { return "where/it/leads"; }
  Attr mknod(Ino parent, Name name, ::mode_t mode, ::dev_t rdev, const Ctx&) override {
    say(fmt::format("mknod {} {} {:o} {}", parent, name, mode, rdev));
    return attr(5, mode);
  }
  Attr mkdir(Ino parent, Name name, ::mode_t mode, const Ctx&) override {
    say(fmt::format("mkdir {} {} {:o}", parent, name, mode));
    return attr(6, mode);
  }
  void unlink(Ino parent, Name name, const Ctx&) override { say(fmt::format("unlink {} {}", parent, name)); }
  void rmdir(Ino parent, Name name, const Ctx&) override { say(fmt::format("rmdir {} {}", parent, name)); }
  Attr symlink(Ino parent, Name name, Name target, const Ctx&) override {
    say(fmt::format("symlink {} {} {}", parent, name, target));
    return attr(7, S_IFLNK | 0777);
  }
  void rename(Ino from, Name name, Ino to, Name new_name, const Ctx&) override {
    say(fmt::format("rename {} {} {} {}", from, name, to, new_name));
  }
  Attr link(Ino inode, Ino parent, Name name, const Ctx&) override {
    say(fmt::format("link {} {} {}", inode, parent, name));
    return attr(inode, S_IFREG | 0644);
  }
  std::uint64_t open(Ino inode, int flags, const Ctx& ctx) override {
    say(fmt::format("open {} {} by {}", inode, flags & O_ACCMODE, ctx.pid));
    return 40;
  }
  std::string read(std::uint64_t fh, std::uint64_t off, std::size_t) override {
    say(fmt::format("read {} {}", fh, off));
    return std::string(5, 'r');
  }
  std::size_t write(std::uint64_t fh, std::uint64_t off, Bytes buf) override {
    say(fmt::format("write {} {} {}", fh, off, text_of(buf)));
    return buf.size();
  }
  void flush(std::uint64_t fh) override { say(fmt::format("flush {}", fh)); }
  void release(std::uint64_t fh) override { say(fmt::format("release {}", fh)); }
  void fsync(std::uint64_t fh, bool datasync) override { say(fmt::format("fsync {} {}", fh, datasync)); }
  std::uint64_t opendir(Ino inode, const Ctx&) override { return inode + 50; }
  void readdir(std::uint64_t fh, std::uint64_t off, const llfuse::Yield& yield) override {
    say(fmt::format("readdir {}", fh));
    for (std::uint64_t i = off; i < 2000; ++i) {
      if (!yield(fmt::format("a_rather_long_name_{}", i), attr(i + 10, S_IFREG), i + 1)) return;
    }
  }
  void releasedir(std::uint64_t fh) override { say(fmt::format("releasedir {}", fh)); }
  void fsyncdir(std::uint64_t fh, bool datasync) override { say(fmt::format("fsyncdir {} {}", fh, datasync)); }
  llfuse::StatvfsData statfs(const Ctx&) override {
    llfuse::StatvfsData data;
    data.f_bsize = data.f_frsize = 512;
    data.f_blocks = 100, data.f_bfree = 70, data.f_bavail = 60, data.f_files = 9, data.f_ffree = 8;
    data.f_namemax = 77;
    return data;
  }
  void setxattr(Ino inode, Name name, Bytes value, const Ctx&) override {
    say(fmt::format("setxattr {} {} {}", inode, name, text_of(value)));
  }
  std::string getxattr(Ino, Name name, const Ctx&) override {
    if (name != "user.there") throw llfuse::FUSEError(ENODATA);
    return "value";
  }
  std::vector<std::string> listxattr(Ino, const Ctx&) override { return {"user.there", "user.too"}; }
  void removexattr(Ino inode, Name name, const Ctx&) override { say(fmt::format("removexattr {} {}", inode, name)); }
  bool access(Ino, int mode, const Ctx&) override { return mode != W_OK; }
  std::pair<std::uint64_t, Attr> create(Ino parent, Name name, ::mode_t mode, int flags, const Ctx&) override {
    say(fmt::format("create {} {} {:o} {}", parent, name, mode, flags & O_ACCMODE));
    return {41, attr(8, mode)};
  }

 private:
  static Attr attr(Ino inode, ::mode_t mode) {
    Attr result;
    result.st_ino = inode;
    result.generation = 1;
    result.st_mode = mode;
    result.st_size = 5;
    result.st_mtime_ns = -1;
    result.attr_timeout = result.entry_timeout = 0;
    return result;
  }
  void say(std::string line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
  }
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

// Whether they are asked as a class of their own or through what stands for one that is not derived.
class LlfuseOperations : public Llfuse, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    Llfuse::SetUp();
    if (IsSkipped()) return;
    llfuse::Operations& operations = GetParam() ? static_cast<llfuse::Operations&>(duck_) : recorder_;
    llfuse::init(operations, mountpoint_, {"fsname=recorder", "dev"});
    initialised_ = true;
    start();
    ::umask(022);
  }
  std::string of(const std::string& name) const { return path(name); }
  void expect(const std::string& line) {
    EXPECT_TRUE(eventually([&] { return recorder_.said(line); })) << line << " was not said but\n" << recorder_.all();
  }
  Recorder recorder_;
  llfuse::detail::Duck<Recorder> duck_{recorder_};
};

INSTANTIATE_TEST_SUITE_P(As, LlfuseOperations, ::testing::Values(false, true),
                         [](const auto& as) { return as.param ? "duck" : "derived"; });

TEST_P(LlfuseOperations, names) {
  EXPECT_EQ(stat_error(of("file")), 0);
  expect("lookup 1 file");
  EXPECT_EQ(stat_error(of("absent")), ENOENT);
  EXPECT_EQ(::mknod(of("new1").c_str(), S_IFCHR | 0666, makedev(3, 4)), 0);
  expect(fmt::format("mknod 1 new1 {:o} {}", S_IFCHR | 0644, makedev(3, 4)));
  EXPECT_EQ(::mkdir(of("new2").c_str(), 0777), 0);
  expect(fmt::format("mkdir 1 new2 {:o}", S_IFDIR | 0755));
  EXPECT_EQ(::symlink("some/target", of("new3").c_str()), 0);
  expect("symlink 1 new3 some/target");
  EXPECT_EQ(::link(of("file").c_str(), of("new4").c_str()), 0);
  expect("link 2 1 new4");
  EXPECT_EQ(::rename(of("file").c_str(), of("dir/new5").c_str()), 0);
  expect("rename 1 file 3 new5");
  EXPECT_EQ(failure(::renameat2(AT_FDCWD, of("file").c_str(), AT_FDCWD, of("new6").c_str(), RENAME_NOREPLACE)), EINVAL);
  EXPECT_EQ(failure(::renameat2(AT_FDCWD, of("file").c_str(), AT_FDCWD, of("dir").c_str(), RENAME_EXCHANGE)), EINVAL);
  EXPECT_EQ(::unlink(of("file").c_str()), 0);
  expect("unlink 1 file");
  EXPECT_EQ(::rmdir(of("dir").c_str()), 0);
  expect("rmdir 1 dir");
  std::array<char, 99> target{};
  EXPECT_EQ(::readlink(of("link").c_str(), target.data(), target.size()), 14);
  EXPECT_STREQ(target.data(), "where/it/leads");
  unmount();
}

TEST_P(LlfuseOperations, attributes) {
  struct ::stat status {};
  ASSERT_EQ(::stat(of("file").c_str(), &status), 0);
  EXPECT_EQ(status.st_ino, 2u);
  EXPECT_EQ(status.st_mode, S_IFREG | 0644u);
  EXPECT_EQ(status.st_size, 5);
  EXPECT_EQ(status.st_mtim.tv_sec, -1);
  EXPECT_EQ(status.st_mtim.tv_nsec, 999'999'999);
  EXPECT_EQ(::chmod(of("file").c_str(), 0600), 0);
  expect("setattr 2 mode=600");
  EXPECT_EQ(::chown(of("file").c_str(), 12, 34), 0);
  expect("setattr 2 uid=12 gid=34");
  EXPECT_EQ(::truncate(of("file").c_str(), 99), 0);
  expect("setattr 2 size=99");
  const int fd = ::open(of("file").c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_EQ(::ftruncate(fd, 98), 0);
  expect("setattr 2 size=98 fh=40");
  ::close(fd);
  const ::timespec times[2] = {{1, 2}, {3, 4}};
  EXPECT_EQ(::utimensat(AT_FDCWD, of("file").c_str(), times, 0), 0);
  expect("setattr 2 atime=1000000002 mtime=3000000004");
  EXPECT_EQ(failure(::access(of("file").c_str(), W_OK)), EACCES);
  EXPECT_EQ(failure(::access(of("file").c_str(), R_OK)), 0);
  struct ::statvfs space {};
  ASSERT_EQ(::statvfs(of("").c_str(), &space), 0);
  EXPECT_EQ(space.f_frsize, 512u);
  EXPECT_EQ(space.f_blocks, 100u);
  EXPECT_EQ(space.f_bfree, 70u);
  EXPECT_EQ(space.f_bavail, 60u);
  EXPECT_EQ(space.f_files, 9u);
  EXPECT_EQ(space.f_namemax, 77u);
}

TEST_P(LlfuseOperations, open_files) {
  const int fd = ::open(of("file").c_str(), O_RDWR | O_CLOEXEC);
  expect(fmt::format("open 2 2 by {}", ::gettid()));
  EXPECT_EQ(content(of("file")), "rrrrr");
  expect("read 40 0");
  EXPECT_EQ(::pwrite(fd, "hello", 5, 7), 5);
  expect("write 40 7 hello");
  EXPECT_EQ(::fsync(fd), 0);
  expect("fsync 40 false");
  EXPECT_EQ(::fdatasync(fd), 0);
  expect("fsync 40 true");
  ::close(fd);
  expect("flush 40");
  expect("release 40");
  const int created = ::open(of("new").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
  expect(fmt::format("create 1 new {:o} 1", S_IFREG | 0644));
  ::close(created);
  expect("release 41");
}

TEST_P(LlfuseOperations, directories) {
  ::DIR* listing = ::opendir(of("").c_str());
  ASSERT_NE(listing, nullptr);
  std::size_t count = 0;
  for (; ::readdir(listing) != nullptr; ++count) {
  }
  EXPECT_EQ(count, 2000u);
  EXPECT_EQ(::fsync(::dirfd(listing)), 0);
  expect("fsyncdir 51 false");
  ::closedir(listing);
  expect("readdir 51");
  expect("releasedir 51");
}

TEST_P(LlfuseOperations, extended_attributes) {
  const std::string file = of("file");
  EXPECT_EQ(::setxattr(file.c_str(), "user.a", "1", 1, 0), 0);
  expect("setxattr 2 user.a 1");
  EXPECT_EQ(::setxattr(file.c_str(), "user.b", "2", 1, XATTR_CREATE), 0);
  EXPECT_EQ(failure(::setxattr(file.c_str(), "user.there", "2", 1, XATTR_CREATE)), EEXIST);
  EXPECT_EQ(::setxattr(file.c_str(), "user.there", "3", 1, XATTR_REPLACE), 0);
  expect("setxattr 2 user.there 3");
  EXPECT_EQ(failure(::setxattr(file.c_str(), "user.c", "2", 1, XATTR_REPLACE)), ENODATA);
  EXPECT_FALSE(recorder_.said("setxattr 2 user.c 2"));
  std::array<char, 99> value{};
  EXPECT_EQ(::getxattr(file.c_str(), "user.there", value.data(), value.size()), 5);
  EXPECT_EQ(::getxattr(file.c_str(), "user.there", nullptr, 0), 5);
  EXPECT_EQ(failure(::getxattr(file.c_str(), "user.there", value.data(), 2)), ERANGE);
  EXPECT_EQ(::listxattr(file.c_str(), value.data(), value.size()), 20);
  EXPECT_EQ(::removexattr(file.c_str(), "user.there"), 0);
  expect("removexattr 2 user.there");
}

TEST_F(Llfuse, what_is_not_overridden_is_ENOSYS_or_done_without) {
  init_and_start();
  EXPECT_EQ(failure(::mkdir(path("new").c_str(), 0755)), ENOSYS);
  EXPECT_EQ(failure(::unlink(path().c_str())), ENOSYS);
  EXPECT_EQ(failure(::setxattr(path().c_str(), "user.a", "1", 1, 0)), EOPNOTSUPP);
  const int fd = ::open(path().c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(::fsync(fd), 0);
  EXPECT_EQ(::close(fd), 0);
}

#ifdef EXAMPLES
TEST_F(Llfuse, the_example_says_hello_until_it_is_unmounted) {
  Program example({EXAMPLES "/llfuse_hello", mountpoint_});
  EXPECT_TRUE(eventually([this] { return is_mounted(mountpoint_); }));
  EXPECT_EQ(content(path("hello")), "Hello, world!\n");
  EXPECT_EQ(content(path("other")), "No such file or directory");
  unmount();
  EXPECT_EQ(example.wait(std::chrono::seconds(30)), 0) << example.output();
  EXPECT_FALSE(is_mounted(mountpoint_));
}
#endif

}  // namespace
}  // namespace fuselage::test
