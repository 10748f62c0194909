// Each system call, through the path level to its handler and back.
#include <dirent.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <set>

#include "path_mount/mounted.hpp"

namespace fuselage::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::StartsWith;

// What `PathFiles` has not.
class MoreCalls : public PathFiles {
 public:
  Reply<StatFs> statfs(const Context&, Path path) override {
    const Call call(*this, "statfs", path);
    StatFs found;
    found.blocks = 12345;
    return found;
  }
  Reply<void> access(const Context&, Path path, int mask) override {
    const Call call(*this, "access", path);
    if (mask == W_OK) return Error{EACCES};
    return {};
  }
  Reply<void> flush(const Context&, Path path, const OpenFile&) override {
    const Call call(*this, "flush", path);
    return {};
  }
  Reply<void> fsync(const Context&, Path path, const OpenFile&, bool data_only) override {
    const Call call(*this, data_only ? "fdatasync" : "fsync", path);
    return {};
  }
  Reply<Opened> opendir(const Context&, Path path, OpenFlags) override {
    const Call call(*this, "opendir", path);
    Opened opened;
    opened.handle = Handle{UINT64_MAX - 5};
    return opened;
  }
  Reply<void> releasedir(const Context&, Path path, const OpenFile& file) override {
    const Call call(*this, file.handle == Handle{UINT64_MAX - 5} ? "releasedir" : "releasedir of a stranger", path);
    return {};
  }
  Reply<void> fsyncdir(const Context&, Path path, const OpenFile& file, bool) override {
    const Call call(*this, file.handle == Handle{UINT64_MAX - 5} ? "fsyncdir" : "fsyncdir of a stranger", path);
    return {};
  }
  Reply<void> setxattr(const Context&, Path path, std::string_view name, Bytes value, XattrFlags) override {
    const Call call(*this, "setxattr", path);
    const FilePtr file = find(path, nullptr);
    const std::lock_guard lock(mutex_);
    file->xattrs[std::string(name)] = text_of(value);
    return {};
  }
  Reply<Data> getxattr(const Context&, Path path, std::string_view name) override {
    const FilePtr file = find(path, nullptr);
    const std::lock_guard lock(mutex_);
    const auto found = file->xattrs.find(name);
    if (found == file->xattrs.end()) return Error{ENODATA};
    return Data::own(found->second);
  }
  Reply<std::vector<std::string>> listxattr(const Context&, Path path) override {
    const FilePtr file = find(path, nullptr);
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, value] : file->xattrs) names.push_back(name);
    return names;
  }
  Reply<void> removexattr(const Context&, Path path, std::string_view name) override {
    const FilePtr file = find(path, nullptr);
    const std::lock_guard lock(mutex_);
    if (file->xattrs.erase(std::string(name)) == 0) return Error{ENODATA};
    return {};
  }
  Reply<Lock> getlk(const Context&, Path path, const OpenFile&, Lock) override {
    const Call call(*this, "getlk", path);
    Lock held;
    held.type = Lock::Type::write;
    held.start = 10;
    held.end = 19;
    held.pid = ::getpid();
    return held;
  }
  Reply<void> setlk(const Context&, Path path, const OpenFile&, Lock lock, bool wait) override {
    const Call call(*this, lock.flock ? "flock" : wait ? "setlkw" : "setlk", path);
    return {};
  }
  Reply<IoctlReply> ioctl(const Context&, Path path, const OpenFile& file, const IoctlCall& called) override {
    const bool known = !called.directory || file.handle == Handle{UINT64_MAX - 5};
    const Call call(*this, called.directory ? (known ? "ioctl of a directory" : "ioctl of a stranger") : "ioctl", path);
    IoctlReply reply;
    reply.result = 42;
    return reply;
  }
  Reply<std::uint32_t> poll(const Context&, Path path, const OpenFile&, std::uint32_t, PollHandle) override {
    const Call call(*this, "poll", path);
    return std::uint32_t{POLLIN};
  }
  Reply<void> fallocate(const Context&, Path path, const OpenFile& file, int, std::uint64_t offset,
                        std::uint64_t length) override {
    const Call call(*this, "fallocate", path);
    const FilePtr found = find(path, &file);
    const std::lock_guard lock(mutex_);
    found->content.resize(static_cast<std::size_t>(offset + length));
    found->attributes.size = offset + length;
    return {};
  }
  Reply<std::uint64_t> lseek(const Context&, Path path, const OpenFile&, std::uint64_t, int whence) override {
    const Call call(*this, "lseek", path);
    return std::uint64_t{whence == SEEK_DATA ? 3u : 4u};
  }
  Reply<std::uint64_t> copy_file_range(const Context&, Path path, const OpenFile&, std::uint64_t, Path target_path,
                                       const OpenFile&, std::uint64_t, std::uint64_t length, std::uint64_t) override {
    const Call call(*this, "copy_file_range", path);
    const Call target(*this, "... to", target_path);
    return length;
  }
};

