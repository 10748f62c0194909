// What the kernel remembers, and how a file system makes it forget: seen from the client's side.
#include <dirent.h>
#include <sys/inotify.h>

#include <atomic>
#include <future>
#include <mutex>

#include "client_syscalls/memory_mount.hpp"
#include "support/shelf.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;
using namespace std::chrono_literals;

// Files that change behind the kernel's back, and answers that hold for an hour.
class Changing : public Shelf {
 public:
  Changing() : Shelf({"file", "other"}) {}

  void change(std::string text) {
    const std::lock_guard lock(mutex_);
    current_ = std::move(text);
  }
  std::string current() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }

  Reply<Entry> lookup(const Context&, Ino parent, std::string_view name) override {
    if (name == "absent") return Entry::negative(1h);
    const Ino ino = ino_of(name);
    if (parent != root_ino || static_cast<std::uint64_t>(ino) > 3) return Error{ENOENT};
    return entry_of(ino);
  }
  Reply<Attributes> getattr(const Context&, Ino ino, const OpenFile*) override { return attributes_of(ino); }
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{.keep_cache = true}; }
  Reply<Data> read(const Context&, Ino, const OpenFile&, Range range) override {
    return Data::own(std::string(text_of(slice(current(), range))));
  }
  Reply<void> readdir(const Context&, Ino, const OpenFile&, std::uint64_t offset, DirectorySink& sink) override {
    if (offset < 1) sink.add("file", entry_of(ino_of("file")), 1);
    if (offset < 2) sink.add("other", entry_of(ino_of("other")), 2);
    return {};
  }
  void forget(Ino ino, std::uint64_t count) override {
    if (ino == ino_of("file")) forgotten += count;
  }

  std::atomic<std::uint64_t> forgotten{0};

 private:
  Attributes attributes_of(Ino ino) const {
    return ino == root_ino ? Attributes::directory() : Attributes::file(current().size());
  }
  Entry entry_of(Ino ino) const {
    Entry entry;
    entry.ino = ino;
    entry.attributes = attributes_of(ino);
    return entry;
  }

  mutable std::mutex mutex_;
  std::string current_ = "first text";
};

class Cached : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped()) return;
    served_.emplace(file_system_, make_directory(), MountOptions{},
                    SessionOptions{.attr_timeout = 1h, .entry_timeout = 1h, .enable = Capability::HAS_RESEND});
    tell_ = served_->session().notifier().synchronous();
  }
  void TearDown() override {
    served_.reset();
    MountTest::TearDown();
  }

  std::filesystem::path file() const { return served_->path("file"); }
  off_t size() const { return status_of(file()).st_size; }

  // How many requests of a kind `action` takes.
  std::uint64_t cost(std::string_view operation, const std::function<void()>& action) const {
    const std::uint64_t before = served_->count(operation);
    action();
    return served_->count(operation) - before;
  }
  Ino ino() const { return file_system_.ino_of("file"); }

  Changing file_system_;
  std::optional<Served> served_;
  Notifier tell_;
};

TEST_F(Cached, attributes_and_names_are_believed_as_long_as_was_said) {
  EXPECT_EQ(size(), 10);
  file_system_.change("longer than before");
  EXPECT_EQ(cost("GETATTR", [&] { EXPECT_EQ(size(), 10); }), 0u);
  EXPECT_EQ(cost("LOOKUP", [&] { EXPECT_EQ(size(), 10); }), 0u);
}

TEST_F(Cached, content_is_read_once) {
  EXPECT_EQ(read_file(file()), "first text");
  file_system_.change("other text");
  EXPECT_EQ(cost("READ", [&] { EXPECT_EQ(read_file(file()), "first text"); }), 0u);
}

