// Every sentence of the document on llfuse's functions, as one test or more.
#include <signal.h>
#include <sys/sysmacros.h>

#include <fstream>

#include "llfuse/notes.hpp"
#include "support/program.hpp"
#include "support/threads.hpp"

namespace fuselage::test {
namespace {

using namespace std::chrono_literals;

std::size_t threads_of_this_process() { return threads_named("self", "").size(); }

constexpr int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE};

std::vector<void (*)(int)> dispositions() {
  std::vector<void (*)(int)> handlers;
  for (const int number : numbers) {
    struct ::sigaction action {};
    ::sigaction(number, nullptr, &action);
    handlers.push_back(action.sa_handler);
  }
  return handlers;
}

// Cuts the connection of the mount at `path`, as an administrator would.
void abort_connection(const std::filesystem::path& path, dev_t device) {
  const auto control = path / "control";
  std::filesystem::create_directory(control);
  ASSERT_EQ(::mount("none", control.c_str(), "fusectl", 0, nullptr), 0);
  std::ofstream(control / std::to_string(minor(device)) / "abort") << "1";
  EXPECT_EQ(::umount2(control.c_str(), MNT_DETACH), 0);
}

// init

TEST_F(Llfuse, L1_init_mounts) {
  init({"fsname=of_the_test"});
  std::ifstream table("/proc/self/mountinfo");
  std::string found;
  for (std::string line; std::getline(table, line);) {
    if (line.find(mountpoint_.string()) != line.npos) found = line;
  }
  EXPECT_NE(found.find(" - fuse of_the_test "), found.npos) << found;
}

// Only what a program needs, under the right names; no base class.
struct Duck {
  using Attr = llfuse::EntryAttributes;
  Attr getattr(std::uint64_t inode, const llfuse::RequestContext&) const { return make(inode); }
  Attr lookup(std::uint64_t, std::string_view name, const llfuse::RequestContext&) const {
    if (name != "note") throw llfuse::FUSEError(ENOENT);
    return make(note);
  }
  std::string read(std::uint64_t, std::uint64_t, std::size_t) const { return "from a duck"; }
  static Attr make(std::uint64_t inode) {
    Attr attr;
    attr.st_ino = inode;
    attr.st_mode = inode == note ? S_IFREG | 0444 : S_IFDIR | 0755;
    attr.st_size = inode == note ? 11 : 0;
    return attr;
  }
};

TEST_F(Llfuse, L2_ops_may_be_any_class_with_these_methods) {
  Duck duck;
  llfuse::init(duck, mountpoint_);
  initialised_ = true;
  start();
  EXPECT_EQ(content(path()), "from a duck");
  EXPECT_EQ(stat_error(path("other")), ENOENT);
}

TEST_F(Llfuse, L3_options_are_a_set_to_start_from) {
  auto options = llfuse::default_options;
  options.insert("ro");
  init_and_start(options);
  EXPECT_EQ(failure(::mkdir(path("new").c_str(), 0755)), EROFS);
  EXPECT_EQ(ops_.accesses, 0);
  llfuse::stop();
  ended();
  close();
  options.erase("default_permissions");
  init_and_start(options);
  EXPECT_EQ(failure(::access(path().c_str(), R_OK)), 0);
  EXPECT_GE(ops_.accesses, 1);
}

TEST_F(Llfuse, L4_an_unknown_option_is_an_error) {
  try {
    llfuse::init(ops_, mountpoint_, {"bogus"});
    FAIL() << "no error";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("unknown option 'bogus'"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(is_mounted(mountpoint_));
}

TEST_F(Llfuse, L4_what_libfuse_takes_is_taken) {
  init_and_start({"debug",
                  "allow_other",
                  "nonempty",
                  "large_read",
                  "max_read=65536",
                  "max_write=65536",
                  "max_readahead=0",
                  "max_background=5",
                  "congestion_threshold=3",
                  "async_read",
                  "sync_read",
                  "atomic_o_trunc",
                  "no_remote_lock",
                  "no_remote_flock",
                  "no_remote_posix_lock",
                  "big_writes",
                  "splice_write",
                  "no_splice_write",
                  "splice_move",
                  "no_splice_move",
                  "splice_read",
                  "no_splice_read",
                  "default_permissions",
                  "fsname=a\\,b",
                  "subtype=test",
                  "noatime",
                  "nodev",
                  "nosuid"});
  EXPECT_EQ(content(path()), "first text");
}

// main

TEST_F(Llfuse, L5_main_serves_several_requests_at_once) {
  std::atomic<int> inside{0};
  std::atomic<bool> met{false};
  ops_.timeout = 0;
  ops_.in_getattr = [&] {
    ++inside;
    if (eventually([&] { return inside > 1 || met; })) met = true;
    --inside;
  };
  init();
  start();
  auto other = std::async(std::launch::async, [this] { return stat_error(path("")); });
  EXPECT_EQ(stat_error(path()), 0);
  EXPECT_EQ(other.get(), 0);
  EXPECT_TRUE(met);
}

TEST_F(Llfuse, L6_the_default_is_more_than_one_thread) {
  EXPECT_GT(llfuse::default_workers, 1u);
  std::atomic<std::size_t> during{0};
  const std::size_t before = threads_of_this_process();
  ops_.timeout = 0;
  ops_.in_getattr = [&] { during = threads_of_this_process(); };
  init_and_start();
  stat_error(path(""));
  EXPECT_GE(during.load(), before + 2);
}

TEST_F(Llfuse, L7_with_one_worker_everything_happens_on_the_calling_thread) {
  init();
  main_ = std::async(std::launch::async, [this] {
    const auto signal = llfuse::main(1);
    EXPECT_EQ(ops_.threads(), std::set{std::this_thread::get_id()});
    return signal;
  });
  EXPECT_EQ(content(path()), "first text");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(mountpoint_), {}), 1);
  unmount();
  EXPECT_EQ(ended(), std::nullopt);
  EXPECT_GE(ops_.reads, 1);
}

TEST_F(Llfuse, L7_a_later_main_may_have_another_number_of_workers) {
  ops_.timeout = 0;
  init({"transport=device"});
  for (const int workers : {1, 2, 1}) {
    std::atomic<int> inside{0};
    ops_.in_getattr = [&] {
      ++inside;
      EXPECT_TRUE(eventually([&] { return inside >= workers; }));
    };
    main_ = std::async(std::launch::async, [&] {
      const auto signal = llfuse::main(static_cast<unsigned>(workers));
      const auto threads = ops_.threads();
      if (workers == 1) {
        EXPECT_EQ(threads, std::set{std::this_thread::get_id()});
      }
      return signal;
    });
    auto other = std::async(std::launch::async, [this] { return stat_error(path("")); });
    EXPECT_EQ(stat_error(path()), 0);
    EXPECT_EQ(other.get(), 0);
    llfuse::stop();
    EXPECT_EQ(ended(), std::nullopt);
  }
}

TEST_F(Llfuse, L7_but_not_one_after_more_have_served_rings) {
  init_and_start();
  llfuse::stop();
  ended();
  if (threads_named("self", "fuse-ring").empty()) GTEST_SKIP() << "it is not served over io_uring";
  EXPECT_THROW(llfuse::main(1), std::invalid_argument);
  start(2);
  EXPECT_EQ(content(path()), "first text");
}

TEST_F(Llfuse, L8_all_threads_have_ended_when_main_returns) {
  init();
  std::thread([] {}).join();  // with the first, a sanitizer starts one of its own
  const std::size_t before = threads_of_this_process();
  start();
  content(path());
  const auto inside = [this] { return main_.wait_for(0s) != std::future_status::ready; };
  EXPECT_TRUE(inside());
  unmount();
  ended();
  EXPECT_TRUE(eventually([&] { return threads_of_this_process() == before; }));
}

TEST_F(Llfuse, L8_also_those_of_rings_when_it_was_stopped_and_closed) {
  init();
  std::thread([] {}).join();
  const std::size_t before = threads_of_this_process();
  start();
  content(path());
  llfuse::stop();
  ended();
  close();
  EXPECT_TRUE(eventually([&] { return threads_of_this_process() == before; }));
}

TEST_F(Llfuse, L9_signals_are_handled_during_main_and_as_before_afterwards) {
  init();
  for (const int number : numbers) ::signal(number, [](int) {});
  const auto before = dispositions();
  start();
  content(path());
  const auto during = dispositions();
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_NE(during[i], before[i]) << numbers[i];
  unmount();
  ended();
  EXPECT_EQ(dispositions(), before);
  for (const int number : numbers) ::signal(number, SIG_DFL);
}

TEST_F(Llfuse, L10_L12_SIGPIPE_and_SIGUSR1_do_not_end_it) {
  for (const int number : {SIGPIPE, SIGUSR1}) ::signal(number, SIG_DFL);  // who has started us may have ignored them
  init_and_start();
  ::kill(::getpid(), SIGPIPE);
  ::kill(::getpid(), SIGUSR1);
  EXPECT_EQ(content(path()), "first text");
  EXPECT_NE(main_.wait_for(50ms), std::future_status::ready);
}

TEST_F(Llfuse, L11_L13_L16_main_returns_the_number_of_the_signal_that_ended_it) {
  ops_.timeout = 0;
  init();
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    start();
    stat_error(path(""));
    ::kill(::getpid(), number);
    EXPECT_EQ(ended(), number);
    EXPECT_TRUE(is_mounted(mountpoint_));
  }
}

