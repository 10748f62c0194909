// Names: links, renames, directories and what is in them.
#include <dirent.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <algorithm>
#include <set>

#include "client_syscalls/memory_mount.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;

std::set<std::string> names_in(const char* path) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path)) names.insert(entry.path().filename());
  return names;
}

int rename2(const char* from, const char* to, unsigned flags) {
  return failure(::renameat2(AT_FDCWD, from, AT_FDCWD, to, flags));
}

class Names : public MemoryClient {};
INSTANTIATE_TEST_SUITE_P(Users, Names, ::testing::Values(0u, nobody),
                         [](const auto& user) { return user.param == 0 ? "root" : "user"; });

TEST_P(Names, of_one_file_are_equal) {
  run([] {
    write_file("one", "text");
    EXPECT_EQ(failure(::link("one", "two")), 0);
    EXPECT_EQ(status_of("one").st_nlink, 2u);
    EXPECT_EQ(status_of("one").st_ino, status_of("two").st_ino);
    write_file("two", "other");
    EXPECT_EQ(read_file("one"), "other");
    EXPECT_EQ(failure(::link("one", "two")), EEXIST);
    EXPECT_EQ(failure(::link("nothing", "three")), ENOENT);
    EXPECT_EQ(failure(::link(".", "three")), EPERM);
    EXPECT_EQ(failure(::unlink("one")), 0);
    EXPECT_EQ(status_of("two").st_nlink, 1u);
    EXPECT_EQ(read_file("two"), "other");
    EXPECT_EQ(failure(::unlink("one")), ENOENT);
  });
}

TEST_P(Names, are_moved) {
  run([] {
    write_file("one", "1");
    write_file("two", "2");
    ASSERT_EQ(::mkdir("a", 0755), 0);
    ASSERT_EQ(::mkdir("b", 0755), 0);
    EXPECT_EQ(failure(::rename("one", "a/moved")), 0);
    EXPECT_EQ(read_file("a/moved"), "1");
    EXPECT_EQ(failure(::access("one", F_OK)), ENOENT);
    // Over another file, which goes.
    const UniqueFd replaced = open_file("a/moved", O_RDONLY);
    EXPECT_EQ(failure(::rename("two", "a/moved")), 0);
    EXPECT_EQ(read_file("a/moved"), "2");
    EXPECT_EQ(read_at(replaced.get(), 0, 5), "1");
    // Directories: over an empty one only, and not into themselves.
    EXPECT_EQ(failure(::rename("b", "a")), ENOTEMPTY);
    EXPECT_EQ(failure(::rename("a", "b")), 0);
    EXPECT_EQ(read_file("b/moved"), "2");
    EXPECT_EQ(failure(::rename("b", "b/c")), EINVAL);
    EXPECT_EQ(failure(::rename("b", "b/moved")), EINVAL);
    EXPECT_EQ(failure(::rename("b/moved", "b")), ENOTEMPTY);
    write_file("file", "");
    EXPECT_EQ(failure(::rename("b", "file")), ENOTDIR);
    EXPECT_EQ(failure(::rename("file", "b")), EISDIR);
    EXPECT_EQ(failure(::rename("nothing", "file")), ENOENT);
    // Two names of one file: nothing happens.
    ASSERT_EQ(::link("file", "same"), 0);
    EXPECT_EQ(failure(::rename("file", "same")), 0);
    EXPECT_EQ(names_in("."), (std::set<std::string>{"b", "file", "same"}));
  });
}

TEST_P(Names, are_moved_with_flags) {
  run([] {
    write_file("one", "1");
    write_file("two", "2");
    ASSERT_EQ(::mkdir("dir", 0755), 0);
    EXPECT_EQ(rename2("one", "two", RENAME_NOREPLACE), EEXIST);
    EXPECT_EQ(rename2("one", "three", RENAME_NOREPLACE), 0);
    EXPECT_EQ(rename2("three", "two", RENAME_EXCHANGE), 0);
    EXPECT_EQ(read_file("two"), "1");
    EXPECT_EQ(read_file("three"), "2");
    EXPECT_EQ(rename2("three", "nothing", RENAME_EXCHANGE), ENOENT);
    // A directory and a file, across directories.
    write_file("dir/inner", "i");
    EXPECT_EQ(rename2("dir/inner", "three", RENAME_EXCHANGE), 0);
    EXPECT_EQ(read_file("dir/inner"), "2");
    EXPECT_EQ(rename2("dir", "three", RENAME_EXCHANGE), 0);
    EXPECT_EQ(read_file("three/inner"), "2");
    EXPECT_EQ(read_file("dir"), "i");
    EXPECT_EQ(status_of(".").st_nlink, 3u);
    EXPECT_EQ(rename2("dir", "two", RENAME_NOREPLACE | RENAME_EXCHANGE), EINVAL);
    EXPECT_EQ(rename2("dir", "two", 1u << 7), EINVAL);
  });
}

