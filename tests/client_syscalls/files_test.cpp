// The content of regular files: opening, reading, writing, seeking, mapping, allocating, copying.
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include <algorithm>
#include <thread>

#include "client_syscalls/memory_mount.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;

class Files : public MemoryClient {};
INSTANTIATE_TEST_SUITE_P(Users, Files, ::testing::Values(0u, nobody),
                         [](const auto& user) { return user.param == 0 ? "root" : "user"; });

TEST_P(Files, are_created_as_the_flags_say) {
  run([] {
    EXPECT_EQ(failure(::open("file", O_RDWR)), ENOENT);
    const UniqueFd created = open_file("file", O_RDWR | O_CREAT | O_EXCL, 0640);
    EXPECT_EQ(status_of("file").st_mode, S_IFREG | 0640u);
    EXPECT_EQ(status_of("file").st_uid, ::geteuid());
    EXPECT_EQ(failure(::open("file", O_RDWR | O_CREAT | O_EXCL, 0644)), EEXIST);
    EXPECT_EQ(::write(created.get(), "12345", 5), 5);
    EXPECT_EQ(read_at(open_file("file", O_RDWR | O_CREAT).get(), 0, 10), "12345");
    EXPECT_EQ(status_of("file").st_mode, S_IFREG | 0640u);
    open_file("file", O_WRONLY | O_TRUNC);
    EXPECT_EQ(status_of("file").st_size, 0);
    EXPECT_EQ(failure(::open("file", O_RDONLY | O_DIRECTORY)), ENOTDIR);
    EXPECT_EQ(failure(::open(".", O_WRONLY)), EISDIR);
    EXPECT_EQ(failure(::open("file/x", O_RDWR | O_CREAT, 0644)), ENOTDIR);
    EXPECT_EQ(failure(::symlink("file", "link")), 0);
    EXPECT_EQ(failure(::open("link", O_RDONLY | O_NOFOLLOW)), ELOOP);
    EXPECT_EQ(failure(::open("link", O_RDWR | O_CREAT | O_EXCL, 0644)), EEXIST);
  });
}

TEST_P(Files, are_written_at_the_end_with_o_append) {
  run([] {
    const UniqueFd one = open_file("file", O_RDWR | O_CREAT | O_APPEND);
    const UniqueFd two = open_file("file", O_WRONLY | O_APPEND);
    EXPECT_EQ(::write(one.get(), "one ", 4), 4);
    EXPECT_EQ(::write(two.get(), "two ", 4), 4);
    EXPECT_EQ(::lseek(one.get(), 0, SEEK_SET), 0);
    EXPECT_EQ(::write(one.get(), "three", 5), 5);
    EXPECT_EQ(read_file("file"), "one two three");
  });
}

TEST_P(Files, are_read_and_written_past_the_cache_with_o_direct) {
  run([] {
    const UniqueFd direct(::open("file", O_RDWR | O_CREAT | O_DIRECT, 0644));
    ASSERT_TRUE(direct) << std::strerror(errno);
    const std::string block(65536, 'd');
    EXPECT_EQ(::write(direct.get(), block.data(), block.size()), 65536);
    EXPECT_EQ(read_at(direct.get(), 0, 70000), block);
    EXPECT_EQ(read_file("file"), block);
    // What the cache holds does not go stale.
    EXPECT_EQ(::pwrite(direct.get(), "new", 3, 100), 3);
    EXPECT_EQ(read_file("file").substr(98, 7), "ddnewdd");
  });
}

TEST_P(Files, opened_with_o_path_are_names_only) {
  run([] {
    write_file("file", "text");
    const UniqueFd fd = open_file("file", O_PATH);
    char byte = 0;
    EXPECT_EQ(failure(::read(fd.get(), &byte, 1)), EBADF);
    struct stat status {};
    EXPECT_EQ(::fstat(fd.get(), &status), 0);
    EXPECT_EQ(status.st_size, 4);
    EXPECT_EQ(read_file("/proc/self/fd/" + std::to_string(fd.get())), "text");
  });
}

