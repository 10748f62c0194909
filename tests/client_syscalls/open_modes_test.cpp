// How an open file behaves as its `Opened` says, and when it is flushed and released.
#include <sys/mman.h>

#include <atomic>
#include <mutex>

#include "client_syscalls/memory_mount.hpp"
#include "support/log_lines.hpp"
#include "support/shared.hpp"
#include "support/shelf.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;
using namespace std::chrono_literals;

// Opens as it is told, and remembers what was asked.
class Opening : public Shelf {
 public:
  Result<void> init(Negotiation& negotiation) override {
    notifier = negotiation.notifier;
    return {};
  }
  Reply<Opened> open(const Context&, Ino, OpenFlags flags) override {
    opened_with = flags.value;
    Opened answer = opened.get();
    answer.handle = Handle{UINT64_MAX - opens++};
    return answer;
  }
  Reply<Opened> opendir(const Context&, Ino, OpenFlags) override { return opened_directory.get(); }
  Reply<Data> read(const Context&, Ino, const OpenFile& file, Range range) override {
    EXPECT_GT(static_cast<std::uint64_t>(file.handle), UINT64_MAX - opens);
    return Data::borrow(slice(text(), {range.offset, std::min(range.size, longest)}));
  }
  Reply<std::size_t> write(const Context&, Ino, const OpenFile&, std::uint64_t, Bytes bytes, WriteFlags) override {
    return std::min(bytes.size(), longest);
  }
  Reply<Attributes> setattr(const Context&, Ino ino, const SetAttributes& changes, const OpenFile*) override {
    if (changes.size) truncated_to = *changes.size;
    return attributes(ino);
  }
  Reply<void> flush(const Context&, Ino, const OpenFile&) override {
    if (flush_fails) return Error{EDQUOT};
    return {};
  }
  Reply<void> release(const Context&, Ino, const OpenFile& file, bool) override {
    released_with = file.flags.value;
    ++releases;
    return Error{EIO};  // which nobody hears
  }

  Shared<Opened> opened;
  Shared<Opened> opened_directory;
  std::size_t longest = SIZE_MAX;
  bool flush_fails = false;
  Notifier notifier;
  std::atomic<int> opened_with{0};
  std::atomic<int> released_with{0};
  std::atomic<std::uint64_t> opens{0};
  std::atomic<int> releases{0};
  std::atomic<std::uint64_t> truncated_to{UINT64_MAX};
};

class OpenModes : public MountTest {
 protected:
  void serve(SessionOptions options = {}) {
    served_.emplace(file_system_, make_directory(), MountOptions{}, std::move(options));
  }
  void TearDown() override {
    served_.reset();
    MountTest::TearDown();
  }
  std::filesystem::path file() const { return served_->path("file"); }
  std::uint64_t count(std::string_view operation) const { return served_->count(operation); }

  Opening file_system_;
  std::optional<Served> served_;
};

TEST_F(OpenModes, direct_io_passes_every_read_and_count_on) {
  file_system_.opened.change([](Opened& how) { how.direct_io = true; });
  file_system_.longest = 5;
  serve();
  const UniqueFd fd = open_file(file(), O_RDWR);
  EXPECT_EQ(read_at(fd.get(), 0, 100), "Hello");
  EXPECT_EQ(read_at(fd.get(), 0, 100), "Hello");
  EXPECT_EQ(count("READ"), 2u);
  EXPECT_EQ(::write(fd.get(), "1234567890", 10), 5);
}