TEST_P(Names, leave_a_whiteout_behind) {
  run([] {
    write_file("one", "1");
    EXPECT_EQ(rename2("one", "two", RENAME_WHITEOUT), 0);
    EXPECT_EQ(read_file("two"), "1");
    EXPECT_TRUE(S_ISCHR(status_of("one").st_mode));
    EXPECT_EQ(status_of("one").st_rdev, makedev(0, 0));
  });
}

TEST_P(Names, lead_through_symbolic_links) {
  run([] {
    char buffer[5000];
    for (const std::size_t length : {1u, 10u, 255u, 4000u, 4095u}) {
      const std::string target(length, 't');
      EXPECT_EQ(failure(::symlink(target.c_str(), "link")), 0) << length;
      EXPECT_EQ(::readlink("link", buffer, sizeof buffer), static_cast<ssize_t>(length));
      EXPECT_EQ(std::string(buffer, length), target);
      EXPECT_EQ(status_of("link").st_size, static_cast<off_t>(length));
      EXPECT_EQ(::unlink("link"), 0);
    }
    EXPECT_EQ(failure(::symlink(std::string(4096, 't').c_str(), "link")), ENAMETOOLONG);
    ASSERT_EQ(::symlink("file", "link"), 0);
    EXPECT_EQ(::readlink("link", buffer, 2), 2);
    EXPECT_EQ(failure(::access("link", F_OK)), ENOENT);
    write_file("link", "through");
    EXPECT_EQ(read_file("file"), "through");
    ASSERT_EQ(::symlink("loop", "loop"), 0);
    EXPECT_EQ(read_file("loop"), "errno " + std::to_string(ELOOP));
    EXPECT_EQ(failure(::readlink("file", buffer, 10)), EINVAL);
    EXPECT_EQ(failure(::symlink("x", "link")), EEXIST);
    EXPECT_EQ(failure(::linkat(AT_FDCWD, "link", AT_FDCWD, "linked", 0)), 0);
    EXPECT_TRUE(S_ISLNK(status_of("linked").st_mode));
  });
}

