// What the kernel keeps on the word of a file system at path level, and how it is told otherwise.
#include <dirent.h>
#include <gmock/gmock.h>
#include <sys/inotify.h>
#include <sys/mount.h>

#include <future>
#include <set>

#include "path_mount/mounted.hpp"
#include "support/file_handle.hpp"
#include "support/shared.hpp"

namespace fuselage::test {
namespace {

using namespace std::chrono_literals;

SessionOptions believed_for_an_hour() {
  SessionOptions options;
  options.attr_timeout = options.entry_timeout = 1h;
  return options;
}

// Lists in the way that a test wants, and opens with the flags that it wants.
class Choosing : public PathFiles {
 public:
  enum class Listing { whole, in_pieces, only_names };

  Reply<void> readdir(const Context& context, Path path, const OpenFile& file, std::uint64_t offset,
                      PathDirectorySink& sink) override {
    if (listing == Listing::whole) return PathFiles::readdir(context, path, file, offset, sink);
    const Call call(*this, "readdir", path);
    for (std::uint64_t at = offset; at < numbers; ++at) {
      const std::string name = std::to_string(first_number + at);
      const FilePtr found = find(Path(("/" + name).c_str()), nullptr);
      const std::lock_guard lock(mutex_);
      const bool room = listing == Listing::only_names ? sink.add(name, FileType::regular, {}, at + 1)
                                                       : sink.add(name, found->attributes, at + 1);
      if (!room) break;
    }
    return {};
  }
  Reply<Opened> open(const Context&, Path path, OpenFlags) override {
    const Call call(*this, "open", path);
    return chosen(opened(find(path, nullptr)));
  }
  Reply<CreatedFile> create(const Context& context, Path path, mode_t mode, OpenFlags how) override {
    CreatedFile created = *PathFiles::create(context, path, mode, how).take();
    created.opened = chosen(created.opened);
    return created;
  }
  Reply<Opened> opendir(const Context&, Path path, OpenFlags) override {
    const Call call(*this, "opendir", path);
    return chosen(Opened{});
  }
  Reply<void> flush(const Context&, Path path, const OpenFile&) override {
    const Call call(*this, "flush", path);
    return {};
  }

  /// Other bytes, without any sign of it in the attributes.
  void rewrite(const char* path, std::string content) {
    const FilePtr file = find(Path(path), nullptr);
    const std::lock_guard lock(mutex_);
    file->content = std::move(content);
    file->attributes.size = file->content.size();
  }

  Listing listing = Listing::whole;  // set before it is served
  static constexpr std::uint64_t first_number = 1000;
  std::uint64_t numbers = 0;  // how many, which are the names in the other listings
  Shared<Opened> flags;