TEST_F(Llfuse, L14_without_signals_it_is_stop_that_ends_main) {
  const auto before = dispositions();
  init();
  start(llfuse::default_workers, false);
  content(path());
  EXPECT_EQ(dispositions(), before);
  llfuse::stop();
  EXPECT_EQ(ended(), std::nullopt);
}

TEST_F(Llfuse, L14_stop_before_main_is_not_lost) {
  init();
  llfuse::stop();
  EXPECT_EQ(llfuse::main(), std::nullopt);
}

TEST_F(Llfuse, L15_main_returns_nothing_when_unmounted) {
  init_and_start();
  unmount();
  EXPECT_EQ(ended(), std::nullopt);
}

TEST_F(Llfuse, L15_also_when_that_was_before_main) {
  init();
  unmount();
  EXPECT_EQ(llfuse::main(), std::nullopt);
}

TEST_F(Llfuse, main_throws_what_a_handler_throws_and_the_client_gets_EIO) {
  std::atomic<bool> shall_throw{false};
  ops_.timeout = 0;
  ops_.in_getattr = [&] {
    if (shall_throw) throw std::domain_error("of the handler");
  };
  init();
  start();
  ASSERT_EQ(stat_error(path()), 0);
  shall_throw = true;
  EXPECT_EQ(stat_error(path("")), EIO);
  EXPECT_THROW(ended(), std::domain_error);
}

