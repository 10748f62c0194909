// The ring is really used, by whom it shall be, and where it shall not be the device is.
#include <dirent.h>
#include <sys/mount.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <numeric>

#include "base/buffer.hpp"
#include "session/allocations.hpp"
#include "support/threads.hpp"
#include "uring/ring_mount.hpp"

namespace fuselage::test {
namespace {

namespace fs = std::filesystem;

std::string first_line_with(const fs::path& file, std::string_view key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key)) return line;
  }
  return {};
}

class Ring : public RingTest {};

TEST_F(Ring, carries_the_requests_of_each_cpu_to_a_thread_there) {
  Stuck files;
  Served served(files, path_, {}, on_ring());
  EXPECT_EQ(served.session().statistics().transport, "io_uring");
  EXPECT_EQ(served.session().statistics().transport_reason, "");
  for (const unsigned cpu : own_cpus()) {
    on_cpu(cpu, [&] {
      // A takeover on a busy machine, or the first use of an entry, may happen elsewhere.
      int here = 0;
      for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(stat_failure(served.path("file")), 0);
        here += files.last_cpu == static_cast<int>(cpu) ? 1 : 0;
      }
      EXPECT_GT(here, 25) << "CPU " << cpu;
    });
  }
  // Where a thread was held up, another has come.
  EXPECT_GE(threads_named("self", "fuse-ring").size(), own_cpus().size());
}

TEST_F(Ring, is_not_used_where_the_options_say_so_and_the_statistics_say_why) {
  const auto expect = [&](SessionOptions options, const std::string& why) {
    Shelf shelf;
    Served served(shelf, path_, {}, std::move(options));
    EXPECT_EQ(read_failure(served.path("file")), 0);
    const Statistics statistics = served.session().statistics();
    EXPECT_EQ(statistics.transport, "device");
    EXPECT_NE(statistics.transport_reason.find(why), std::string::npos) << statistics.transport_reason;
    EXPECT_NE(statistics.to_string().find(why), std::string::npos);
  };
  expect({.transport = Transport::device}, "was asked for");
  expect({.max_threads = 1}, "one thread");
  expect({.max_write = 65536}, "max_write");
  SessionOptions without;
  without.disable.add(Capability::OVER_IO_URING);
  expect(without, "does not want it");
}

TEST_F(Ring, that_is_insisted_on_and_impossible_is_an_error) {
  Shelf shelf;
  Mount mount = must(Mount::create(path_));
  const auto session = Session::create(shelf, mount, on_ring({.max_threads = 1}));
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code(), EOPNOTSUPP);
  EXPECT_NE(session.error().message().find("one thread"), std::string::npos) << session.error().message();
}

TEST_F(Ring, follows_the_environment_where_the_options_leave_it_open) {
  const auto transport_with = [&](const char* value, SessionOptions options) {
    return in_child([&] {
      ::setenv("FUSELAGE_TRANSPORT", value, 1);
      Shelf shelf;
      Served served(shelf, path_, {}, options);
      return served.session().statistics().transport;
    });
  };
  EXPECT_EQ(transport_with("", {}), "io_uring");
  EXPECT_EQ(transport_with("device", {}), "device");
  EXPECT_EQ(transport_with("uring", {}), "io_uring");
  EXPECT_EQ(transport_with("uring", {.max_threads = 1}), "device");
  EXPECT_EQ(transport_with("device", on_ring()), "io_uring");
}

TEST_F(Ring, keeps_its_threads_within_the_affinity_mask_and_serves_the_other_cpus) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer has a thread of its own";
#endif
  const auto cpus = own_cpus();
  if (cpus.size() < 2) GTEST_SKIP() << "there is one CPU only";
  const Process server([&]() -> std::string {
    transport::CpuMask::of({cpus.front()}).apply();
    static Shelf shelf;
    static Served served(shelf, path_, {}, on_ring(), std::chrono::seconds(600));
    return served.session().statistics().transport;
  });
  ASSERT_EQ(server.text(), "io_uring");
  for (const unsigned cpu : cpus) {
    on_cpu(cpu, [&] { EXPECT_EQ(read_failure(path_ / "file"), 0); });
  }
  for (const auto& task : threads_named(std::to_string(server.pid()), "")) {
    EXPECT_EQ(first_line_with(task / "status", "Cpus_allowed_list:"),
              "Cpus_allowed_list:\t" + std::to_string(cpus.front()));
  }
  ::umount2(path_.c_str(), MNT_DETACH);
}

