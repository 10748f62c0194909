// What handlers are told of callers and changes, and what a client sees of attributes and of directories.
#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <vector>

#include "llfuse/notes.hpp"

namespace fuselage::test {
namespace {

using Attr = llfuse::EntryAttributes;
using Ctx = llfuse::RequestContext;
using Ino = std::uint64_t;
using Name = std::string_view;

constexpr std::uint64_t entries = 2000;

// Shows `attr` under every name that does not begin with "new", keeps what it was asked, and has a long listing.
class Shown : public llfuse::Operations {
 public:
  Attr attr;
  std::atomic<int> lookups{0}, getattrs{0};
  std::atomic<std::uint64_t> forgotten{0}, removed{entries};

  std::string last() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }

  Attr lookup(Ino, Name name, const Ctx& ctx) override {
    ++lookups;
    say("lookup", ctx);
    if (name.starts_with("new")) throw llfuse::FUSEError(ENOENT);
    return attr;
  }
  void forget(std::span<const llfuse::Forgotten> list) override {
    if (list[0].first == attr.st_ino) forgotten += list[0].second;
  }
  Attr getattr(Ino inode, const Ctx&) override {
    if (inode != llfuse::ROOT_INODE) return ++getattrs, attr;
    Attr root;
    root.st_ino = inode;
    root.st_mode = S_IFDIR | 0777;
    return root;
  }
  Attr setattr(Ino, const Attr& to, const llfuse::SetattrFields& fields, std::optional<std::uint64_t>,
               const Ctx&) override {
    const std::lock_guard lock(mutex_);
    last_ = fmt::format("{}{}", fields.update_atime ? "atime=" + ago(to.st_atime_ns) : "",
                        fields.update_mtime ? " mtime=" + ago(to.st_mtime_ns) : "");
    return attr;
  }
  Attr mkdir(Ino, Name, ::mode_t mode, const Ctx& ctx) override {
    say(fmt::format("mkdir {:o}", mode), ctx);
    Attr made;
    made.st_ino = 9;
    made.st_mode = mode;
    return made;
  }
  std::uint64_t open(Ino, int, const Ctx& ctx) override { return say("open", ctx), 1; }
  void readdir(std::uint64_t, std::uint64_t off, const llfuse::Yield& yield) override {
    for (std::uint64_t i = off; i < entries; ++i) {
      if (i != removed && !yield(fmt::format("a_rather_long_name_{}", i), attr, i + 1)) return;
    }
  }

 private:
  static std::string ago(std::int64_t ns) {
    const auto age = std::chrono::system_clock::now().time_since_epoch() - std::chrono::nanoseconds(ns);
    return age < std::chrono::minutes(1) ? "now" : std::to_string(ns);
  }
  void say(const std::string& what, const Ctx& ctx) {
    const std::lock_guard lock(mutex_);
    last_ = fmt::format("{} by {} {} {} umask {:o}", what, ctx.uid, ctx.gid, ctx.pid, ctx.umask);
  }

  mutable std::mutex mutex_;
  std::string last_;
};

class LlfuseAttributes : public Llfuse {
 protected:
  void SetUp() override {
    Llfuse::SetUp();
    shown_.attr.st_ino = 2;
  }
  void end() {
    llfuse::stop();
    ended();
    close();
  }
  struct ::stat stat() const {
    struct ::stat status {};
    EXPECT_EQ(::stat(path("name").c_str(), &status), 0);
    return status;
  }
  // What another stat(2) asks for: (lookups, getattrs).
  std::pair<int, int> asked_again() {
    serve(shown_);
    stat();
    const int lookups = shown_.lookups;
    const int getattrs = shown_.getattrs;
    stat();
    const std::pair asked(shown_.lookups - lookups, shown_.getattrs - getattrs);
    end();
    return asked;
  }