TEST_F(Cached, inval_inode_makes_the_kernel_ask_for_everything) {
  const UniqueFd fd = open_file(file(), O_RDONLY);
  EXPECT_EQ(read_at(fd.get(), 0, 100), "first text");
  file_system_.change("another text");
  EXPECT_TRUE(tell_.inval_inode(ino()));
  EXPECT_EQ(cost("GETATTR", [&] { EXPECT_EQ(size(), 12); }), 1u);
  EXPECT_EQ(read_at(fd.get(), 0, 100), "another text");
}

TEST_F(Cached, inval_inode_of_a_range_leaves_the_rest) {
  file_system_.change(std::string(8192, 'a'));
  const UniqueFd fd = open_file(file(), O_RDONLY);
  EXPECT_EQ(read_at(fd.get(), 0, 8192), std::string(8192, 'a'));
  file_system_.change(std::string(8192, 'b'));
  EXPECT_TRUE(tell_.inval_inode(ino(), 4096, 4096));
  EXPECT_EQ(read_at(fd.get(), 0, 10), std::string(10, 'a'));
  EXPECT_EQ(read_at(fd.get(), 4096, 10), std::string(10, 'b'));
}

TEST_F(Cached, inval_attributes_keeps_the_content) {
  const UniqueFd fd = open_file(file(), O_RDONLY);
  EXPECT_EQ(read_at(fd.get(), 0, 100), "first text");
  EXPECT_TRUE(tell_.inval_attributes(ino()));
  EXPECT_EQ(cost("GETATTR", [&] { EXPECT_EQ(size(), 10); }), 1u);
  EXPECT_EQ(cost("READ", [&] { EXPECT_EQ(read_at(fd.get(), 0, 100), "first text"); }), 0u);
}

TEST_F(Cached, inval_entry_makes_the_kernel_look_again) {
  size();
  EXPECT_TRUE(tell_.inval_entry(root_ino, "file"));
  EXPECT_EQ(cost("LOOKUP", [&] { size(); }), 1u);
  EXPECT_EQ(cost("LOOKUP", [&] { size(); }), 0u);
}

TEST_F(Cached, absent_names_are_remembered_until_inval_entry) {
  const auto look = [&](const char* name) {
    struct stat status {};
    EXPECT_EQ(failure(::stat(served_->path(name).c_str(), &status)), ENOENT);
  };
  look("absent");
  EXPECT_EQ(cost("LOOKUP", [&] { look("absent"); }), 0u);
  EXPECT_TRUE(tell_.inval_entry(root_ino, "absent"));
  EXPECT_EQ(cost("LOOKUP", [&] { look("absent"); }), 1u);
  // A plain ENOENT is not remembered.
  look("nowhere");
  EXPECT_EQ(cost("LOOKUP", [&] { look("nowhere"); }), 1u);
}

TEST_F(Cached, expire_entry_leaves_what_is_mounted_there) {
  size();
  const auto place = directory() / "over";
  write_file(place, "mounted over it");
  ASSERT_EQ(::mount(place.c_str(), file().c_str(), nullptr, MS_BIND, nullptr), 0);
  EXPECT_TRUE(tell_.expire_entry(root_ino, "file"));
  EXPECT_EQ(read_file(file()), "mounted over it");
  EXPECT_TRUE(tell_.inval_entry(root_ino, "file"));
  EXPECT_EQ(read_file(file()), "first text");
  EXPECT_TRUE(tell_.expire_entry(root_ino, "file"));
  EXPECT_EQ(cost("LOOKUP", [&] { size(); }), 1u);
}

TEST_F(Cached, increment_epoch_makes_the_kernel_look_up_all_names_again) {
  size();
  status_of(served_->path("other"));
  if (const auto told = tell_.increment_epoch(); !told) GTEST_SKIP() << told.error().message();
  EXPECT_EQ(cost("LOOKUP",
                 [&] {
                   size();
                   status_of(served_->path("other"));
                 }),
            2u);
}