TEST_F(Llfuse, main_before_init_and_without_workers_are_errors) {
  EXPECT_THROW(llfuse::main(), std::runtime_error);
  EXPECT_THROW(llfuse::close(), std::runtime_error);
  EXPECT_THROW(llfuse::invalidate_inode(1), std::runtime_error);
  init();
  EXPECT_THROW(llfuse::init(ops_, mountpoint_), std::runtime_error);
  EXPECT_THROW(llfuse::main(0), std::invalid_argument);
}

// close

TEST_F(Llfuse, L17_close_unmounts) {
  init_and_start();
  ::kill(::getpid(), SIGTERM);
  EXPECT_EQ(ended(), SIGTERM);
  EXPECT_TRUE(is_mounted(mountpoint_));
  EXPECT_EQ(ops_.destroys, 0);
  close();
  EXPECT_FALSE(is_mounted(mountpoint_));
  EXPECT_EQ(ops_.inits, 1);
  EXPECT_EQ(ops_.destroys, 1);
}

// Another process that asks gets its answer, an error, when the file system is closed, and not before.
void waits_until(const std::filesystem::path& path, const std::function<void()>& close) {
  Program client({"/usr/bin/stat", path});
  const auto waiting = [&] {
    std::string place;
    std::getline(std::ifstream("/proc/" + std::to_string(client.pid()) + "/wchan"), place);
    return place.find("request_wait") != place.npos;
  };
  EXPECT_TRUE(eventually(waiting));
  std::this_thread::sleep_for(200ms);
  EXPECT_TRUE(waiting());
  close();
  EXPECT_NE(client.wait(30s), 0);
}

TEST_F(Llfuse, L18_after_a_signal_an_access_waits_until_close) {
  ops_.timeout = 0;
  init_and_start();
  ::kill(::getpid(), SIGTERM);
  ended();
  waits_until(path(), [this] { close(); });
}

TEST_F(Llfuse, L18_after_an_exception_too) {
  std::atomic<bool> shall_throw{false};
  ops_.timeout = 0;
  ops_.in_getattr = [&] {
    if (shall_throw) throw std::domain_error("of the handler");
  };
  init_and_start();
  shall_throw = true;
  EXPECT_EQ(stat_error(path("")), EIO);
  EXPECT_THROW(ended(), std::domain_error);
  EXPECT_TRUE(is_mounted(mountpoint_));
  waits_until(path(), [this] { close(); });
}

TEST_F(Llfuse, L19_after_the_process_an_access_is_an_error) {
  in_child([this] {
    init();
    return std::string();
  });
  EXPECT_TRUE(eventually([this] { return stat_error(path()) == ENOTCONN; }));
  unmount();
}

TEST_F(Llfuse, L20_close_without_unmounting_leaves_it_in_the_table) {
  init_and_start();
  llfuse::stop();
  ended();
  close(false);
  EXPECT_EQ(ops_.destroys, 1);
  EXPECT_TRUE(is_mounted(mountpoint_));
  EXPECT_TRUE(eventually([&] { return stat_error(path()) == ENOTCONN; }));  // io_uring lets go of it in the background
  unmount();
}