  Shown shown_;
};

TEST_F(LlfuseAttributes, each_is_what_stat_shows) {
  Attr& attr = shown_.attr;
  attr.st_ino = UINT64_MAX;
  attr.st_mode = S_IFCHR | 04751;
  attr.st_nlink = 7;
  attr.st_uid = 12;
  attr.st_gid = 34;
  attr.st_rdev = makedev(0xFFF, 0xFF);
  attr.st_size = INT64_MAX;
  attr.st_blksize = 1 << 16;
  attr.st_blocks = std::uint64_t{1} << 40;
  attr.st_atime_ns = 1'700'000'000'123'456'789;
  attr.st_mtime_ns = -1'500'000'000;
  attr.st_ctime_ns = 999'999'999;
  serve(shown_, {"fsname=shown"});
  const struct ::stat status = stat();
  const auto time = [](const ::timespec& at) { return fmt::format("{}.{:09}", at.tv_sec, at.tv_nsec); };
  EXPECT_EQ(status.st_ino, attr.st_ino);
  EXPECT_EQ(status.st_mode, attr.st_mode);
  EXPECT_EQ(status.st_nlink, attr.st_nlink);
  EXPECT_EQ(status.st_uid, attr.st_uid);
  EXPECT_EQ(status.st_gid, attr.st_gid);
  EXPECT_EQ(status.st_rdev, attr.st_rdev);
  EXPECT_EQ(status.st_size, INT64_MAX);
  EXPECT_EQ(status.st_blksize, 1 << 16);
  EXPECT_EQ(status.st_blocks, std::int64_t{1} << 40);
  EXPECT_EQ(time(status.st_atim), "1700000000.123456789");
  EXPECT_EQ(time(status.st_mtim), "-2.500000000");
  EXPECT_EQ(time(status.st_ctim), "0.999999999");
}

TEST_F(LlfuseAttributes, the_generation_is_part_of_file_handles) {
  shown_.attr.st_ino = (std::uint64_t{3} << 32) + 5;
  shown_.attr.generation = 7;
  serve(shown_);
  alignas(::file_handle) std::array<std::uint32_t, 16> memory{};  // its head, and then numbers
  auto* const handle = reinterpret_cast<::file_handle*>(memory.data());
  handle->handle_bytes = 8 * sizeof(std::uint32_t);
  int mount = 0;
  ASSERT_EQ(::name_to_handle_at(AT_FDCWD, path("name").c_str(), handle, &mount, 0), 0);
  EXPECT_EQ(memory[2], 3u);
  EXPECT_EQ(memory[3], 5u);
  EXPECT_EQ(memory[4], 7u);
}

TEST_F(LlfuseAttributes, names_and_attributes_hold_as_long_as_was_said) {
  constexpr double forever = std::numeric_limits<double>::infinity();
  struct Case {
    double entry, attr;
    std::pair<int, int> asked;
  };
  for (const Case& each : {Case{300, 300, {0, 0}}, Case{forever, forever, {0, 0}}, Case{0, 300, {1, 0}},
                           Case{-5, 300, {1, 0}}, Case{300, 0, {0, 1}}, Case{0, 0, {1, 1}}}) {
    shown_.attr.entry_timeout = each.entry;
    shown_.attr.attr_timeout = each.attr;
    EXPECT_EQ(asked_again(), each.asked) << each.entry << " " << each.attr;
  }
}

TEST_F(LlfuseAttributes, an_inode_number_of_64_bits_comes_back_to_the_file_system) {
  shown_.attr.st_ino = (std::uint64_t{1} << 63) + 5;
  serve(shown_);
  EXPECT_EQ(stat().st_ino, shown_.attr.st_ino);
  llfuse::notify_store(shown_.attr.st_ino, 0, bytes_of("stored"));
  llfuse::invalidate_inode(shown_.attr.st_ino);
  llfuse::invalidate_entry(llfuse::ROOT_INODE, "name");
  EXPECT_TRUE(eventually([this] { return shown_.forgotten == 1; }));
}

TEST_F(LlfuseAttributes, handlers_are_told_who_asks) {
  ::chmod(directory().c_str(), 0755);
  serve(shown_, {"allow_other"});
  const auto told = [this](const std::function<void()>& ask) {
    const std::string pid = in_child(
        [&] {
          ask();
          return std::to_string(::getpid());
        },
        nobody);
    std::string said = shown_.last();
    const auto at = said.find(" " + pid + " ");
    return at == said.npos ? said : said.replace(at + 1, pid.size(), "PID");
  };
  const std::string who = fmt::format("by {} {} PID umask", nobody, nobody);
  EXPECT_EQ(told([this] { stat_error(path("new")); }), "lookup " + who + " 0");
  EXPECT_EQ(told([this] { ::close(::open(path("name").c_str(), O_RDONLY | O_CLOEXEC)); }), "open " + who + " 0");
  EXPECT_EQ(told([this] { ::umask(027), ::mkdir(path("new").c_str(), 0777); }), "mkdir 40750 " + who + " 27");
}

TEST_F(LlfuseAttributes, now_is_a_time_and_what_is_omitted_is_not_changed) {
  serve(shown_);
  constexpr ::timespec now{0, UTIME_NOW}, omit{0, UTIME_OMIT}, time{3, 4};
  const auto told = [this](const ::timespec& atime, const ::timespec& mtime) {
    const ::timespec times[2] = {atime, mtime};
    EXPECT_EQ(::utimensat(AT_FDCWD, path("name").c_str(), times, 0), 0);
    return shown_.last();
  };
  EXPECT_EQ(told(now, now), "atime=now mtime=now");
  EXPECT_EQ(told(now, omit), "atime=now");
  EXPECT_EQ(told(omit, now), " mtime=now");
  EXPECT_EQ(told(time, now), "atime=3000000004 mtime=now");
  EXPECT_EQ(told(now, time), "atime=now mtime=3000000004");
  EXPECT_EQ(told(omit, time), " mtime=3000000004");
}

class LlfuseListing : public LlfuseAttributes {
 protected:
  void SetUp() override {
    LlfuseAttributes::SetUp();
    if (IsSkipped()) return;
    serve(shown_);
    listing_ = ::opendir(mountpoint_.c_str());
    ASSERT_NE(listing_, nullptr);
  }
  void TearDown() override {
    if (listing_ != nullptr) ::closedir(listing_);
    LlfuseAttributes::TearDown();
  }
  // The number of the next entry, or -1 at the end.
  int next() {
    const ::dirent* entry = ::readdir(listing_);
    return entry == nullptr ? -1 : std::stoi(std::string(entry->d_name).substr(std::strlen("a_rather_long_name_")));
  }

  ::DIR* listing_ = nullptr;
};

TEST_F(LlfuseListing, is_in_order_and_goes_on_from_any_place) {
  std::vector<long> places;
  for (int i = 0; i < static_cast<int>(entries); ++i) {
    places.push_back(::telldir(listing_));
    ASSERT_EQ(places.back(), i);
    ASSERT_EQ(next(), i);
  }
  EXPECT_EQ(next(), -1);
  for (const int place : {1500, 3, 1999, 0, 700}) {
    ::seekdir(listing_, places[static_cast<std::size_t>(place)]);
    EXPECT_EQ(next(), place);
  }
  ::rewinddir(listing_);
  EXPECT_EQ(next(), 0);
}

TEST_F(LlfuseListing, has_each_entry_once_whatever_is_removed_meanwhile) {
  EXPECT_EQ(next(), 0);
  shown_.removed = 1500;  // beyond what one answer holds
  for (int i = 1; i < static_cast<int>(entries); ++i) {
    if (i == 1500) continue;
    ASSERT_EQ(next(), i);
  }
  EXPECT_EQ(next(), -1);
}

}  // namespace
}  // namespace fuselage::test