class PathCalls : public PathMount<MoreCalls> {};

TEST_F(PathCalls, make_nodes) {
  serve();
  if (IsSkipped()) return;
  ASSERT_EQ(::mkdir(path("d").c_str(), 0750), 0);
  EXPECT_EQ(status("d").st_mode, mode_t{S_IFDIR | 0750});
  ASSERT_EQ(::mknod(path("d/fifo").c_str(), S_IFIFO | 0600, 0), 0);
  EXPECT_TRUE(S_ISFIFO(status("d/fifo").st_mode));
  ASSERT_EQ(::mknod(path("d/device").c_str(), S_IFCHR | 0600, makedev(5, 7)), 0);
  EXPECT_EQ(status("d/device").st_rdev, makedev(5, 7));
  ASSERT_EQ(::symlink("../where/ever", path("d/link").c_str()), 0);
  std::array<char, 64> target{};
  ASSERT_EQ(::readlink(path("d/link").c_str(), target.data(), target.size()), 13);
  EXPECT_STREQ(target.data(), "../where/ever");
  { const base::UniqueFd fd = open("d/file", O_RDWR | O_CREAT | O_EXCL, 0640); }
  EXPECT_EQ(status("d/file").st_mode, mode_t{S_IFREG | 0640});
  EXPECT_EQ(failure(::open(path("d/file").c_str(), O_RDWR | O_CREAT | O_EXCL, 0640)), EEXIST);
  for (const char* line : {"mkdir /d", "mknod /d/fifo", "mknod /d/device", "symlink /d/link", "create /d/file"}) {
    EXPECT_THAT(files.log(), Contains(line));
  }
}

TEST_F(PathCalls, remove_and_rename) {
  serve();
  if (IsSkipped()) return;
  ASSERT_EQ(::mkdir(path("d").c_str(), 0755), 0);
  files.put("/d/one", "1");
  files.put("/two", "22");
  EXPECT_EQ(failure(::rmdir(path("d").c_str())), ENOTEMPTY);
  EXPECT_EQ(failure(::renameat2(AT_FDCWD, path("d/one").c_str(), AT_FDCWD, path("two").c_str(), RENAME_NOREPLACE)),
            EEXIST);
  EXPECT_EQ(::renameat2(AT_FDCWD, path("d/one").c_str(), AT_FDCWD, path("two").c_str(), RENAME_EXCHANGE), 0);
  EXPECT_EQ(read("d/one"), "22");
  EXPECT_EQ(::rename(path("d/one").c_str(), path("two").c_str()), 0);
  EXPECT_EQ(read("two"), "22");
  EXPECT_EQ(::rmdir(path("d").c_str()), 0);
  EXPECT_EQ(::unlink(path("two").c_str()), 0);
  EXPECT_EQ(failure(::access(path("two").c_str(), F_OK)), ENOENT);
}

TEST_F(PathCalls, change_attributes) {
  serve();
  if (IsSkipped()) return;
  files.put("/file", "content");
  EXPECT_EQ(::chmod(path("file").c_str(), 0604), 0);
  EXPECT_EQ(::chown(path("file").c_str(), 12, static_cast<gid_t>(-1)), 0);
  EXPECT_EQ(::truncate(path("file").c_str(), 3), 0);
  const std::array<timespec, 2> times{timespec{100, 1}, timespec{200, 2}};
  EXPECT_EQ(::utimensat(AT_FDCWD, path("file").c_str(), times.data(), 0), 0);
  const struct stat now = status("file");
  EXPECT_EQ(now.st_mode & 07777, mode_t{0604});
  EXPECT_EQ(now.st_uid, 12u);
  EXPECT_EQ(now.st_size, 3);
  EXPECT_EQ(now.st_mtim.tv_sec, 200);
  EXPECT_EQ(now.st_mtim.tv_nsec, 2);
  const base::UniqueFd fd = open("file", O_RDWR);
  EXPECT_EQ(::ftruncate(fd.get(), 5), 0);
  struct statx more {};
  ASSERT_EQ(::statx(AT_FDCWD, path("file").c_str(), 0, STATX_BTIME, &more), 0);
  if ((more.stx_mask & STATX_BTIME) != 0) {
    EXPECT_EQ(more.stx_btime.tv_sec, 1234567890);
  }
  EXPECT_EQ(more.stx_size, 5u);
}