TEST_P(Names, make_directories) {
  run([] {
    EXPECT_EQ(failure(::mkdir("dir", 0777)), 0);
    EXPECT_EQ(status_of("dir").st_mode, S_IFDIR | 0755u);
    EXPECT_EQ(status_of("dir").st_nlink, 2u);
    EXPECT_EQ(failure(::mkdir("dir", 0755)), EEXIST);
    EXPECT_EQ(failure(::mkdir("dir/a", 0700)), 0);
    EXPECT_EQ(status_of("dir").st_nlink, 3u);
    write_file("dir/file", "");
    EXPECT_EQ(names_in("dir"), (std::set<std::string>{"a", "file"}));
    EXPECT_EQ(failure(::rmdir("dir")), ENOTEMPTY);
    EXPECT_EQ(failure(::rmdir("dir/file")), ENOTDIR);
    EXPECT_EQ(failure(::unlink("dir/a")), EISDIR);
    EXPECT_EQ(failure(::rmdir("dir/.")), EINVAL);
    EXPECT_EQ(status_of("dir/a/..").st_ino, status_of("dir").st_ino);
    EXPECT_EQ(::unlink("dir/file"), 0);
    EXPECT_EQ(::rmdir("dir/a"), 0);
    // Removed while somebody is in it.
    const UniqueFd inside = open_file("dir", O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(failure(::rmdir("dir")), 0);
    EXPECT_EQ(failure(::openat(inside.get(), "new", O_CREAT | O_WRONLY, 0644)), ENOENT);
    EXPECT_EQ(failure(::mkdirat(inside.get(), "new", 0755)), ENOENT);
  });
}

TEST_P(Names, make_special_files) {
  const bool is_root = GetParam() == 0;
  run([is_root] {
    EXPECT_EQ(failure(::mkfifo("fifo", 0640)), 0);
    EXPECT_EQ(status_of("fifo").st_mode, S_IFIFO | 0640u);
    EXPECT_EQ(failure(::mknod("regular", S_IFREG | 0600, 0)), 0);
    EXPECT_EQ(status_of("regular").st_mode, S_IFREG | 0600u);
    EXPECT_EQ(failure(::mknod("device", S_IFCHR | 0600, makedev(1, 3))), is_root ? 0 : EPERM);
    if (is_root) {
      EXPECT_EQ(status_of("device").st_rdev, makedev(1, 3));
      EXPECT_EQ(failure(::open("device", O_RDONLY)), EACCES);  // nodev is the default
    }

    const UniqueFd reader(::open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    const UniqueFd writer(::open("fifo", O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(::write(writer.get(), "through", 7), 7);
    char text[16] = {};
    EXPECT_EQ(::read(reader.get(), text, sizeof text), 7);

    ::sockaddr_un address{AF_UNIX, "socket"};
    const auto* named = reinterpret_cast<const ::sockaddr*>(&address);
    const UniqueFd server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(failure(::bind(server.get(), named, sizeof address)), 0);
    EXPECT_EQ(::listen(server.get(), 1), 0);
    EXPECT_TRUE(S_ISSOCK(status_of("socket").st_mode));
    const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(failure(::connect(client.get(), named, sizeof address)), 0);
  });
}

TEST_P(Names, may_hold_any_bytes_but_slash_and_nul) {
  run([] {
    std::string every;
    for (int c = 1; c < 256; ++c) {
      if (c != '/') every += static_cast<char>(c);
    }
    const std::vector<std::string> names = {std::string(255, 'n'), every, "\xff\xfe\x80", "a\nb\t\\", " ", "...", "-rf",
                                            "\xc3\xa4\xe6\x97\xa5"};
    for (const auto& name : names) write_file(name, name);
    EXPECT_EQ(names_in("."), std::set<std::string>(names.begin(), names.end()));
    for (const auto& name : names) {
      EXPECT_EQ(read_file(name), name);
      EXPECT_EQ(::unlink(name.c_str()), 0);
    }
    const std::string long_name(256, 'n');
    EXPECT_EQ(failure(::open(long_name.c_str(), O_CREAT | O_WRONLY, 0644)), ENAMETOOLONG);
    EXPECT_EQ(failure(::mkdir(long_name.c_str(), 0755)), ENAMETOOLONG);
    EXPECT_EQ(failure(::access(long_name.c_str(), F_OK)), ENAMETOOLONG);
  });
}

TEST_P(Names, may_lie_deeper_than_a_path_can_be_long) {
  run([] {
    const std::string name(200, 'd');
    for (int i = 0; i < 60; ++i) {
      ASSERT_EQ(failure(::mkdir(name.c_str(), 0755)), 0);
      ASSERT_EQ(failure(::chdir(name.c_str())), 0);
    }
    write_file("leaf", "deep");
    EXPECT_EQ(read_file("leaf"), "deep");
    EXPECT_EQ(failure(::rename("leaf", "../moved")), 0);
    EXPECT_EQ(read_file("../moved"), "deep");
    EXPECT_EQ(::unlink("../moved"), 0);
    for (int i = 0; i < 60; ++i) {
      ASSERT_EQ(failure(::chdir("..")), 0);
      ASSERT_EQ(failure(::rmdir(name.c_str())), 0);
    }
  });
}

class Listing {
 public:
  explicit Listing(const char* path) : directory_(::opendir(path)) {}
  ~Listing() { ::closedir(directory_); }
  Listing(const Listing&) = delete;
  Listing& operator=(const Listing&) = delete;

  // The next name; "" at the end.
  std::string next() {
    errno = 0;
    const ::dirent* entry = ::readdir(directory_);
    EXPECT_EQ(errno, 0);
    return entry != nullptr ? entry->d_name : "";
  }
  long tell() { return ::telldir(directory_); }
  void seek(long position) { ::seekdir(directory_, position); }
  std::multiset<std::string> rest() {
    std::multiset<std::string> names;
    for (std::string name; !(name = next()).empty();) names.insert(name);
    return names;
  }

 private:
  ::DIR* directory_;
};

TEST_P(Names, are_listed_from_any_position) {
  run([] {
    constexpr int count = 3000;
    for (int i = 0; i < count; ++i) write_file("file" + std::to_string(i), "");
    Listing listing(".");
    std::vector<std::pair<long, std::string>> seen;
    for (;;) {
      const long position = listing.tell();
      const std::string name = listing.next();
      if (name.empty()) break;
      seen.emplace_back(position, name);
    }
    EXPECT_EQ(seen.size(), count + 2u);
    for (const std::size_t i : {std::size_t{2000}, std::size_t{3}, seen.size() - 1, std::size_t{0}}) {
      listing.seek(seen[i].first);
      EXPECT_EQ(listing.next(), seen[i].second) << i;
    }
    listing.seek(seen[0].first);
    EXPECT_EQ(listing.rest().size(), count + 2u);
  });
}

TEST_P(Names, that_stay_are_listed_once_while_others_come_and_go) {
  run([] {
    constexpr int count = 2000;
    std::multiset<std::string> stay;
    for (int i = 0; i < count; ++i) {
      write_file("stay" + std::to_string(i), "");
      write_file("go" + std::to_string(i), "");
      stay.insert("stay" + std::to_string(i));
    }
    Listing listing(".");
    std::multiset<std::string> seen;
    for (int i = 0;; ++i) {
      const std::string name = listing.next();
      if (name.empty()) break;
      if (name.starts_with("stay")) seen.insert(name);
      if (i < count) {
        EXPECT_EQ(::unlink(("go" + std::to_string(i)).c_str()), 0);
        write_file("come" + std::to_string(i), "");
      }
    }
    EXPECT_TRUE(seen == stay) << seen.size();
  });
}

}  // namespace
}  // namespace fuselage::test
