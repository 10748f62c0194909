// What the path level keeps for a file system: the truth of paths, nodes without names, hard links, caches.
#include <gmock/gmock.h>
#include <sys/mount.h>

#include <fuselage/async.hpp>
#include <thread>

#include "path_mount/mounted.hpp"

namespace fuselage::test {
namespace {

using namespace std::chrono_literals;

class PathNodes : public PathMount<PathFiles> {
 protected:
  static SessionOptions cached_for_an_hour() {
    SessionOptions options;
    options.attr_timeout = options.entry_timeout = 1h;
    return options;
  }
};

TEST_F(PathNodes, an_open_file_outlives_its_name) {
  serve();
  if (IsSkipped()) return;
  const base::UniqueFd fd = open("file", O_RDWR | O_CREAT);
  ASSERT_EQ(::pwrite(fd.get(), "text", 4, 0), 4);
  ASSERT_EQ(::unlink(path("file").c_str()), 0);
  files.put("/file", "another");
  EXPECT_EQ(read_all(fd.get()), "text");
  EXPECT_EQ(::pwrite(fd.get(), "TEXT", 4, 0), 4);
  EXPECT_EQ(::ftruncate(fd.get(), 2), 0);
  struct stat status {};
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_size, 2);
  EXPECT_EQ(::fchmod(fd.get(), 0600), 0);
  EXPECT_EQ(read("file"), "another");
  EXPECT_EQ(files.count("rename"), 0u) << "nothing is hidden";
}

TEST_F(PathNodes, an_open_file_may_be_hidden_instead) {
  serve({.hide_removed = true});
  if (IsSkipped()) return;
  {
    const base::UniqueFd fd = open("file", O_RDWR | O_CREAT);
    ASSERT_EQ(::pwrite(fd.get(), "text", 4, 0), 4);
    ASSERT_EQ(::unlink(path("file").c_str()), 0);
    EXPECT_EQ(failure(::access(path("file").c_str(), F_OK)), ENOENT);
    EXPECT_EQ(read_all(fd.get()), "text");
    EXPECT_EQ(files.count("unlink"), 0u);
  }
  EXPECT_TRUE(eventually([this] { return files.count("unlink") == 1; })) << "it is removed when it is closed";
  EXPECT_THAT(files.log().back(), ::testing::StartsWith("unlink /.fuse_hidden"));
}

TEST_F(PathNodes, a_temporary_file_gets_a_name) {
  serve();
  if (IsSkipped()) return;
  const base::UniqueFd fd(::open(path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd && errno == EOPNOTSUPP) GTEST_SKIP() << "this kernel has no O_TMPFILE here";
  ASSERT_TRUE(fd) << std::strerror(errno);
  ASSERT_EQ(::pwrite(fd.get(), "text", 4, 0), 4);
  const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
  ASSERT_EQ(::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path("named").c_str(), AT_SYMLINK_FOLLOW), 0)
      << std::strerror(errno);
  EXPECT_EQ(read("named"), "text");
}

TEST_F(PathNodes, hard_links_are_coherent) {
  serve({.use_ino = true, .hard_links = true}, cached_for_an_hour());
  if (IsSkipped()) return;
  { const base::UniqueFd fd = open("a", O_RDWR | O_CREAT); }
  ASSERT_EQ(::mkdir(path("d").c_str(), 0755), 0);
  ASSERT_EQ(::link(path("a").c_str(), path("d/b").c_str()), 0);
  EXPECT_EQ(status("a").st_ino, status("d/b").st_ino);
  EXPECT_EQ(status("a").st_nlink, 2u);
  const base::UniqueFd one = open("a", O_RDWR);
  const base::UniqueFd two = open("d/b", O_RDWR);
  ASSERT_EQ(::pwrite(one.get(), "text", 4, 0), 4);
  struct stat status {};
  ASSERT_EQ(::fstat(two.get(), &status), 0);
  EXPECT_EQ(status.st_size, 4) << "one inode, though attributes are believed for an hour";
  EXPECT_EQ(read_all(two.get()), "text");
  ASSERT_EQ(::unlink(path("a").c_str()), 0);
  EXPECT_EQ(::fchmod(one.get(), 0600), 0);
  EXPECT_EQ(files.log().back(), "setattr /d/b") << "the name that is left";
}

TEST_F(PathNodes, paths_are_of_any_length) {
  serve();
  if (IsSkipped()) return;
  const std::string name(200, 'x');
  base::UniqueFd at = open("", O_RDONLY | O_DIRECTORY);
  std::string whole;
  for (int depth = 0; depth < 60; ++depth) {
    ASSERT_EQ(::mkdirat(at.get(), name.c_str(), 0755), 0) << depth;
    at.reset(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(at) << depth;
    whole += "/" + name;
  }
  base::UniqueFd file(::openat(at.get(), "leaf", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  ASSERT_TRUE(file);
  ASSERT_EQ(::pwrite(file.get(), "deep", 4, 0), 4);
  EXPECT_EQ(read_all(file.get()), "deep");
  EXPECT_EQ(files.content(whole + "/leaf"), "deep");
}

TEST_F(PathNodes, paths_stay_true_while_directories_are_renamed) {
  std::atomic<std::uint64_t> reads{0};
  files.during = [&reads](std::string_view operation, Path) {
    if (operation != "read") return;
    ++reads;
    std::this_thread::sleep_for(1ms);
  };
  serve({.direct_io = true});
  if (IsSkipped()) return;
  ASSERT_EQ(::mkdir(path("a").c_str(), 0755), 0);
  ASSERT_EQ(::mkdir(path("a/b").c_str(), 0755), 0);
  {
    const base::UniqueFd fd = open("a/b/file", O_RDWR | O_CREAT);
    ASSERT_EQ(::pwrite(fd.get(), "text", 4, 0), 4);
    std::atomic<bool> over{false};
    std::vector<std::jthread> readers;
    for (int i = 0; i < 3; ++i) {
      readers.emplace_back([this, &over, file = fd.get()] {
        while (!over.load()) EXPECT_EQ(read_all(file), "text");
      });
    }
    EXPECT_TRUE(eventually([&reads] { return reads.load() > 0; }));
    for (int turn = 0; turn < 50; ++turn) {
      EXPECT_EQ(::rename(path("a").c_str(), path("z").c_str()), 0) << "readers starve the renames";
      EXPECT_EQ(::rename(path("z/b").c_str(), path("b").c_str()), 0);
      EXPECT_EQ(::rename(path("b").c_str(), path("z/b").c_str()), 0);
      EXPECT_EQ(::rename(path("z").c_str(), path("a").c_str()), 0);
    }
    over = true;
  }
  unserve();  // while what the handlers use is there
  EXPECT_EQ(files.lies(), 0u);
}

// Answers after a while, without holding a thread.
class LateFiles : public PathFiles {
 public:
  Reply<Data> read(const Context& context, Path path, const OpenFile& file, Range range) override {
    const Result<void> slept = co_await sleep_for(context, 50ms);
    if (!slept) co_return slept.error();
    Result<Data> data = co_await PathFiles::read(context, path, file, range);
    co_return data;
  }
};

class PathCoroutines : public PathMount<LateFiles> {};

TEST_F(PathCoroutines, wait_on_one_thread_and_keep_their_paths) {
  SessionOptions session = no_caching();
  session.max_threads = 1;
  serve({.direct_io = true}, session);
  if (IsSkipped()) return;
  ASSERT_EQ(::mkdir(path("a").c_str(), 0755), 0);
  {
    const base::UniqueFd fd = open("a/file", O_RDWR | O_CREAT);
    ASSERT_EQ(::pwrite(fd.get(), "text", 4, 0), 4);
    std::jthread reader([file = fd.get()] {
      for (int i = 0; i < 5; ++i) EXPECT_EQ(read_all(file), "text");
    });
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(::rename(path("a").c_str(), path("b").c_str()), 0);
      EXPECT_EQ(::rename(path("b").c_str(), path("a").c_str()), 0);
    }
  }
}

TEST_F(PathNodes, notifications_reach_the_kernel_by_path) {
  files.put("/file", "one");
  serve({}, cached_for_an_hour());
  if (IsSkipped()) return;
  ASSERT_EQ(status("file").st_size, 3);
  files.put("/file", "more than one");
  EXPECT_EQ(status("file").st_size, 3) << "believed for an hour";
  EXPECT_TRUE(files.notifier().synchronous().inval_inode("/file"));
  EXPECT_EQ(status("file").st_size, 13);
  files.remove("/file");
  EXPECT_EQ(failure(::access(path("file").c_str(), F_OK)), 0);
  EXPECT_TRUE(files.notifier().synchronous().inval_entry("/file"));
  EXPECT_EQ(failure(::access(path("file").c_str(), F_OK)), ENOENT);
}

TEST_F(PathNodes, the_number_of_nodes_is_kept_down) {
  constexpr std::size_t most = 200;
  constexpr int all = 3000;
  for (int i = 0; i < all; ++i) files.put("/" + std::to_string(i), "");
  serve({.max_nodes = most}, cached_for_an_hour());
  if (IsSkipped()) return;
  // What the kernel has let go of is looked up again the next time.
  EXPECT_TRUE(eventually(
      [this] {
        for (int i = 0; i < all; ++i) status(std::to_string(i));
        return served().count("LOOKUP") > 2 * all;
      },
      60s));
  EXPECT_GT(served().count("FORGET") + served().count("BATCH_FORGET"), 0u);
}

// Hands out a file of another file system to the kernel.
class BackedFiles : public PathFiles {
 public:
  Result<void> init(PathSetup& setup) override {
    const auto ready = PathFiles::init(setup);
    backing_notifier = setup.negotiation.notifier;
    return ready;
  }
  Reply<Opened> open(const Context&, Path path, OpenFlags) override {
    const Call call(*this, "open", path);
    Opened opened;
    opened.backing_id = backing_id.load();
    return opened;
  }
  Notifier backing_notifier;  // set before the first request
  std::atomic<std::int32_t> backing_id{0};
};

class PathPassthrough : public PathMount<BackedFiles> {};

TEST_F(PathPassthrough, reads_without_the_file_system) {
  if (IsSkipped()) return;
  const auto place = make_directory("backing");
  ASSERT_EQ(::mount("none", place.c_str(), "tmpfs", 0, nullptr), 0);
  std::string obstacle;
  {
    base::UniqueFd backing(::open((place / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_EQ(::write(backing.get(), "backed", 6), 6);
    files.put("/file", "handed");
    SessionOptions session;
    session.enable = Capability::PASSTHROUGH;
    serve({}, session);
    const auto id = files.backing_notifier.open_backing(backing.get());
    if (id) {
      files.backing_id = *id;
      EXPECT_EQ(read("file"), "backed");
      EXPECT_EQ(files.count("read"), 0u);
      EXPECT_TRUE(files.backing_notifier.close_backing(*id));
    } else {
      obstacle = id.error().message();
    }
  }
  unserve();
  EXPECT_EQ(failure(::umount(place.c_str())), 0);
  if (!obstacle.empty()) GTEST_SKIP() << "no kernel passthrough: " << obstacle;
}

}  // namespace
}  // namespace fuselage::test
