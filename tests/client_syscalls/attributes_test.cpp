// What stat(2) tells and how it is changed; extended attributes; who may do what.
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>
#include <set>

#include "client_syscalls/memory_mount.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;

bool operator==(const ::timespec& a, const ::timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

class FileAttributes : public MemoryClient {};
INSTANTIATE_TEST_SUITE_P(Users, FileAttributes, ::testing::Values(0u, nobody),
                         [](const auto& user) { return user.param == 0 ? "root" : "user"; });

TEST_P(FileAttributes, modes_change) {
  run([] {
    write_file("file", "");
    for (const mode_t mode : {0000u, 0777u, 04755u, 02755u, 01644u, 0640u}) {
      EXPECT_EQ(failure(::chmod("file", mode)), 0);
      EXPECT_EQ(status_of("file").st_mode, S_IFREG | mode);
    }
    const UniqueFd fd = open_file("file", O_RDONLY);
    EXPECT_EQ(failure(::fchmod(fd.get(), 0600)), 0);
    EXPECT_EQ(status_of("file").st_mode, S_IFREG | 0600u);
    EXPECT_EQ(failure(::chmod("nothing", 0600)), ENOENT);
    ::umask(0);
    open_file("open", O_CREAT | O_WRONLY, 06777);
    EXPECT_EQ(status_of("open").st_mode, S_IFREG | 06777u);
  });
}

TEST_P(FileAttributes, owners_change_as_far_as_allowed) {
  const bool is_root = GetParam() == 0;
  run([is_root] {
    write_file("file", "");
    ASSERT_EQ(::chmod("file", 06755), 0);
    if (is_root) {
      EXPECT_EQ(failure(::chown("file", 1000, 2000)), 0);
      EXPECT_EQ(status_of("file").st_uid, 1000u);
      EXPECT_EQ(status_of("file").st_gid, 2000u);
      EXPECT_EQ(failure(::chown("file", 1001, static_cast<gid_t>(-1))), 0);
      EXPECT_EQ(status_of("file").st_uid, 1001u);
      EXPECT_EQ(status_of("file").st_gid, 2000u);
      ASSERT_EQ(::symlink("file", "link"), 0);
      EXPECT_EQ(failure(::lchown("link", 5, 6)), 0);
      EXPECT_EQ(status_of("link").st_uid, 5u);
      EXPECT_EQ(status_of("file").st_uid, 1001u);
    } else {
      EXPECT_EQ(failure(::chown("file", 0, 0)), EPERM);
      EXPECT_EQ(failure(::chown("file", nobody, nobody)), 0);
    }
    EXPECT_EQ(status_of("file").st_mode, S_IFREG | 0755u) << "setuid and setgid go with a change of owner";
  });
}

TEST_P(FileAttributes, setuid_is_cleared_by_the_writes_of_others) {
  const bool is_root = GetParam() == 0;
  run([is_root] {
    write_file("file", "text");
    ASSERT_EQ(::chmod("file", 06777), 0);
    EXPECT_EQ(::write(open_file("file", O_WRONLY).get(), "x", 1), 1);
    // Root keeps them (CAP_FSETID).
    EXPECT_EQ(status_of("file").st_mode & 06000u, is_root ? 06000u : 0u);
    ASSERT_EQ(::chmod("file", 04777), 0);
    EXPECT_EQ(::truncate("file", 1), 0);
    EXPECT_EQ(status_of("file").st_mode & 04000u, is_root ? 04000u : 0u);
  });
}

TEST_P(FileAttributes, setgid_directories_pass_their_group_on) {
  run([] {
    ASSERT_EQ(::mkdir("dir", 0755), 0);
    ASSERT_EQ(::chmod("dir", 02775), 0);
    ASSERT_EQ(::mkdir("dir/sub", 0755), 0);
    EXPECT_EQ(status_of("dir/sub").st_mode, S_IFDIR | 02755u);
    write_file("dir/file", "");
    EXPECT_EQ(status_of("dir/file").st_gid, status_of("dir").st_gid);
    EXPECT_EQ(status_of("dir/file").st_mode, S_IFREG | 0644u);
  });
}

TEST_P(FileAttributes, times_have_nanoseconds) {
  run([] {
    write_file("file", "");
    const ::timespec both[] = {{1234567890, 123456789}, {2345678901, 987654321}};
    EXPECT_EQ(failure(::utimensat(AT_FDCWD, "file", both, 0)), 0);
    EXPECT_TRUE(status_of("file").st_atim == both[0]);
    EXPECT_TRUE(status_of("file").st_mtim == both[1]);
    const ::timespec past[] = {{-1000, 5}, {0, UTIME_OMIT}};
    EXPECT_EQ(failure(::utimensat(AT_FDCWD, "file", past, 0)), 0);
    EXPECT_TRUE(status_of("file").st_atim == past[0]);
    EXPECT_TRUE(status_of("file").st_mtim == both[1]);
    const ::timespec now[] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
    EXPECT_EQ(failure(::futimens(open_file("file", O_RDONLY).get(), now)), 0);
    EXPECT_TRUE(status_of("file").st_atim == past[0]);
    EXPECT_NEAR(static_cast<double>(status_of("file").st_mtim.tv_sec), static_cast<double>(::time(nullptr)), 5);
    EXPECT_EQ(failure(::utimensat(AT_FDCWD, "file", nullptr, 0)), 0);
    EXPECT_TRUE(status_of("file").st_atim == status_of("file").st_mtim);
    ASSERT_EQ(::symlink("file", "link"), 0);
    EXPECT_EQ(failure(::utimensat(AT_FDCWD, "link", both, AT_SYMLINK_NOFOLLOW)), 0);
    EXPECT_TRUE(status_of("link").st_mtim == both[1]);
    EXPECT_FALSE(status_of("file").st_mtim == both[1]);
  });
}

TEST_P(FileAttributes, times_follow_what_happens) {
  run([] {
    const auto later = [](const ::timespec& a, const ::timespec& b) {
      return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
    };
    const auto pause = [] { std::this_thread::sleep_for(std::chrono::milliseconds(10)); };
    write_file("file", "text");
    ASSERT_EQ(::mkdir("dir", 0755), 0);
    const auto born = status_of("file");
    const auto dir = status_of("dir");
    pause();
    write_file("file", "more");
    const auto written = status_of("file");
    EXPECT_TRUE(later(written.st_mtim, born.st_mtim));
    EXPECT_TRUE(later(written.st_ctim, born.st_ctim));
    pause();
    ASSERT_EQ(::chmod("file", 0600), 0);
    const auto changed = status_of("file");
    EXPECT_TRUE(changed.st_mtim == written.st_mtim);
    EXPECT_TRUE(later(changed.st_ctim, written.st_ctim));
    pause();
    ASSERT_EQ(::rename("file", "dir/file"), 0);
    EXPECT_TRUE(later(status_of("dir").st_mtim, dir.st_mtim));
    EXPECT_TRUE(later(status_of("dir/file").st_ctim, changed.st_ctim));
    EXPECT_TRUE(status_of("dir/file").st_mtim == written.st_mtim);
    const auto before = status_of("dir");
    pause();
    ASSERT_EQ(::unlink("dir/file"), 0);
    EXPECT_TRUE(later(status_of("dir").st_mtim, before.st_mtim));
  });
}

TEST_P(FileAttributes, statx_tells_the_birth) {
  run([] {
    const auto now = ::time(nullptr);
    write_file("file", "text");
    const ::timespec past[] = {{1000, 0}, {1000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, "file", past, 0), 0);
    struct ::statx extended {};
    ASSERT_EQ(failure(::statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS | STATX_BTIME, &extended)), 0);
    EXPECT_TRUE(extended.stx_mask & STATX_BTIME);
    EXPECT_NEAR(static_cast<double>(extended.stx_btime.tv_sec), static_cast<double>(now), 5);
    EXPECT_EQ(extended.stx_mtime.tv_sec, 1000);
    EXPECT_EQ(extended.stx_size, 4u);
    EXPECT_EQ(extended.stx_nlink, 1u);
    EXPECT_EQ(extended.stx_ino, status_of("file").st_ino);
    ASSERT_EQ(::statx(AT_FDCWD, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BTIME, &extended), 0);
    EXPECT_TRUE(S_ISDIR(extended.stx_mode));
  });
}