TEST_F(Ring, wakes_nobody_while_nothing_happens) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer has a thread of its own";
#endif
  const Process server([&]() -> std::string {
    static Shelf shelf;
    static Served served(shelf, path_, {}, on_ring(), std::chrono::seconds(600));
    return served.session().statistics().transport;
  });
  ASSERT_EQ(server.text(), "io_uring");
  EXPECT_EQ(read_failure(path_ / "file"), 0);
  const auto switches = [&] {
    long total = 0;
    for (const auto& task : threads_named(std::to_string(server.pid()), "")) {
      total += std::atol(first_line_with(task / "status", "voluntary_ctxt_switches:").substr(25).c_str());
    }
    return total;
  };
  long in_a_second = -1;
  for (int i = 0; i < 10 && in_a_second != 0; ++i) {  // what the last request left behind comes to rest first
    const long before = switches();
    std::this_thread::sleep_for(std::chrono::seconds(1));
    in_a_second = switches() - before;
  }
  EXPECT_EQ(in_a_second, 0);
  ::umount2(path_.c_str(), MNT_DETACH);
}

class Pattern : public Shelf {
 public:
  explicit Pattern(std::size_t size) : Shelf({"file"}), content_(size) {}
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{.direct_io = true}; }
  Reply<Attributes> getattr(const Context&, Ino ino, const OpenFile*) override {
    return ino == root_ino ? Attributes::directory(0777) : Attributes::file(content_.size(), 0666);
  }
  Reply<Attributes> setattr(const Context& context, Ino ino, const SetAttributes&, const OpenFile*) override {
    return getattr(context, ino, nullptr);
  }
  Reply<Data> read(const Context& context, Ino, const OpenFile&, Range range) override {
    largest_read = std::max(largest_read.load(), range.size);
    const auto buffer = context.reply_buffer(range.size);
    const std::size_t size = std::min(range.size, content_.size() - std::min(content_.size(), range.offset));
    std::copy_n(content_.begin() + static_cast<std::ptrdiff_t>(range.offset), size, buffer.begin());
    return Data::borrow(Bytes(buffer.first(size)));
  }
  Reply<std::size_t> write(const Context&, Ino, const OpenFile&, std::uint64_t offset, Bytes bytes,
                           WriteFlags) override {
    largest_write = std::max(largest_write.load(), bytes.size());
    std::copy(bytes.begin(), bytes.end(), content_.begin() + static_cast<std::ptrdiff_t>(offset));
    return bytes.size();
  }
  std::atomic<std::size_t> largest_read{0};
  std::atomic<std::size_t> largest_write{0};

 private:
  std::vector<std::byte> content_;
};

class Sizes : public RingTest, public ::testing::WithParamInterface<std::size_t> {};