TEST_F(PathCalls, read_and_write) {
  serve();
  if (IsSkipped()) return;
  {
    const base::UniqueFd fd = open("file", O_RDWR | O_CREAT);
    EXPECT_EQ(::pwrite(fd.get(), "hello", 5, 2), 5);
    EXPECT_EQ(read_all(fd.get()), std::string("\0\0hello", 7));
    EXPECT_EQ(::fsync(fd.get()), 0);
    EXPECT_EQ(::fdatasync(fd.get()), 0);
    EXPECT_EQ(::posix_fallocate(fd.get(), 0, 50), 0);
    EXPECT_EQ(::lseek(fd.get(), 0, SEEK_DATA), 3);
    EXPECT_EQ(::lseek(fd.get(), 0, SEEK_HOLE), 4);
    const base::UniqueFd copy = open("copy", O_RDWR | O_CREAT);
    loff_t from = 0;
    loff_t to = 0;
    EXPECT_EQ(::copy_file_range(fd.get(), &from, copy.get(), &to, 7, 0), 7);
    EXPECT_EQ(::ioctl(fd.get(), _IO('x', 1)), 42);
    pollfd waiting{fd.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, 10000), 1);
    EXPECT_EQ(waiting.revents, POLLIN);
  }
  EXPECT_TRUE(eventually([&] { return files.open_handles() == 0; })) << "one release for each open";
  for (const char* line :
       {"write /file", "read /file", "fsync /file", "fdatasync /file", "fallocate /file", "lseek /file",
        "copy_file_range /file", "... to /copy", "ioctl /file", "poll /file", "flush /file", "release /file"}) {
    EXPECT_THAT(files.log(), Contains(line));
  }
}

TEST_F(PathCalls, locks) {
  serve();
  if (IsSkipped()) return;
  files.put("/file", "");
  const base::UniqueFd fd = open("file", O_RDWR);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_len = 5;
  EXPECT_EQ(::fcntl(fd.get(), F_SETLK, &lock), 0);
  EXPECT_EQ(::fcntl(fd.get(), F_SETLKW, &lock), 0);
  EXPECT_EQ(::fcntl(fd.get(), F_GETLK, &lock), 0);
  EXPECT_EQ(lock.l_start, 10);
  EXPECT_EQ(lock.l_pid, ::getpid());
  EXPECT_EQ(::flock(fd.get(), LOCK_EX | LOCK_NB), 0);
  for (const char* line : {"setlk /file", "setlkw /file", "getlk /file", "flock /file"}) {
    EXPECT_THAT(files.log(), Contains(line));
  }
}

TEST_F(PathCalls, directories) {
  serve();
  if (IsSkipped()) return;
  for (int i = 0; i < 3000; ++i) files.put("/a file with a long name, number " + std::to_string(i), "");
  DIR* const directory = ::opendir(path().c_str());
  ASSERT_NE(directory, nullptr);
  std::set<std::string> names;
  long middle = 0;
  std::string behind;
  for (const dirent* entry; (entry = ::readdir(directory)) != nullptr;) {
    EXPECT_TRUE(names.insert(entry->d_name).second) << entry->d_name << " twice";
    if (names.size() == 1500) middle = ::telldir(directory);
    if (names.size() == 1501) behind = entry->d_name;
  }
  EXPECT_EQ(names.size(), 3002u);
  EXPECT_EQ(files.count("readdir"), 1u) << "the listing is read once";
  ::seekdir(directory, middle);
  const dirent* const again = ::readdir(directory);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->d_name, behind);
  EXPECT_EQ(::fsync(::dirfd(directory)), 0);
  EXPECT_EQ(::ioctl(::dirfd(directory), _IO('x', 1)), 42);
  EXPECT_EQ(::closedir(directory), 0);
  EXPECT_TRUE(eventually([&] { return files.count("releasedir /") == 1; }));
  for (const char* line : {"opendir /", "fsyncdir /", "ioctl of a directory /"}) {
    EXPECT_THAT(files.log(), Contains(line));
  }
}

TEST_F(PathCalls, about_the_file_system) {
  serve();
  if (IsSkipped()) return;
  files.put("/file", "");
  struct statvfs found {};
  ASSERT_EQ(::statvfs(path("file").c_str(), &found), 0);
  EXPECT_EQ(found.f_blocks, 12345u);
  EXPECT_EQ(::access(path("file").c_str(), R_OK), 0);
  EXPECT_EQ(failure(::access(path("file").c_str(), W_OK)), EACCES);
  const std::string name = path("file");
  EXPECT_EQ(::setxattr(name.c_str(), "user.a", "value", 5, 0), 0);
  std::array<char, 64> value{};
  EXPECT_EQ(::getxattr(name.c_str(), "user.a", value.data(), value.size()), 5);
  EXPECT_EQ(failure(::getxattr(name.c_str(), "user.b", value.data(), value.size())), ENODATA);
  EXPECT_EQ(::listxattr(name.c_str(), value.data(), value.size()), 7);
  EXPECT_EQ(::removexattr(name.c_str(), "user.a"), 0);
  EXPECT_EQ(failure(::removexattr(name.c_str(), "user.a")), ENODATA);
}

}  // namespace
}  // namespace fuselage::test