TEST_F(Cached, store_fills_the_cache) {
  file_system_.change("");
  const UniqueFd fd = open_file(file(), O_RDONLY);
  const std::string page(4096, 's');
  file_system_.change(page);
  EXPECT_TRUE(tell_.store(ino(), 0, bytes_of(page)));
  EXPECT_EQ(cost("READ", [&] { EXPECT_EQ(read_at(fd.get(), 0, 5000), page); }), 0u);
  EXPECT_EQ(size(), 4096);
}

TEST_F(Cached, store_takes_more_than_one_request_can_hold) {
  file_system_.change("");
  const UniqueFd fd = open_file(file(), O_RDONLY);
  const std::string much(3u << 20, 'm');
  file_system_.change(much);
  EXPECT_TRUE(tell_.store(ino(), 0, bytes_of(much)));
  EXPECT_EQ(size(), 3 << 20);
  EXPECT_EQ(cost("READ", [&] { EXPECT_EQ(read_at(fd.get(), (3 << 20) - 10, 100), std::string(10, 'm')); }), 0u);
}

TEST_F(Cached, retrieve_fetches_what_the_cache_holds) {
  const UniqueFd fd = open_file(file(), O_RDONLY);
  EXPECT_EQ(read_at(fd.get(), 0, 100), "first text");
  std::promise<std::pair<std::uint64_t, std::string>> got;
  EXPECT_TRUE(tell_.retrieve(ino(), {0, 100}, [&](std::uint64_t offset, Bytes bytes) {
    got.set_value({offset, std::string(text_of(bytes))});
  }));
  auto result = got.get_future();
  ASSERT_EQ(result.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(result.get(), std::pair(std::uint64_t{0}, std::string("first text")));

  EXPECT_TRUE(tell_.inval_inode(ino()));
  std::promise<std::size_t> none;
  EXPECT_TRUE(tell_.retrieve(ino(), {0, 100}, [&](std::uint64_t, Bytes bytes) { none.set_value(bytes.size()); }));
  auto size = none.get_future();
  ASSERT_EQ(size.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(size.get(), 0u);
}

TEST_F(Cached, deleted_is_seen_by_watchers) {
  size();
  const UniqueFd watcher(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  ASSERT_GE(::inotify_add_watch(watcher.get(), file().c_str(), IN_DELETE_SELF), 0);
  EXPECT_TRUE(tell_.deleted(root_ino, ino(), "file"));
  alignas(::inotify_event) char buffer[4096] = {};
  ASSERT_GT(::read(watcher.get(), buffer, sizeof buffer), 0);
  const auto* event = reinterpret_cast<const ::inotify_event*>(buffer);
  EXPECT_EQ(event->mask, static_cast<std::uint32_t>(IN_DELETE_SELF));
}

TEST_F(Cached, prune_makes_the_kernel_let_go) {
  size();
  const Ino inos[] = {ino()};
  if (const auto told = tell_.prune(inos); !told) GTEST_SKIP() << told.error().message();
  EXPECT_TRUE(eventually([&] { return file_system_.forgotten > 0; }));
  EXPECT_EQ(file_system_.forgotten, 1u);
  EXPECT_EQ(size(), 10);
}

TEST_F(Cached, a_synchronous_notification_tells_the_kernels_answer) {
  EXPECT_EQ(tell_.inval_inode(Ino{4711}).error().code(), ENOENT);
  EXPECT_EQ(tell_.inval_entry(root_ino, "file").error().code(), ENOENT);
  EXPECT_EQ(tell_.store(Ino{4711}, 0, bytes_of("x")).error().code(), ENOENT);
  EXPECT_TRUE(served_->session().notifier().inval_inode(Ino{4711})) << "a queued one does not know yet";
}

TEST_F(Cached, readdir_brings_the_entries_along) {
  ::DIR* listing = ::opendir(served_->path("").c_str());
  while (::readdir(listing) != nullptr) {
  }
  ::closedir(listing);
  EXPECT_GE(served_->count("READDIRPLUS"), 1u);
  EXPECT_EQ(cost("GETATTR", [&] { size(); }), 0u);
  EXPECT_EQ(served_->count("LOOKUP"), 0u);
}

TEST_F(Cached, a_listing_is_read_once_without_opendir) {
  const auto list = [&] { return std::distance(std::filesystem::directory_iterator(served_->path("")), {}); };
  EXPECT_EQ(list(), 2);
  const auto requests = [&] { return served_->count("READDIR") + served_->count("READDIRPLUS"); };
  const auto before = requests();
  EXPECT_EQ(list(), 2);
  EXPECT_EQ(requests(), before);
}

TEST_F(Cached, a_notifier_outlives_its_session) {
  served_.reset();
  EXPECT_EQ(tell_.inval_inode(ino()).error().code(), ENOTCONN);
}

// Tells the kernel from inside handlers, about the very thing they answer for.
class Talkative : public Shelf {
 public:
  Result<void> init(Negotiation& negotiation) override {
    notifier_ = negotiation.notifier;
    return {};
  }
  Reply<Entry> lookup(const Context& context, Ino parent, std::string_view name) override {
    EXPECT_TRUE(notifier_.inval_entry(parent, name));
    return Shelf::lookup(context, parent, name);
  }
  Reply<Attributes> getattr(const Context& context, Ino ino, const OpenFile* file) override {
    EXPECT_TRUE(notifier_.inval_inode(ino));
    return Shelf::getattr(context, ino, file);
  }
  Reply<Data> read(const Context& context, Ino ino, const OpenFile& file, Range range) override {
    EXPECT_TRUE(notifier_.inval_inode(ino));
    EXPECT_TRUE(notifier_.store(ino, 0, bytes_of(text())));
    return Shelf::read(context, ino, file, range);
  }

 private:
  Notifier notifier_;
};

class FromHandlers : public MountTest, public ::testing::WithParamInterface<unsigned> {};

TEST_P(FromHandlers, notifications_do_not_deadlock) {
  Talkative file_system;
  Served served(file_system, make_directory(), {}, {.max_threads = GetParam()});
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(status_of(served.path("file")).st_size, 14);
    EXPECT_EQ(read_file(served.path("file")), "Hello, world!\n");
  }
  EXPECT_TRUE(eventually([&] { return served.session().statistics().notifications > 10; }));
}

INSTANTIATE_TEST_SUITE_P(Threads, FromHandlers, ::testing::Values(1u, 64u),
                         [](const auto& threads) { return std::to_string(threads.param); });

// The first read never answers by itself; the second one, of the same request sent again, does.
class Forgetful : public Shelf {
 public:
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{.direct_io = true}; }
  Reply<Data> read(const Context& context, Ino ino, const OpenFile& file, Range range) override {
    if (++reads == 1) {
      while (!over) std::this_thread::sleep_for(1ms);
    }
    return Shelf::read(context, ino, file, range);
  }
  std::atomic<int> reads{0};
  std::atomic<bool> over{false};
};

TEST(Resending, is_not_for_those_who_did_not_ask) {
  Notifier nobody_there;
  EXPECT_EQ(nobody_there.resend().error().code(), ENOTCONN);
}

class Resent : public MountTest {};

TEST_F(Resent, requests_come_again) {
  Forgetful file_system;
  // The kernel does not look among the requests of the rings (fuse_resend).
  Served served(file_system, make_directory(), {}, {.transport = Transport::device, .enable = Capability::HAS_RESEND});
  auto reading = std::async(std::launch::async, [&] { return read_file(served.path("file")); });
  ASSERT_TRUE(eventually([&] { return file_system.reads == 1; }));
  const auto told = served.session().notifier().resend();
  EXPECT_TRUE(told || told.error().code() == EOPNOTSUPP);
  if (told) {
    EXPECT_EQ(reading.get(), "Hello, world!\n");
    EXPECT_EQ(file_system.reads, 2);
  }
  file_system.over = true;
}

}  // namespace
}  // namespace fuselage::test