TEST_P(Sizes, go_through_whole) {
  const std::size_t size = GetParam();
  unsigned long pages = 256;
  std::ifstream("/proc/sys/fs/fuse/max_pages_limit") >> pages;
  if (size > pages * 4096) GTEST_SKIP() << "fs.fuse.max_pages_limit is " << pages;
  Pattern files(size);
  Served served(files, path_, {}, on_ring({.max_write = static_cast<std::uint32_t>(size)}));
  const base::UniqueFd fd(::open(served.path("file").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(fd);
  // Whole pages: otherwise they would not fit into one request.
  const base::Buffer there(size);
  const base::Buffer back(size);
  auto* const numbers = reinterpret_cast<unsigned*>(there.bytes().data());
  std::iota(numbers, numbers + size / sizeof(unsigned), 1u);
  ASSERT_EQ(::pwrite(fd.get(), there.bytes().data(), size, 0), static_cast<ssize_t>(size));
  ASSERT_EQ(::pread(fd.get(), back.bytes().data(), size, 0), static_cast<ssize_t>(size));
  EXPECT_TRUE(std::equal(there.bytes().begin(), there.bytes().end(), back.bytes().begin()));
  EXPECT_EQ(files.largest_read, size);
  EXPECT_EQ(files.largest_write, size);
}

INSTANTIATE_TEST_SUITE_P(Of, Sizes,
                         ::testing::Values(std::size_t{1} << 17, std::size_t{1} << 20, std::size_t{4} << 20));

TEST_F(Ring, brings_what_was_asked_of_the_cache) {
  Shelf shelf;
  Served served(shelf, path_, {}, on_ring());
  EXPECT_EQ(read_failure(served.path("file")), 0);
  std::promise<std::string> there;
  const auto asked = served.session().notifier().retrieve(Ino{2}, {0, 5}, [&](std::uint64_t offset, Bytes bytes) {
    there.set_value(std::to_string(offset) + ":" + std::string(text_of(bytes)));
  });
  ASSERT_TRUE(asked) << asked.error().message();
  auto arrived = there.get_future();
  ASSERT_EQ(arrived.wait_for(std::chrono::seconds(30)), std::future_status::ready);
  EXPECT_EQ(arrived.get(), "0:Hello");
}

class FastPath : public RingTest, public ::testing::WithParamInterface<Transport> {};

TEST_P(FastPath, allocates_nothing) {
  struct Counting : Shelf {
    // Of each thread that serves, what it has allocated when it is first and when it is last asked.
    static std::size_t growth() {
      thread_local const std::size_t first = allocations_of_this_thread();
      return allocations_of_this_thread() - first;
    }
    std::atomic<std::size_t> allocated{0};
    std::atomic<int> asked{0};
    Reply<Attributes> getattr(const Context&, Ino ino, const OpenFile*) override {
      if (++asked > 20) allocated = std::max(allocated.load(), growth());
      return attributes(ino);
    }
    Reply<Data> read(const Context& context, Ino, const OpenFile&, Range range) override {
      return Data::borrow(context.reply_buffer(range.size));
    }
  } counting;
  Served served(counting, path_, {}, {.transport = GetParam(), .attr_timeout = {}});
  on_cpu(own_cpus().front(), [&] {
    for (int i = 0; i < 500; ++i) ASSERT_EQ(stat_failure(served.path("file")), 0);
  });
  // A takeover on a busy machine allocates; that is not for each request.
  EXPECT_LT(counting.allocated, 100u);
}

INSTANTIATE_TEST_SUITE_P(Over, FastPath, ::testing::Values(Transport::device, Transport::uring));

// The parameter is everybody's: this shows another file in its place, to this program only.
class Fallback : public RingTest {
 protected:
  bool show_parameter(const char* value) {
    const std::filesystem::path file = directory() / "enable_uring";
    std::ofstream(file) << value << '\n';
    shown_ = ::mount(file.c_str(), ring_parameter, nullptr, MS_BIND, nullptr) == 0;
    return shown_;
  }
  void TearDown() override {
    if (shown_) {
      EXPECT_EQ(::umount(ring_parameter), 0);
    }
    RingTest::TearDown();
  }

 private:
  bool shown_ = false;
};

TEST_F(Fallback, is_the_device_where_the_module_has_it_switched_off) {
  ASSERT_TRUE(show_parameter("N"));
  Shelf shelf;
  {
    Served served(shelf, path_);
    EXPECT_EQ(read_failure(served.path("file")), 0);
    EXPECT_EQ(served.session().statistics().transport, "device");
    EXPECT_NE(served.session().statistics().transport_reason.find("switched off"), std::string::npos);
  }
  Mount mount = must(Mount::create(path_));
  const auto session = Session::create(shelf, mount, on_ring());
  ASSERT_FALSE(session);
  EXPECT_NE(session.error().message().find("switched off"), std::string::npos);
}

}  // namespace
}  // namespace fuselage::test