TEST_P(Files, without_a_name_can_get_one_later) {
  run([] {
    UniqueFd fd(::open(".", O_TMPFILE | O_RDWR, 0600));
    ASSERT_TRUE(fd) << std::strerror(errno);
    EXPECT_EQ(::write(fd.get(), "text", 4), 4);
    struct stat status {};
    EXPECT_EQ(::fstat(fd.get(), &status), 0);
    EXPECT_EQ(status.st_nlink, 0u);
    EXPECT_TRUE(std::filesystem::is_empty("."));
    const std::string name = "/proc/self/fd/" + std::to_string(fd.get());
    ASSERT_EQ(failure(::linkat(AT_FDCWD, name.c_str(), AT_FDCWD, "named", AT_SYMLINK_FOLLOW)), 0);
    EXPECT_EQ(status_of("named").st_nlink, 1u);
    fd.reset();
    EXPECT_EQ(read_file("named"), "text");
    const UniqueFd exclusive(::open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
    ASSERT_TRUE(exclusive);
    const std::string other = "/proc/self/fd/" + std::to_string(exclusive.get());
    EXPECT_EQ(failure(::linkat(AT_FDCWD, other.c_str(), AT_FDCWD, "other", AT_SYMLINK_FOLLOW)), ENOENT);
  });
}

TEST_P(Files, are_read_and_written_in_every_way) {
  run([] {
    const UniqueFd fd = open_file("file", O_RDWR | O_CREAT);
    char head[] = "head";
    char tail[] = "tail!";
    const ::iovec out[] = {{head, 4}, {tail, 5}};
    EXPECT_EQ(::writev(fd.get(), out, 2), 9);
    EXPECT_EQ(::pwrite(fd.get(), "XY", 2, 3), 2);
    EXPECT_EQ(::lseek(fd.get(), 0, SEEK_CUR), 9);
    EXPECT_EQ(::lseek(fd.get(), -5, SEEK_END), 4);
    char one[3] = {};
    char two[10] = {};
    const ::iovec in[] = {{one, 2}, {two, 9}};
    EXPECT_EQ(::readv(fd.get(), in, 2), 5);
    EXPECT_STREQ(one, "Ya");
    EXPECT_STREQ(two, "il!");
    EXPECT_EQ(::read(fd.get(), one, 1), 0);
    EXPECT_EQ(::preadv(fd.get(), in, 2, 0), 9);
    EXPECT_EQ(read_at(fd.get(), 7, 100), "l!");
    EXPECT_EQ(read_at(fd.get(), 9, 100), "");
    EXPECT_EQ(failure(::write(open_file("file", O_RDONLY).get(), "x", 1)), EBADF);
    EXPECT_EQ(failure(::read(open_file("file", O_WRONLY).get(), one, 1)), EBADF);
    EXPECT_EQ(failure(::lseek(fd.get(), -1, SEEK_SET)), EINVAL);
  });
}

TEST_P(Files, hold_what_was_written_in_pieces_of_any_size) {
  run([] {
    const UniqueFd fd = open_file("file", O_RDWR | O_CREAT);
    std::string expected;
    unsigned seed = 1;
    for (std::size_t size : {1u, 4095u, 4096u, 4097u, 131072u, 1048576u, 1048577u, 3000000u, 17u}) {
      std::string piece(size, '\0');
      std::generate(piece.begin(), piece.end(),
                    [&] { return static_cast<char>((seed = seed * 1103515245 + 12345) >> 16); });
      ASSERT_EQ(::write(fd.get(), piece.data(), size), static_cast<ssize_t>(size));
      expected += piece;
    }
    std::string got(expected.size() + 1, '\0');
    ASSERT_EQ(::pread(fd.get(), got.data(), got.size(), 0), static_cast<ssize_t>(expected.size()));
    got.pop_back();
    EXPECT_TRUE(got == expected);
    for (std::size_t offset = 0; offset < expected.size(); offset += 99991) {
      EXPECT_EQ(read_at(fd.get(), static_cast<off_t>(offset), 5000), expected.substr(offset, 5000));
    }
  });
}

TEST_P(Files, grow_and_shrink_by_truncation) {
  run([] {
    write_file("file", "0123456789");
    EXPECT_EQ(::truncate("file", 4), 0);
    EXPECT_EQ(read_file("file"), "0123");
    const UniqueFd fd = open_file("file", O_RDWR);
    EXPECT_EQ(::ftruncate(fd.get(), 8), 0);
    EXPECT_EQ(read_file("file"), std::string("0123\0\0\0\0", 8));
    EXPECT_EQ(::ftruncate(fd.get(), 2), 0);
    EXPECT_EQ(::ftruncate(fd.get(), 4), 0);
    EXPECT_EQ(read_file("file"), std::string("01\0\0", 4));
    EXPECT_EQ(failure(::ftruncate(fd.get(), -1)), EINVAL);
    EXPECT_EQ(failure(::truncate(".", 0)), EISDIR);
    EXPECT_EQ(failure(::truncate("nothing", 0)), ENOENT);
  });
}

TEST_P(Files, can_be_larger_than_memory_when_sparse) {
  run([] {
    const UniqueFd fd = open_file("file", O_RDWR | O_CREAT);
    const off_t far = off_t{5} << 30;
    ASSERT_EQ(::pwrite(fd.get(), "end", 3, far), 3);
    EXPECT_EQ(status_of("file").st_size, far + 3);
    EXPECT_LE(status_of("file").st_blocks, 64);
    EXPECT_EQ(read_at(fd.get(), far - 2, 10), std::string("\0\0end", 5));
    EXPECT_EQ(read_at(fd.get(), off_t{1} << 32, 3), std::string(3, '\0'));
    ASSERT_EQ(::ftruncate(fd.get(), off_t{1} << 42), 0);
    EXPECT_EQ(status_of("file").st_size, off_t{1} << 42);
    EXPECT_EQ(read_at(fd.get(), far, 3), "end");
  });
}

TEST_P(Files, tell_their_holes) {
  run([] {
    const UniqueFd fd = open_file("file", O_RDWR | O_CREAT);
    const off_t mib = 1 << 20;
    ASSERT_EQ(::pwrite(fd.get(), "a", 1, 0), 1);
    ASSERT_EQ(::pwrite(fd.get(), "b", 1, 8 * mib), 1);
    ASSERT_EQ(::ftruncate(fd.get(), 16 * mib), 0);
    EXPECT_EQ(::lseek(fd.get(), 0, SEEK_DATA), 0);
    const off_t hole = ::lseek(fd.get(), 0, SEEK_HOLE);
    EXPECT_GE(hole, 1);
    EXPECT_LT(hole, 8 * mib);
    const off_t data = ::lseek(fd.get(), hole, SEEK_DATA);
    EXPECT_GT(data, hole);
    EXPECT_LE(data, 8 * mib);
    EXPECT_EQ(failure(::lseek(fd.get(), 12 * mib, SEEK_DATA)), ENXIO);
    EXPECT_EQ(::lseek(fd.get(), 12 * mib, SEEK_HOLE), 12 * mib);
    EXPECT_EQ(failure(::lseek(fd.get(), 16 * mib, SEEK_HOLE)), ENXIO);
  });
}

TEST_P(Files, are_mapped_shared_and_private) {
  run([] {
    write_file("file", std::string(10000, 'a'));
    const UniqueFd fd = open_file("file", O_RDWR);
    const auto map = [&](int flags) {
      return static_cast<char*>(::mmap(nullptr, 10000, PROT_READ | PROT_WRITE, flags, fd.get(), 0));
    };
    char* shared = map(MAP_SHARED);
    char* own = map(MAP_PRIVATE);
    ASSERT_NE(shared, MAP_FAILED);
    ASSERT_NE(own, MAP_FAILED);
    EXPECT_EQ(std::string(shared, 10000), std::string(10000, 'a'));
    own[5000] = 'p';
    EXPECT_EQ(shared[5000], 'a');
    shared[5000] = 's';
    EXPECT_EQ(own[5000], 'p');
    EXPECT_EQ(::msync(shared, 10000, MS_SYNC), 0);
    EXPECT_EQ(read_file("file")[5000], 's');
    EXPECT_EQ(::pwrite(fd.get(), "w", 1, 6000), 1);
    EXPECT_EQ(shared[6000], 'w');
    // A mapping outlives the descriptor, and the name.
    EXPECT_EQ(::unlink("file"), 0);
    shared[1] = 'x';
    EXPECT_EQ(::munmap(shared, 10000), 0);
    EXPECT_EQ(read_at(fd.get(), 0, 3), "axa");
  });
}

TEST_P(Files, are_run) {
  run([] {
    write_file("script", "#!/bin/sh\nexit 7\n");
    EXPECT_EQ(::chmod("script", 0755), 0);
    EXPECT_EQ(WEXITSTATUS(std::system("./script")), 7);
    EXPECT_TRUE(std::filesystem::copy_file("/bin/true", "program"));
    EXPECT_EQ(std::system("./program"), 0);
    EXPECT_EQ(::chmod("script", 0644), 0);
    EXPECT_EQ(failure(::access("script", X_OK)), EACCES);
  });
}

TEST_P(Files, are_allocated_and_punched) {
  run([] {
    const UniqueFd fd = open_file("file", O_RDWR | O_CREAT);
    const off_t page = 4096;
    ASSERT_EQ(failure(::fallocate(fd.get(), 0, 0, 16 * page)), 0);
    EXPECT_EQ(status_of("file").st_size, 16 * page);
    EXPECT_GE(status_of("file").st_blocks, 16 * 8);
    EXPECT_EQ(failure(::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 16 * page, 16 * page)), 0);
    EXPECT_EQ(status_of("file").st_size, 16 * page);
    const std::string text(16 * page, 'x');
    ASSERT_EQ(::pwrite(fd.get(), text.data(), text.size(), 0), 16 * page);
    EXPECT_EQ(failure(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page, 2 * page)), 0);
    EXPECT_EQ(read_at(fd.get(), page - 1, 3), std::string("x\0\0", 3));
    EXPECT_EQ(read_at(fd.get(), 3 * page - 1, 2), std::string("\0x", 2));
    EXPECT_EQ(::lseek(fd.get(), page, SEEK_DATA), 3 * page);
    EXPECT_EQ(failure(::fallocate(fd.get(), FALLOC_FL_ZERO_RANGE, 15 * page, 3 * page)), 0);
    EXPECT_EQ(status_of("file").st_size, 18 * page);
    EXPECT_EQ(read_at(fd.get(), 15 * page - 1, 2), std::string("x\0", 2));
    EXPECT_EQ(failure(::fallocate(fd.get(), FALLOC_FL_COLLAPSE_RANGE, 0, page)), EOPNOTSUPP);
    EXPECT_EQ(failure(::fallocate(fd.get(), FALLOC_FL_INSERT_RANGE, 0, page)), EOPNOTSUPP);
    EXPECT_EQ(failure(::fallocate(fd.get(), 0, 0, 0)), EINVAL);
  });
}