TEST_P(FileAttributes, extended_attributes_come_and_go) {
  run([] {
    write_file("file", "");
    const auto set = [](const char* name, std::string_view value, int flags) {
      return failure(::setxattr("file", name, value.data(), value.size(), flags));
    };
    char buffer[64];
    EXPECT_EQ(set("user.a", "one", XATTR_REPLACE), ENODATA);
    EXPECT_EQ(set("user.a", "one", XATTR_CREATE), 0);
    EXPECT_EQ(set("user.a", "two", XATTR_CREATE), EEXIST);
    EXPECT_EQ(set("user.a", "three", XATTR_REPLACE), 0);
    EXPECT_EQ(set("user.empty", "", 0), 0);
    EXPECT_EQ(::getxattr("file", "user.a", nullptr, 0), 5);
    EXPECT_EQ(failure(::getxattr("file", "user.a", buffer, 4)), ERANGE);
    EXPECT_EQ(::getxattr("file", "user.a", buffer, 5), 5);
    EXPECT_EQ(std::string(buffer, 5), "three");
    EXPECT_EQ(::getxattr("file", "user.empty", buffer, sizeof buffer), 0);
    EXPECT_EQ(failure(::getxattr("file", "user.none", buffer, sizeof buffer)), ENODATA);

    EXPECT_EQ(::listxattr("file", nullptr, 0), 18);
    EXPECT_EQ(failure(::listxattr("file", buffer, 17)), ERANGE);
    const ssize_t size = ::listxattr("file", buffer, sizeof buffer);
    std::set<std::string> names;
    for (ssize_t at = 0; at < size;) {
      const std::string name = buffer + at;
      names.insert(name);
      at += static_cast<ssize_t>(name.size()) + 1;
    }
    EXPECT_EQ(names, (std::set<std::string>{"user.a", "user.empty"}));

    EXPECT_EQ(failure(::removexattr("file", "user.a")), 0);
    EXPECT_EQ(failure(::removexattr("file", "user.a")), ENODATA);
    const std::string large(65536, 'v');
    EXPECT_EQ(set("user.large", large, 0), 0);
    std::string got(65536, '\0');
    EXPECT_EQ(::getxattr("file", "user.large", got.data(), got.size()), 65536);
    EXPECT_TRUE(got == large);
    EXPECT_EQ(set("user.larger", large + "x", 0), E2BIG);
    EXPECT_EQ(set(("user." + std::string(250, 'n')).c_str(), "x", 0), 0);
    EXPECT_EQ(set(("user." + std::string(251, 'n')).c_str(), "x", 0), ERANGE);
    EXPECT_EQ(set("nonsense", "x", 0), EOPNOTSUPP);
    const UniqueFd directory = open_file(".", O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(failure(::fsetxattr(directory.get(), "user.d", "x", 1, 0)), 0);
  });
}

TEST_P(FileAttributes, file_systems_tell_their_size) {
  run([] {
    struct ::statvfs before {};
    ASSERT_EQ(failure(::statvfs(".", &before)), 0);
    EXPECT_GT(before.f_blocks, 0u);
    EXPECT_EQ(before.f_namemax, 255u);
    write_file("file", std::string(10 << 20, 'x'));
    struct ::statvfs after {};
    ASSERT_EQ(::statvfs(".", &after), 0);
    EXPECT_EQ(before.f_bfree - after.f_bfree, (10u << 20) / before.f_frsize);
    EXPECT_EQ(before.f_ffree - after.f_ffree, 1u);
    EXPECT_EQ(before.f_blocks, after.f_blocks);
  });
}

TEST_P(FileAttributes, access_is_as_the_modes_say) {
  const bool is_root = GetParam() == 0;
  run([is_root] {
    write_file("file", "text");
    ASSERT_EQ(::chmod("file", 0400), 0);
    EXPECT_EQ(failure(::access("file", R_OK)), 0);
    EXPECT_EQ(failure(::access("file", W_OK)), is_root ? 0 : EACCES);
    EXPECT_EQ(failure(::access("file", X_OK)), EACCES);
    EXPECT_EQ(failure(::open("file", O_RDWR)) == 0, is_root);
    ASSERT_EQ(::mkdir("dir", 0755), 0);
    write_file("dir/file", "");
    ASSERT_EQ(::chmod("dir", 0600), 0);
    EXPECT_EQ(failure(::access("dir/file", F_OK)), is_root ? 0 : EACCES);
    ASSERT_EQ(::chmod("dir", 0500), 0);
    EXPECT_EQ(failure(::unlink("dir/file")), is_root ? 0 : EACCES);
    EXPECT_EQ(failure(::mkdir("dir/new", 0755)), is_root ? 0 : EACCES);
    ASSERT_EQ(::chmod("dir", 0755), 0);
  });
}

class Permissions : public MemoryMount {
 protected:
  void SetUp() override {
    MemoryMount::SetUp();
    if (!IsSkipped()) serve();
  }
};

TEST_F(Permissions, keep_users_out_of_what_belongs_to_others) {
  write_file(path("secret"), "text");
  ASSERT_EQ(::chmod(path("secret").c_str(), 0600), 0);
  write_file(path("public"), "text");
  as_user(nobody, path(), [] {
    EXPECT_EQ(read_file("secret"), "errno 13");
    EXPECT_EQ(read_file("public"), "text");
    EXPECT_EQ(failure(::open("public", O_WRONLY)), EACCES);
    EXPECT_EQ(failure(::chmod("public", 0777)), EPERM);
    EXPECT_EQ(failure(::utimensat(AT_FDCWD, "public", nullptr, 0)), EACCES);
    EXPECT_EQ(failure(::setxattr("public", "user.a", "x", 1, 0)), EACCES);
    // The root directory is sticky.
    EXPECT_EQ(failure(::unlink("public")), EPERM);
    EXPECT_EQ(failure(::rename("public", "mine")), EPERM);
    write_file("own", "x");
    EXPECT_EQ(failure(::unlink("own")), 0);
  });
}

TEST_F(Permissions, of_the_group_count_with_its_members) {
  write_file(path("shared"), "text");
  ASSERT_EQ(::chmod(path("shared").c_str(), 0660), 0);
  ASSERT_EQ(::chown(path("shared").c_str(), 0, nobody), 0);
  as_user(nobody, path(), [] {
    EXPECT_EQ(read_file("shared"), "text");
    EXPECT_EQ(::write(open_file("shared", O_WRONLY).get(), "TEXT", 4), 4);
  });
  EXPECT_EQ(read_file(path("shared")), "TEXT");
}

// The state of a thread of this program, as in proc(5); ' ' when there is none.
char state_of_thread(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
  const std::string line(std::istreambuf_iterator<char>(file), {});
  const std::size_t end = line.rfind(')');
  return end + 2 < line.size() ? line[end + 2] : ' ';
}

class EarlyAttributes : public MountTest, public ::testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(Names, EarlyAttributes, ::testing::Values("user.a", "user.longer_than_the_structure"),
                         [](const auto& name) { return name.param.size() < 8 ? "short" : "long"; });

// The kernel writes the request down when it is made, in a form that depends on what INIT has agreed on so far.
TEST_P(EarlyAttributes, set_before_the_session_has_begun_keep_their_names) {
  memory::Memory memory;
  Mount mount = must(Mount::create(make_directory(), {}));
  const Watchdog watchdog(mount.mountpoint(), std::chrono::seconds(60));
  std::atomic<pid_t> setter{0};
  std::future<int> set = std::async(std::launch::async, [&] {
    setter = ::gettid();
    return failure(::setxattr(mount.mountpoint().c_str(), GetParam().c_str(), "value", 5, 0));
  });
  // Waits for INIT in fuse_get_req, where only a kill would reach it.
  EXPECT_TRUE(eventually([&] { return setter != 0 && state_of_thread(setter) == 'D'; }));
  Session session = must(Session::create(memory, mount));
  std::future<Ended> ended = std::async(std::launch::async, [&] { return session.run(); });
  EXPECT_EQ(set.get(), 0);
  std::string value(16, '\0');
  const ssize_t size = ::getxattr(mount.mountpoint().c_str(), GetParam().c_str(), value.data(), value.size());
  EXPECT_EQ(value.substr(0, size < 0 ? 0 : static_cast<std::size_t>(size)), "value") << std::strerror(errno);
  EXPECT_TRUE(mount.unmount());
  EXPECT_EQ(ended.get().reason, Ended::Reason::unmounted);
}

}  // namespace
}  // namespace fuselage::test
