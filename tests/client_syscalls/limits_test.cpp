// Much of everything, and what happens when there is no more.
#include <dirent.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <numeric>

#include "client_syscalls/memory_mount.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;

class Limits : public MemoryMount {};

TEST_F(Limits, a_full_file_system_says_so_and_recovers) {
  serve({.size = 1 << 20});
  as_user(nobody, path(), [] {
    const UniqueFd fd = open_file("file", O_RDWR | O_CREAT);
    const std::string block(65536, 'x');
    off_t written = 0;
    ssize_t size = 0;
    while ((size = ::pwrite(fd.get(), block.data(), block.size(), written)) > 0) written += size;
    EXPECT_EQ(failure(size), ENOSPC);
    EXPECT_GT(written, (1 << 20) - 200000);
    EXPECT_LE(written, 1 << 20);
    EXPECT_EQ(status_of("file").st_size, written);
    struct ::statvfs status {};
    ASSERT_EQ(::statvfs(".", &status), 0);
    EXPECT_LT(status.f_bfree * status.f_frsize, 100000u);
    EXPECT_EQ(failure(::fallocate(fd.get(), 0, written, 1 << 20)), ENOSPC);
    // What is there can be overwritten, and what goes makes room.
    EXPECT_EQ(::pwrite(fd.get(), "new", 3, 0), 3);
    EXPECT_EQ(::ftruncate(fd.get(), 4096), 0);
    EXPECT_EQ(::pwrite(fd.get(), block.data(), block.size(), 4096), 65536);
    EXPECT_EQ(read_at(fd.get(), 0, 4), "newx");
  });
}

TEST_F(Limits, a_file_system_without_inodes_makes_no_more_files) {
  serve({.inodes = 10});
  as_user(0, path(), [] {
    for (int i = 0; i < 9; ++i) write_file("file" + std::to_string(i), "");
    EXPECT_EQ(failure(::open("more", O_CREAT | O_WRONLY, 0644)), ENOSPC);
    EXPECT_EQ(failure(::mkdir("more", 0755)), ENOSPC);
    EXPECT_EQ(failure(::symlink("x", "more")), ENOSPC);
    EXPECT_EQ(failure(::link("file0", "more")), 0);
    EXPECT_EQ(failure(::unlink("file1")), 0);
    EXPECT_TRUE(eventually([] { return ::mkdir("again", 0755) == 0; }));
  });
}

TEST_F(Limits, ten_thousand_files_are_open_at_once) {
  constexpr int count = 10000;
  const ::rlimit wanted{count + 100, count + 100};
  serve();
  as_user(0, path(), [&] {
    ASSERT_EQ(failure(::setrlimit(RLIMIT_NOFILE, &wanted)), 0);
    std::vector<UniqueFd> files;
    for (int i = 0; i < count; ++i) {
      files.push_back(open_file(std::to_string(i), O_RDWR | O_CREAT));
      ASSERT_TRUE(files.back());
      ASSERT_EQ(::write(files.back().get(), &i, sizeof i), static_cast<ssize_t>(sizeof i));
    }
    for (int i = 0; i < count; ++i) {
      int value = -1;
      ASSERT_EQ(::pread(files[static_cast<std::size_t>(i)].get(), &value, sizeof value, 0), 4);
      ASSERT_EQ(value, i);
    }
    for (int i = 0; i < count; ++i) ASSERT_EQ(::unlink(std::to_string(i).c_str()), 0);
    EXPECT_EQ(read_at(files[5000].get(), 0, 100).size(), 4u);
  });
}

TEST_F(Limits, a_hundred_thousand_names_are_listed) {
  constexpr int count = 100000;
  serve({.inodes = 0}, {}, usual());
  as_user(0, path(), [&] {
    for (int i = 0; i < count; ++i) ASSERT_EQ(failure(::mknod(std::to_string(i).c_str(), S_IFREG | 0644, 0)), 0);
    std::vector<bool> seen(count);
    ::DIR* directory = ::opendir(".");
    int listed = 0;
    while (const ::dirent* entry = ::readdir(directory)) {
      if (entry->d_name[0] == '.') continue;
      EXPECT_EQ(entry->d_type, DT_REG);
      const int i = std::atoi(entry->d_name);
      ASSERT_FALSE(seen[static_cast<std::size_t>(i)]) << i;
      seen[static_cast<std::size_t>(i)] = true;
      // Every hundredth name goes, and a new one comes, while the listing is under way.
      if (++listed % 100 == 0) {
        ASSERT_EQ(::unlink(entry->d_name), 0);
        ASSERT_EQ(::mknod(("." + std::to_string(listed)).c_str(), S_IFREG | 0644, 0), 0);
      }
    }
    ::closedir(directory);
    EXPECT_EQ(listed, count);
  });
}

TEST_F(Limits, statistics_count_what_was_done) {
  serve();
  const auto file = path("file");
  EXPECT_EQ(served().count("CREATE"), 0u);
  write_file(file, "12345");
  EXPECT_EQ(served().count("CREATE"), 1u);
  EXPECT_EQ(served().count("WRITE"), 1u);
  ASSERT_EQ(::mkdir(path("dir").c_str(), 0755), 0);
  EXPECT_EQ(served().count("MKDIR"), 1u);
  EXPECT_EQ(failure(::rmdir(path("nothing").c_str())), ENOENT);
  EXPECT_EQ(served().count("RMDIR"), 0u);
  EXPECT_EQ(::rename(file.c_str(), path("dir/file").c_str()), 0);
  EXPECT_EQ(served().count("RENAME") + served().count("RENAME2"), 1u);
  EXPECT_EQ(failure(::rmdir(path("dir").c_str())), ENOTEMPTY);
  for (const auto& row : served().session().statistics().operations) {
    if (row.name == "WRITE") {
      EXPECT_EQ(row.bytes_in, 5u);
      EXPECT_EQ(row.errors, 0u);
      EXPECT_EQ(std::accumulate(row.latency.counts.begin(), row.latency.counts.end(), std::uint64_t{0}), 1u);
    }
    if (row.name == "RMDIR") {
      EXPECT_EQ(row.errors, 1u);
    }
  }
  EXPECT_GE(served().session().statistics().threads, 1u);
  EXPECT_NE(served().session().statistics().to_string().find("MKDIR"), std::string::npos);
}

}  // namespace
}  // namespace fuselage::test