TEST_P(Files, are_copied_within_the_mount) {
  run([] {
    write_file("one", std::string(100000, '1'));
    write_file("two", "begin");
    const UniqueFd from = open_file("one", O_RDONLY);
    const UniqueFd to = open_file("two", O_RDWR);
    off_t in = 50000;
    off_t out = 5;
    EXPECT_EQ(::copy_file_range(from.get(), &in, to.get(), &out, 1000, 0), 1000);
    EXPECT_EQ(in, 51000);
    EXPECT_EQ(out, 1005);
    EXPECT_EQ(read_file("two"), "begin" + std::string(1000, '1'));
    in = 99000;
    EXPECT_EQ(::copy_file_range(from.get(), &in, to.get(), &out, 5000, 0), 1000);
    EXPECT_EQ(::copy_file_range(from.get(), &in, to.get(), &out, 5000, 0), 0);
    // Within one file, and to another file system.
    in = 0;
    out = 100000;
    EXPECT_EQ(::copy_file_range(from.get(), &in, open_file("one", O_WRONLY).get(), &out, 50000, 0), 50000);
    EXPECT_EQ(status_of("one").st_size, 150000);
    in = 0;
    EXPECT_EQ(::sendfile(to.get(), from.get(), &in, 100), 100);
    EXPECT_EQ(failure(::copy_file_range(to.get(), nullptr, from.get(), nullptr, 10, 0)), EBADF);
  });
}