TEST_F(Llfuse, L21_close_does_not_unmount_what_was_cut_off) {
  init_and_start();
  struct ::stat status {};
  ASSERT_EQ(::stat(mountpoint_.c_str(), &status), 0);
  abort_connection(directory(), status.st_dev);
  EXPECT_EQ(ended(), std::nullopt);
  close(true);
  EXPECT_TRUE(is_mounted(mountpoint_));
  unmount();
}

// Notifications

TEST_F(Llfuse, L22_invalidate_inode_forgets_attributes_and_data) {
  for (const char* text : {"other text", "one that is longer"}) {
    ops_.set_text("first text");
    init_and_start();
    EXPECT_EQ(content(path()), "first text");
    EXPECT_EQ(std::filesystem::file_size(path()), 10u);  // asked again, because reading changes the atime
    ops_.set_text(text);
    EXPECT_EQ(std::filesystem::file_size(path()), 10u) << "the kernel has it";
    EXPECT_EQ(content(path()), "first text");
    llfuse::invalidate_inode(note);
    EXPECT_TRUE(eventually([&] { return std::filesystem::file_size(path()) == std::string_view(text).size(); }));
    EXPECT_TRUE(eventually([&] { return content(path()) == text; }));
    llfuse::stop();
    ended();
    close();
  }
}

TEST_F(Llfuse, L23_attr_only_keeps_the_data) {
  init_and_start();
  EXPECT_EQ(content(path()), "first text");
  stat_error(path());  // asked again, because reading changes the atime
  ops_.set_text("other text");
  const int reads = ops_.reads;
  const int getattrs = ops_.getattrs;
  stat_error(path());
  EXPECT_EQ(ops_.getattrs, getattrs);
  llfuse::invalidate_inode(note, true);
  EXPECT_TRUE(eventually([&] { return stat_error(path()) == 0 && ops_.getattrs > getattrs; }));
  EXPECT_EQ(content(path()), "first text");
  EXPECT_EQ(ops_.reads, reads);
}

TEST_F(Llfuse, L24_invalidations_may_be_sent_by_the_handler_that_is_asked) {
  ops_.in_getattr = ops_.in_read = [] {
    llfuse::invalidate_inode(note);
    llfuse::invalidate_inode(note, true);
    llfuse::invalidate_entry(llfuse::ROOT_INODE, "note");
  };
  init_and_start();
  EXPECT_EQ(content(path()), "first text");
}

TEST_F(Llfuse, L25_invalidate_entry_forgets_a_name) {
  init_and_start();
  EXPECT_EQ(stat_error(path()), 0);
  ops_.absent = true;
  EXPECT_EQ(stat_error(path()), 0) << "the kernel has it";
  llfuse::invalidate_entry(llfuse::ROOT_INODE, "note");
  EXPECT_TRUE(eventually([&] { return stat_error(path()) == ENOENT; }));
}

TEST_F(Llfuse, L26_L27_notify_store_fills_the_cache_and_extends_the_file) {
  ops_.set_text("");
  init_and_start();
  const int fd = ::open(path().c_str(), O_RDONLY | O_CLOEXEC);
  const std::string page(4096, 's');
  ops_.set_text(page);  // the kernel asks for the size again (fuse_write_update_attr)
  struct ::stat status {};
  EXPECT_EQ(::fstat(fd, &status), 0);
  EXPECT_EQ(status.st_size, 0);
  llfuse::notify_store(note, 0, bytes_of(page));
  EXPECT_EQ(::fstat(fd, &status), 0);
  EXPECT_EQ(status.st_size, 4096);
  const int reads = ops_.reads;
  std::string got(4096, '\0');
  EXPECT_EQ(::pread(fd, got.data(), got.size(), 0), 4096);
  EXPECT_TRUE(got == page);
  EXPECT_EQ(ops_.reads, reads);
  ::close(fd);
}

TEST_F(Llfuse, L28_notify_store_throws_when_it_fails) {
  init_and_start();
  try {
    llfuse::notify_store(4711, 0, bytes_of("x"));
    FAIL() << "no error";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), ENOENT);
  }
}

TEST_F(Llfuse, L29_L30_inode_numbers_have_64_bits) {
  static_assert(llfuse::get_ino_t_bits() == 8 * sizeof(llfuse::EntryAttributes::st_ino));
  EXPECT_EQ(llfuse::get_ino_t_bits(), 64);
}

TEST_F(Llfuse, L31_L32_an_offset_of_more_bits_is_an_overflow) {
  EXPECT_EQ(llfuse::get_off_t_bits(), 64);
  init_and_start();
  EXPECT_THROW(llfuse::notify_store(note, std::uint64_t{1} << 63, {}), std::overflow_error);
}

}  // namespace
}  // namespace fuselage::test