TEST_F(OpenModes, o_direct_is_direct_io) {
  serve();
  const UniqueFd fd(::open(file().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  EXPECT_EQ(read_at(fd.get(), 0, 100), "Hello, world!\n");
  EXPECT_EQ(read_at(fd.get(), 0, 100), "Hello, world!\n");
  EXPECT_EQ(count("READ"), 2u);
}

TEST_F(OpenModes, a_short_read_is_the_end_of_the_file) {
  file_system_.longest = 5;
  serve();
  EXPECT_EQ(read_file(file()), "Hello");
}

TEST_F(OpenModes, a_short_write_reaches_the_caller) {
  file_system_.longest = 5;
  serve();
  EXPECT_EQ(::write(open_file(file(), O_WRONLY).get(), "1234567890", 10), 5);
}

TEST_F(OpenModes, the_cache_ends_with_the_last_open_without_keep_cache) {
  serve();
  read_file(file());
  const auto before = count("READ");
  read_file(file());
  EXPECT_GT(count("READ"), before);
}

TEST_F(OpenModes, the_cache_stays_with_keep_cache) {
  file_system_.opened.change([](Opened& how) { how.keep_cache = true; });
  serve();
  read_file(file());
  const auto before = count("READ");
  EXPECT_EQ(read_file(file()), "Hello, world!\n");
  EXPECT_EQ(count("READ"), before);
}

TEST_F(OpenModes, listings_are_cached_with_cache_dir) {
  const auto list = [&] { return std::distance(std::filesystem::directory_iterator(served_->path("")), {}); };
  const auto requests = [&] { return count("READDIR") + count("READDIRPLUS"); };
  serve();
  list();
  auto before = requests();
  list();
  EXPECT_GT(requests(), before);
  file_system_.opened_directory.change([](Opened& how) {
    how.cache_dir = true;
    how.keep_cache = true;
  });
  list();
  before = requests();
  EXPECT_EQ(list(), 1);
  EXPECT_EQ(requests(), before);
}

TEST_F(OpenModes, nonseekable_files_are_read_in_order) {
  file_system_.opened.change([](Opened& how) {
    how.nonseekable = true;
    how.direct_io = true;
  });
  serve();
  const UniqueFd fd = open_file(file(), O_RDONLY);
  EXPECT_EQ(failure(::lseek(fd.get(), 0, SEEK_SET)), ESPIPE);
  char text[5];
  EXPECT_EQ(failure(::pread(fd.get(), text, 5, 0)), ESPIPE);
  EXPECT_EQ(::read(fd.get(), text, 5), 5);
}

TEST_F(OpenModes, streams_have_no_position) {
  file_system_.opened.change([](Opened& how) {
    how.stream = true;
    how.direct_io = true;
  });
  serve();
  const UniqueFd fd = open_file(file(), O_RDONLY);
  EXPECT_EQ(failure(::lseek(fd.get(), 0, SEEK_CUR)), ESPIPE);
  char text[5];
  EXPECT_EQ(::read(fd.get(), text, 5), 5);
  EXPECT_EQ(std::string(text, 5), "Hello");
  EXPECT_EQ(::read(fd.get(), text, 5), 5);
  EXPECT_EQ(std::string(text, 5), "Hello");
}

TEST_F(OpenModes, every_close_flushes_and_the_last_one_releases) {
  serve();
  {
    const UniqueFd fd = open_file(file(), O_RDWR);
    const UniqueFd second(::dup(fd.get()));
    const UniqueFd third(::dup(fd.get()));
  }
  EXPECT_EQ(count("FLUSH"), 3u);
  EXPECT_TRUE(eventually([&] { return file_system_.releases == 1; }));
  EXPECT_EQ(file_system_.released_with & O_ACCMODE, O_RDWR);
  EXPECT_EQ(file_system_.opens, 1u);
}

TEST_F(OpenModes, noflush_leaves_the_flush_out) {
  file_system_.opened.change([](Opened& how) { how.noflush = true; });
  file_system_.flush_fails = true;
  serve();
  UniqueFd fd = open_file(file(), O_RDONLY);
  EXPECT_EQ(failure(::close(fd.release())), 0);
  EXPECT_EQ(count("FLUSH"), 0u);
}

TEST_F(OpenModes, the_error_of_flush_is_that_of_close) {
  file_system_.flush_fails = true;
  serve();
  UniqueFd fd = open_file(file(), O_RDONLY);
  EXPECT_EQ(failure(::close(fd.release())), EDQUOT);
}

TEST_F(OpenModes, a_mapping_holds_the_file_open) {
  serve();
  as_user(0, "/", [&] {
    UniqueFd fd = open_file(file(), O_RDONLY);
    const char* text = static_cast<const char*>(::mmap(nullptr, 14, PROT_READ, MAP_PRIVATE, fd.get(), 0));
    ASSERT_NE(text, MAP_FAILED);
    fd.reset();
    EXPECT_EQ(std::string(text, 14), "Hello, world!\n");
    EXPECT_EQ(::munmap(const_cast<char*>(text), 14), 0);
  });
  EXPECT_TRUE(eventually([&] { return file_system_.releases == 1; }));
  EXPECT_EQ(count("FLUSH"), 1u);
}

TEST_F(OpenModes, truncation_follows_the_open) {
  serve();
  open_file(file(), O_WRONLY | O_TRUNC);
  EXPECT_EQ(file_system_.opened_with & O_TRUNC, 0);
  EXPECT_EQ(file_system_.truncated_to, 0u);
}

TEST_F(OpenModes, truncation_is_part_of_the_open_with_atomic_o_trunc) {
  serve({.enable = Capability::ATOMIC_O_TRUNC});
  open_file(file(), O_WRONLY | O_TRUNC | O_APPEND);
  EXPECT_NE(file_system_.opened_with & O_TRUNC, 0);
  EXPECT_NE(file_system_.opened_with & O_APPEND, 0);
  EXPECT_EQ(file_system_.truncated_to, UINT64_MAX);
}

TEST_F(OpenModes, passthrough_reads_and_writes_without_the_file_system) {
  // The backing file must not be on a file system that is itself stacked.
  const auto place = make_directory("backing");
  ASSERT_EQ(::mount("none", place.c_str(), "tmpfs", 0, nullptr), 0);
  write_file(place / "file", "backed text");
  {
    UniqueFd backing = open_file(place / "file", O_RDWR);
    serve({.enable = Capability::PASSTHROUGH});
    const auto id = file_system_.notifier.open_backing(backing.get());
    if (!id) {
      served_.reset();
      ::umount(place.c_str());
      GTEST_SKIP() << "no kernel passthrough: " << id.error().message();
    }
    backing.reset();
    file_system_.opened.change([&](Opened& how) { how.backing_id = *id; });
    {
      const UniqueFd fd = open_file(file(), O_RDWR);
      EXPECT_EQ(read_at(fd.get(), 0, 100), "backed text");
      EXPECT_EQ(::pwrite(fd.get(), "BACKED", 6, 0), 6);
      EXPECT_EQ(count("READ"), 0u);
      EXPECT_EQ(count("WRITE"), 0u);
      EXPECT_TRUE(file_system_.notifier.close_backing(*id));
      EXPECT_EQ(read_at(fd.get(), 0, 6), "BACKED");
    }
    EXPECT_FALSE(file_system_.notifier.close_backing(*id));
    served_.reset();
  }
  EXPECT_EQ(read_file(place / "file"), "BACKED text");
  EXPECT_EQ(failure(::umount(place.c_str())), 0);
}

// The memory file system with the page cache writing back.
class Writeback : public MemoryMount {
 protected:
  void SetUp() override {
    MemoryMount::SetUp();
    if (!IsSkipped()) serve({}, {.enable = Capability::WRITEBACK_CACHE});
  }
};

TEST_F(Writeback, gathers_small_writes) {
  std::string expected;
  {
    const UniqueFd fd = open_file(path("file"), O_RDWR | O_CREAT);
    for (int i = 0; i < 2000; ++i) {
      const std::string piece = std::to_string(i) + "\n";
      ASSERT_EQ(::write(fd.get(), piece.data(), piece.size()), static_cast<ssize_t>(piece.size()));
      expected += piece;
    }
    EXPECT_LT(served().count("WRITE"), 100u);
    EXPECT_EQ(failure(::fsync(fd.get())), 0);
    EXPECT_GE(served().count("WRITE"), 1u);
  }
  std::ofstream("/proc/sys/vm/drop_caches") << 3;
  EXPECT_EQ(read_file(path("file")), expected);
}

TEST_F(Writeback, keeps_sizes_times_and_appends_right) {
  as_user(nobody, path(), [] {
    const UniqueFd fd = open_file("file", O_WRONLY | O_CREAT | O_APPEND);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(::write(fd.get(), "0123456789", 10), 10);
    EXPECT_EQ(status_of("file").st_size, 1000);
    const ::timespec past[] = {{1000, 1}, {1000, 1}};
    EXPECT_EQ(failure(::utimensat(AT_FDCWD, "file", past, 0)), 0);
    EXPECT_EQ(failure(::fsync(fd.get())), 0);
    EXPECT_EQ(status_of("file").st_mtim.tv_sec, 1000);
    EXPECT_EQ(failure(::truncate("file", 15)), 0);
    EXPECT_EQ(::write(fd.get(), "x", 1), 1);
    EXPECT_EQ(read_file("file"), "012345678901234x");
    // Write-only descriptors read what they change a part of.
    const UniqueFd patch = open_file("file", O_WRONLY);
    EXPECT_EQ(::pwrite(patch.get(), "y", 1, 5), 1);
    EXPECT_EQ(read_file("file"), "01234y678901234x");
  });
}

TEST_F(Writeback, finds_data_and_holes_in_what_is_not_written_yet) {
  const UniqueFd fd = open_file(path("file"), O_RDWR | O_CREAT);
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, 100'000), 1);
  EXPECT_EQ(::lseek(fd.get(), 50'000, SEEK_DATA), 50'000);
  EXPECT_EQ(::lseek(fd.get(), 50'000, SEEK_HOLE), 100'001);
}

TEST_F(Writeback, loses_nothing_at_unmount) {
  const auto where = path("file");
  std::thread([&] { write_file(where, std::string(1 << 20, 'w')); }).join();
  EXPECT_TRUE(served().mount().unmount());
  EXPECT_TRUE(served().ends_within(10s));
  std::uint64_t written = 0;
  for (const auto& row : served().session().statistics().operations) {
    if (row.name == "WRITE") written = row.bytes_in;
  }
  EXPECT_EQ(written, 1u << 20);
}

}  // namespace
}  // namespace fuselage::test