TEST_P(Files, go_on_without_a_name_while_they_are_open) {
  run([] {
    UniqueFd fd = open_file("file", O_RDWR | O_CREAT);
    EXPECT_EQ(::write(fd.get(), "text", 4), 4);
    EXPECT_EQ(::unlink("file"), 0);
    EXPECT_EQ(failure(::access("file", F_OK)), ENOENT);
    EXPECT_TRUE(std::filesystem::is_empty("."));
    struct stat status {};
    EXPECT_EQ(::fstat(fd.get(), &status), 0);
    EXPECT_EQ(status.st_nlink, 0u);
    EXPECT_EQ(::pwrite(fd.get(), "T", 1, 0), 1);
    EXPECT_EQ(::ftruncate(fd.get(), 6), 0);
    EXPECT_EQ(::fchmod(fd.get(), 0600), 0);
    EXPECT_EQ(read_at(fd.get(), 0, 10), std::string("Text\0\0", 6));
    // A new file of the name is another file.
    write_file("file", "other");
    EXPECT_EQ(read_at(fd.get(), 0, 1), "T");
    EXPECT_NE(status_of("file").st_ino, status.st_ino);
  });
}

TEST_P(Files, are_synced) {
  run([] {
    const UniqueFd fd = open_file("file", O_RDWR | O_CREAT);
    EXPECT_EQ(::write(fd.get(), "text", 4), 4);
    EXPECT_EQ(failure(::fsync(fd.get())), 0);
    EXPECT_EQ(failure(::fdatasync(fd.get())), 0);
    EXPECT_EQ(failure(::syncfs(fd.get())), 0);
    EXPECT_EQ(failure(::fsync(open_file(".", O_RDONLY | O_DIRECTORY).get())), 0);
    EXPECT_EQ(::write(open_file("synced", O_WRONLY | O_CREAT | O_SYNC).get(), "x", 1), 1);
    EXPECT_EQ(failure(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED)), 0);
    EXPECT_EQ(read_file("file"), "text");
  });
}

TEST_P(Files, are_written_by_many_at_once) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer cannot follow threads of a child that was forked beside others";
#endif
  run([] {
    constexpr int writers = 8;
    constexpr int lines = 200;
    std::vector<std::thread> threads;
    for (int i = 0; i < writers; ++i) {
      threads.emplace_back([i] {
        const UniqueFd fd = open_file("file", O_WRONLY | O_CREAT | O_APPEND);
        const std::string line(15, static_cast<char>('a' + i));
        for (int n = 0; n < lines; ++n) EXPECT_EQ(::write(fd.get(), (line + "\n").data(), 16), 16);
      });
    }
    for (auto& thread : threads) thread.join();
    const std::string text = read_file("file");
    ASSERT_EQ(text.size(), std::size_t{16} * writers * lines);
    for (std::size_t at = 0; at < text.size(); at += 16) {
      EXPECT_EQ(text.substr(at, 16), std::string(15, text[at]) + "\n");
    }
  });
}

}  // namespace
}  // namespace fuselage::test