 private:
  Opened chosen(const Opened& opened) const {
    Opened result = flags.get();
    result.handle = opened.handle;
    return result;
  }
};

class PathCaches : public PathMount<Choosing> {
 protected:
  /// How many requests of a kind, "READ", an action leads to.
  std::uint64_t cost(std::string_view operation, const std::function<void()>& action) {
    const std::uint64_t before = served().count(operation);
    action();
    return served().count(operation) - before;
  }
  std::set<std::string> list() const {
    std::set<std::string> names;
    DIR* const directory = ::opendir(path().c_str());
    for (const dirent* entry; (entry = ::readdir(directory)) != nullptr;) {
      EXPECT_TRUE(names.insert(entry->d_name).second) << entry->d_name << " twice";
    }
    ::closedir(directory);
    return names;
  }
  std::uint64_t forgotten() { return served().count("FORGET") + served().count("BATCH_FORGET"); }
  PathNotifier tell() const { return files.notifier().synchronous(); }
};

class PathListings : public PathCaches, public ::testing::WithParamInterface<Choosing::Listing> {};

TEST_P(PathListings, bring_the_attributes_along_if_they_have_them) {
  constexpr std::size_t count = 1000;
  const auto name = [](std::size_t i) { return std::to_string(Choosing::first_number + i); };
  for (std::size_t i = 0; i < count; ++i) files.put("/" + name(i), std::string(i, 'x'));
  files.listing = GetParam();
  files.numbers = count;
  SessionOptions options = believed_for_an_hour();
  options.disable = Capability::READDIRPLUS_AUTO;  // which goes by what it thinks will be wanted
  serve({}, options);
  if (IsSkipped()) return;
  std::set<std::string> names;
  EXPECT_EQ(cost("READDIR", [&] { names = list(); }), 0u);
  EXPECT_GT(served().count("READDIRPLUS"), 2u);
  for (const char* dots : {".", ".."}) names.erase(dots);
  EXPECT_EQ(names.size(), count);
  const bool complete = GetParam() != Choosing::Listing::only_names;
  const std::size_t asked = files.count("getattr");
  std::size_t wrong = 0;
  const std::uint64_t lookups = cost("LOOKUP", [&] {
    for (std::size_t i = 0; i < count; ++i) wrong += status(name(i)).st_size != static_cast<off_t>(i) ? 1 : 0;
  });
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(lookups, complete ? 0u : count);
  EXPECT_EQ(files.count("getattr") - asked, lookups);
}

INSTANTIATE_TEST_SUITE_P(Ways, PathListings,
                         ::testing::Values(Choosing::Listing::whole, Choosing::Listing::in_pieces,
                                           Choosing::Listing::only_names));

TEST_F(PathCaches, each_open_file_is_cached_as_its_flags_say) {
  files.put("/file", "text");
  serve({}, believed_for_an_hour());
  if (IsSkipped()) return;
  const auto read_again = [this] { EXPECT_EQ(read("file"), "text"); };
  const auto seek = [](const base::UniqueFd& fd) { return failure(::lseek(fd.get(), 1, SEEK_SET)); };
  const auto listings = [this] {
    return cost("READDIR", [this] { list(); }) + cost("READDIRPLUS", [this] { list(); });
  };
  read_again();
  EXPECT_GE(cost("READ", read_again), 1u);
  EXPECT_EQ(cost("FLUSH", read_again), 1u);
  EXPECT_EQ(seek(open("file", O_RDONLY)), 0);
  list();
  EXPECT_GE(listings(), 1u);

  files.flags.set({.keep_cache = true});
  read_again();
  EXPECT_EQ(cost("READ", read_again), 0u);
  files.flags.set({.direct_io = true});
  for (const int how : {O_RDWR, O_RDWR | O_CREAT | O_EXCL}) {
    const base::UniqueFd fd = open(how == O_RDWR ? "file" : "new", how);
    EXPECT_EQ(::pwrite(fd.get(), "text", 4, 0), 4);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(cost("READ", [&fd] { EXPECT_EQ(read_all(fd.get()), "text"); }), 1u);
    }
  }
  files.flags.set({.nonseekable = true});
  EXPECT_EQ(seek(open("file", O_RDONLY)), ESPIPE);
  files.flags.set({.stream = true});
  EXPECT_EQ(seek(open("file", O_RDONLY)), ESPIPE);
  files.flags.set({.noflush = true});
  EXPECT_EQ(cost("FLUSH", read_again), 0u);
  files.flags.set({.keep_cache = true, .cache_dir = true});
  list();
  EXPECT_EQ(listings(), 0u);
}

TEST_F(PathCaches, notifications_are_about_attributes_by_path) {
  files.put("/file", std::string(8192, 'a'));
  serve({}, believed_for_an_hour());
  if (IsSkipped()) return;
  const base::UniqueFd fd = open("file", O_RDONLY);
  const auto byte = [&fd](off_t at) {
    char found = 0;
    EXPECT_EQ(::pread(fd.get(), &found, 1, at), 1);
    return found;
  };
  EXPECT_EQ(byte(0) + byte(8191), 2 * 'a');
  files.rewrite("/file", std::string(8192, 'b'));
  EXPECT_TRUE(tell().inval_attributes("/file"));
  EXPECT_EQ(cost("GETATTR", [this] { status("file"); }), 1u);
  EXPECT_EQ(cost("READ", [&] { EXPECT_EQ(byte(0), 'a'); }), 0u);
  EXPECT_TRUE(tell().inval_inode("/file", 4096, 4096));
  EXPECT_EQ(byte(0), 'a');
  EXPECT_EQ(byte(4096), 'b');
  EXPECT_TRUE(tell().inval_inode("/file"));
  EXPECT_EQ(byte(0), 'b');
}

TEST_F(PathCaches, notifications_put_and_fetch_content_by_path) {
  files.put("/file", "");
  serve({}, believed_for_an_hour());
  if (IsSkipped()) return;
  const base::UniqueFd fd = open("file", O_RDONLY);
  const std::string page(4096, 's');
  files.rewrite("/file", page);
  EXPECT_TRUE(tell().store("/file", 0, bytes_of(page)));
  EXPECT_EQ(cost("READ", [&] { EXPECT_EQ(read_all(fd.get()), page); }), 0u);
  std::promise<std::string> got;
  EXPECT_TRUE(tell().retrieve("/file", {10, 20},
                              [&got](std::uint64_t, Bytes bytes) { got.set_value(std::string(text_of(bytes))); }));
  auto result = got.get_future();
  ASSERT_EQ(result.wait_for(60s), std::future_status::ready);
  EXPECT_EQ(result.get(), std::string(20, 's'));
}

TEST_F(PathCaches, notifications_are_about_names_by_path) {
  files.put("/file", "text");
  files.put("/other", "other");
  serve({}, believed_for_an_hour());
  if (IsSkipped()) return;
  const auto look = [this] { status("file"); };
  look();
  EXPECT_EQ(cost("LOOKUP", look), 0u);
  EXPECT_TRUE(tell().inval_entry("/file"));
  EXPECT_EQ(cost("LOOKUP", look), 1u);

  ASSERT_EQ(::mount(path("other").c_str(), path("file").c_str(), nullptr, MS_BIND, nullptr), 0);
  EXPECT_TRUE(tell().expire_entry("/file"));
  EXPECT_EQ(read("file"), "other") << "what is mounted there stays";
  EXPECT_EQ(::umount(path("file").c_str()), 0);
  EXPECT_TRUE(tell().expire_entry("/file"));
  EXPECT_EQ(cost("LOOKUP", look), 1u);

  const base::UniqueFd watcher(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  ASSERT_GE(::inotify_add_watch(watcher.get(), path("file").c_str(), IN_DELETE_SELF), 0);
  EXPECT_TRUE(tell().deleted("/file"));
  alignas(::inotify_event) char buffer[4096] = {};
  ASSERT_GT(::read(watcher.get(), buffer, sizeof buffer), 0) << std::strerror(errno);
  EXPECT_EQ(reinterpret_cast<const ::inotify_event*>(buffer)->mask, std::uint32_t{IN_DELETE_SELF});

  status("other");
  const std::uint64_t before = forgotten();
  if (const auto told = tell().prune("/other"); !told) GTEST_SKIP() << told.error().message();
  EXPECT_TRUE(eventually([&] { return forgotten() > before; }));
}

TEST_F(PathCaches, notifications_follow_renames_and_know_what_they_cannot_tell) {
  serve({}, believed_for_an_hour());
  if (IsSkipped()) return;
  ASSERT_EQ(::mkdir(path("d").c_str(), 0755), 0);
  { const base::UniqueFd fd = open("d/file", O_RDWR | O_CREAT); }
  const PathNotifier notifier = tell();
  EXPECT_EQ(notifier.node("/d/file").value(), Ino{status("d/file").st_ino});
  ASSERT_EQ(::rename(path("d").c_str(), path("e").c_str()), 0);
  EXPECT_EQ(notifier.inval_inode("/d/file").error().code(), ENOENT);
  EXPECT_TRUE(notifier.inval_inode("/e/file"));
  EXPECT_TRUE(notifier.inval_entry("/e/file"));
  EXPECT_EQ(notifier.inval_inode("/e/unknown").error().code(), ENOENT);
  EXPECT_EQ(notifier.deleted("/e/unknown").error().code(), ENOENT);
  EXPECT_EQ(notifier.inval_inode("e/file").error().code(), EINVAL);
  EXPECT_EQ(notifier.inval_entry("/").error().code(), EINVAL);
  EXPECT_TRUE(notifier.inval_attributes("/"));
  unserve();
  EXPECT_EQ(notifier.inval_inode("/e/file").error().code(), ENOTCONN);
}

class PathMemory : public PathCaches, public ::testing::WithParamInterface<PathOptions::Time> {};

TEST_P(PathMemory, keeps_what_the_kernel_forgot_for_as_long_as_was_said) {
  files.put("/file", "text");
  SessionOptions options = believed_for_an_hour();
  options.enable = Capability::EXPORT_SUPPORT;
  serve({.remember = GetParam()}, options);
  if (IsSkipped()) return;
  FileHandle handle(path("file"));
  EXPECT_EQ(read_all(handle.open(path()).get()), "text");
  ASSERT_TRUE(tell().inval_entry("/file"));
  ASSERT_TRUE(eventually([this] { return forgotten() > 0; }));
  int others = 0;
  const auto is_kept = [&] {
    // What is over is noticed when the next node comes.
    const std::string other = std::to_string(++others);
    files.put("/" + other, "");
    status(other);
    return tell().node("/file").has_value();
  };
  if (GetParam() >= 1h) {
    EXPECT_TRUE(is_kept());
    EXPECT_EQ(read_all(handle.open(path()).get()), "text");
  } else {
    EXPECT_TRUE(eventually([&] { return !is_kept(); }));
    EXPECT_FALSE(handle.open(path()));
    EXPECT_EQ(errno, ESTALE);
  }
}

INSTANTIATE_TEST_SUITE_P(Times, PathMemory, ::testing::Values(0ns, 1ns, 1h, PathOptions::for_ever));

}  // namespace
}  // namespace fuselage::test
