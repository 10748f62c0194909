#include <gmock/gmock.h>

#include <fuselage/async.hpp>
#include <fuselage/path_file_system.hpp>

#include "support/fake.hpp"
#include "support/path_files.hpp"

namespace fuselage {
namespace {

using test::PathFiles;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

std::vector<std::string> names_of(const std::vector<ListedEntry>& entries) {
  std::vector<std::string> names;
  for (const ListedEntry& entry : entries) names.push_back(entry.name);
  return names;
}

TEST(PathOperations, AreReadOffTheClass) {
  struct Some : PathFileSystem {
    Reply<Attributes> getattr(const Context&, Path, const OpenFile*) override { return Error{ENOENT}; }
    Reply<void> fsync(const Context&, Path, const OpenFile&, bool) override { return {}; }
  } some;
  EXPECT_EQ(operations_of<Some>(), operations::getattr | operations::fsync);
  const FileSystemRef reference(some);
  EXPECT_TRUE(reference.operations().contains_any(operations::lookup)) << "getattr serves it";
  EXPECT_FALSE(reference.operations().contains_any(operations::open)) << "the kernel may open by itself";
  EXPECT_TRUE(by_path(some, {.direct_io = true}).operations().contains_any(operations::open));
}

TEST(PathOperations, MayBeChosenAtRunTime) {
  PathFiles files;
  const PathFileSystemRef chosen(files, operations::getattr | operations::mkdir);
  FakeKernel kernel(by_path(chosen), strict());
  EXPECT_TRUE(kernel.mkdir(root_ino, "a"));
  EXPECT_EQ(kernel.symlink(root_ino, "b", "c").code(), EPERM);
}

TEST(PathLayers, ChangeWhatTheyOverride) {
  struct ReadOnly : PathLayer {
    using PathLayer::PathLayer;
    Reply<Attributes> mkdir(const Context&, Path, mode_t) override { return Error{EROFS}; }
  };
  PathFiles files;
  files.put("/file", "text");
  ReadOnly layer(files);
  FakeKernel kernel(layer, strict());
  EXPECT_EQ(kernel.mkdir(root_ino, "a").code(), EROFS);
  EXPECT_EQ(kernel.lookup(root_ino, "file")->attributes.size, 4u);
}

TEST(PathAdapter, TellsPathsOfNodes) {
  PathFiles files;
  FakeKernel kernel(files, strict());
  const Ino a = kernel.mkdir(root_ino, "a")->ino;
  const Ino b = kernel.mkdir(a, "b")->ino;
  const auto created = kernel.create(b, "c", S_IFREG | 0644, O_RDWR);
  ASSERT_TRUE(created);
  const OpenFile file{created->opened.handle};
  EXPECT_EQ(*kernel.write(created->entry.ino, file, 0, "text"), 4u);
  EXPECT_TRUE(kernel.rename(a, "b", root_ino, "moved"));
  EXPECT_EQ(*kernel.read(created->entry.ino, file, {0, 10}), "text");
  EXPECT_TRUE(kernel.release(created->entry.ino, file));
  EXPECT_THAT(files.log(), ElementsAre("mkdir /a", "mkdir /a/b", "create /a/b/c", "write /a/b/c", "rename /a/b",
                                       "read /moved/c", "release /moved/c"));
  EXPECT_EQ(kernel.lookup(b, "c")->ino, created->entry.ino);
  EXPECT_EQ(files.lies(), 0u);
}

TEST(PathAdapter, AnOpenFileOutlivesItsName) {
  PathFiles files;
  FakeKernel kernel(files, strict());
  const auto created = kernel.create(root_ino, "file", S_IFREG | 0644, O_RDWR);
  const OpenFile file{created->opened.handle};
  const Ino ino = created->entry.ino;
  EXPECT_TRUE(kernel.write(ino, file, 0, "text"));
  EXPECT_TRUE(kernel.unlink(root_ino, "file"));
  EXPECT_EQ(*kernel.read(ino, file, {0, 10}), "text");
  EXPECT_EQ(kernel.getattr(ino)->size, 4u) << "fstat(2) comes without a handle";
  EXPECT_EQ(kernel.setattr(ino, {.size = 2})->size, 2u);
  EXPECT_TRUE(kernel.release(ino, file));
  EXPECT_EQ(kernel.getattr(ino).code(), ENOENT);
  EXPECT_THAT(files.log(), Contains("read "));
  kernel.forget(ino);
  EXPECT_EQ(kernel.getattr(ino).code(), ESTALE);
}

TEST(PathAdapter, HidesAnOpenFileThatLosesItsName) {
  PathFiles files;
  FakeKernel kernel(by_path(files, {.hide_removed = true}), strict());
  const auto one = kernel.create(root_ino, "one", S_IFREG | 0644, O_RDWR);
  const auto two = kernel.create(root_ino, "two", S_IFREG | 0644, O_RDWR);
  EXPECT_TRUE(kernel.unlink(root_ino, "one"));
  EXPECT_EQ(files.count("unlink"), 0u);
  EXPECT_EQ(files.count("rename"), 1u);
  EXPECT_TRUE(kernel.getattr(one->entry.ino));
  EXPECT_THAT(files.log().back(), ::testing::StartsWith("getattr /.fuse_hidden"));
  EXPECT_EQ(kernel.lookup(root_ino, "one").code(), ENOENT);
  EXPECT_TRUE(kernel.create(root_ino, "three", S_IFREG | 0644, O_RDWR));
  EXPECT_TRUE(kernel.rename(root_ino, "three", root_ino, "two"));
  EXPECT_EQ(files.count("rename"), 3u) << "what is replaced is hidden first";
  EXPECT_TRUE(kernel.release(one->entry.ino, {one->opened.handle}));
  EXPECT_TRUE(kernel.release(two->entry.ino, {two->opened.handle}));
  EXPECT_EQ(files.count("unlink"), 2u) << "whoever closes it last removes it";
  const auto log = files.log();
  EXPECT_THAT(names_of(*kernel.readdir(root_ino, {kernel.opendir(root_ino)->handle})), ElementsAre(".", "..", "two"));
}

TEST(PathAdapter, HardLinksAreOneNode) {
  PathFiles files;
  FakeKernel kernel(by_path(files, {.use_ino = true, .hard_links = true}), strict());
  const auto made = kernel.mknod(root_ino, "a", S_IFREG | 0644);
  const auto linked = kernel.link(made->ino, root_ino, "b");
  EXPECT_EQ(linked->ino, made->ino);
  EXPECT_EQ(linked->attributes.nlink, 2u);
  EXPECT_EQ(linked->attributes.ino, made->attributes.ino);
  EXPECT_TRUE(kernel.unlink(root_ino, "a"));
  EXPECT_EQ(kernel.getattr(made->ino)->nlink, 1u);
  EXPECT_EQ(files.log().back(), "getattr /b");
  kernel.forget_all();
  const Ino b = kernel.lookup(root_ino, "b")->ino;
  EXPECT_TRUE(kernel.link(b, root_ino, "c"));
  kernel.forget_all();
  EXPECT_EQ(kernel.lookup(root_ino, "c")->ino, kernel.lookup(root_ino, "b")->ino) << "found by what getattr says";
}

TEST(PathAdapter, WithoutStableNumbersNamesAreNodes) {
  PathFiles files;
  FakeKernel kernel(files, strict());
  const auto made = kernel.mknod(root_ino, "a", S_IFREG | 0644);
  EXPECT_NE(kernel.link(made->ino, root_ino, "b")->ino, made->ino);
}

TEST(PathAdapter, ATemporaryFileGetsItsFirstNameByLink) {
  PathFiles files;
  FakeKernel kernel(files, strict());
  const auto created = kernel.tmpfile(root_ino, S_IFREG | 0600, O_RDWR);
  ASSERT_TRUE(created);
  const Ino ino = created->entry.ino;
  EXPECT_TRUE(kernel.write(ino, {created->opened.handle}, 0, "text"));
  EXPECT_EQ(kernel.link(ino, root_ino, "named")->ino, ino);
  EXPECT_EQ(kernel.getattr(ino)->size, 4u);
  EXPECT_EQ(files.log().back(), "getattr /named");
  EXPECT_TRUE(kernel.release(ino, {created->opened.handle}));
}

TEST(PathAdapter, RenameFlagsReachTheHandlerAndTheTree) {
  PathFiles files;
  files.put("/a", "1");
  files.put("/b", "22");
  FakeKernel kernel(files, strict());
  const Ino a = kernel.lookup(root_ino, "a")->ino;
  const Ino b = kernel.lookup(root_ino, "b")->ino;
  EXPECT_EQ(kernel.rename(root_ino, "a", root_ino, "b", {.no_replace = true}).code(), EEXIST);
  EXPECT_TRUE(kernel.rename(root_ino, "a", root_ino, "b", {.exchange = true}));
  EXPECT_EQ(kernel.getattr(a)->size, 1u);
  EXPECT_EQ(files.log().back(), "getattr /b");
  EXPECT_EQ(kernel.getattr(b)->size, 2u);
  EXPECT_EQ(files.log().back(), "getattr /a");
  EXPECT_TRUE(kernel.rename(root_ino, "a", root_ino, "b"));
  EXPECT_EQ(kernel.getattr(a).code(), ENOENT) << "it was replaced";
  EXPECT_EQ(kernel.lookup(root_ino, "b")->ino, b);
}

TEST(PathAdapter, ADirectoryDoesNotGetIntoItself) {
  PathFiles files;
  FakeKernel kernel(files, strict());
  const Ino a = kernel.mkdir(root_ino, "a")->ino;
  const Ino b = kernel.mkdir(a, "b")->ino;
  EXPECT_EQ(kernel.rename(root_ino, "a", b, "c").code(), EINVAL);
  EXPECT_EQ(kernel.rename(a, "b", root_ino, "a").code(), EINVAL);
  EXPECT_EQ(files.count("rename"), 0u);
}

TEST(PathAdapter, AListingIsReadOnceAndHandedOutInPieces) {
  PathFiles files;
  for (int i = 0; i < 200; ++i) files.put("/file" + std::to_string(1000 + i), "");
  FakeKernel kernel(files, strict());
  const OpenFile directory{kernel.opendir(root_ino)->handle};
  std::vector<std::string> all;
  std::uint64_t offset = 0;
  std::uint64_t fiftieth = 0;
  for (;;) {
    const auto part = kernel.readdir(root_ino, directory, offset, 512);
    ASSERT_TRUE(part);
    if (part->empty()) break;
    for (const auto& entry : *part) all.push_back(entry.name), offset = entry.next;
    if (fiftieth == 0 && all.size() > 50) fiftieth = offset;
  }
  EXPECT_EQ(all.size(), 202u);
  EXPECT_EQ(files.count("readdir"), 1u);
  files.put("/another", "");
  EXPECT_EQ(kernel.readdir(root_ino, directory, fiftieth, 512)->size() > 1, true) << "telldir and seekdir";
  EXPECT_EQ(files.count("readdir"), 1u);
  EXPECT_THAT(names_of(*kernel.readdir(root_ino, directory, 0, 4096)), Contains("another")) << "rewinddir";
  const auto plus = kernel.readdirplus(root_ino, directory, 0, 4096);
  ASSERT_TRUE(plus->at(2).entry);
  EXPECT_EQ(plus->at(2).entry->attributes.mode, mode_t{S_IFREG | 0644});
  EXPECT_FALSE(plus->at(0).entry) << "no lookup of .";
  EXPECT_TRUE(kernel.releasedir(root_ino, directory));
}

TEST(PathAdapter, ADirectoryMayGiveItsNamesByOffset) {
  struct Numbers : PathFileSystem {
    Reply<Attributes> getattr(const Context&, Path, const OpenFile*) override { return Attributes::directory(); }
    Reply<void> readdir(const Context&, Path, const OpenFile&, std::uint64_t offset, PathDirectorySink& sink) override {
      ++calls;
      while (offset < 100 && sink.add(std::to_string(offset), FileType::regular, Ino{offset + 5}, offset + 1)) ++offset;
      return {};
    }
    int calls = 0;
  } numbers;
  FakeKernel kernel(by_path(numbers, {.use_ino = true}), strict());
  const OpenFile directory{kernel.opendir(root_ino)->handle};
  std::size_t seen = 0;
  for (auto part = kernel.readdir(root_ino, directory, 0, 256); !part->empty();
       part = kernel.readdir(root_ino, directory, part->back().next, 256)) {
    EXPECT_EQ(part->front().name, std::to_string(seen));
    EXPECT_EQ(part->front().ino, Ino{seen + 5});
    seen += part->size();
  }
  EXPECT_EQ(seen, 100u);
  EXPECT_GT(numbers.calls, 5);
}

TEST(PathAdapter, OpenFilesDoWithoutPathsIfAsked) {
  PathFiles files;
  FakeKernel kernel(by_path(files, {.omit_paths = true}), strict());
  const auto created = kernel.create(root_ino, "file", S_IFREG | 0644, O_RDWR);
  const OpenFile file{created->opened.handle};
  EXPECT_TRUE(kernel.write(created->entry.ino, file, 0, "text"));
  EXPECT_EQ(kernel.getattr(created->entry.ino, file.handle)->size, 4u);
  EXPECT_EQ(kernel.getattr(created->entry.ino)->size, 4u);
  EXPECT_TRUE(kernel.release(created->entry.ino, file));
  EXPECT_THAT(files.log(), ElementsAre("create /file", "write ", "getattr ", "getattr /file", "release "));
}

TEST(PathAdapter, ShowsWhatTheOptionsSay) {
  PathFiles files;
  files.put("/file", "");
  PathOptions options;
  options.umask = 077;
  options.uid = 12;
  options.gid = 34;
  options.attr_timeout = std::chrono::seconds(7);
  options.entry_timeout = std::chrono::seconds(8);
  options.negative_timeout = std::chrono::seconds(9);
  options.kernel_cache = true;
  options.direct_io = true;
  FakeKernel kernel(by_path(files, options), strict());
  const auto entry = kernel.lookup(root_ino, "file");
  EXPECT_EQ(entry->attributes.mode, mode_t{S_IFREG | 0700});
  EXPECT_EQ(entry->attributes.uid, 12u);
  EXPECT_EQ(entry->attributes.gid, 34u);
  EXPECT_EQ(entry->attributes.ino, entry->ino) << "without use_ino";
  EXPECT_EQ(entry->timeout, std::chrono::seconds(8));
  EXPECT_EQ(entry->attributes.timeout, std::chrono::seconds(7));
  const auto absent = kernel.lookup(root_ino, "absent");
  ASSERT_TRUE(absent) << "a negative entry is a success";
  EXPECT_EQ(absent->ino, Ino{});
  EXPECT_EQ(absent->timeout, std::chrono::seconds(9));
  const auto opened = kernel.open(entry->ino, O_RDONLY);
  EXPECT_TRUE(opened->keep_cache);
  EXPECT_TRUE(opened->direct_io);
  EXPECT_TRUE(kernel.release(entry->ino, {opened->handle}));
}

TEST(PathAdapter, KeepsTheCacheOfAFileThatHasNotChanged) {
  PathFiles files;
  files.put("/file", "text");
  FakeKernel kernel(by_path(files, {.auto_cache = true, .ac_attr_timeout = std::chrono::nanoseconds(0)}), strict());
  const Ino ino = kernel.lookup(root_ino, "file")->ino;
  const auto keeps = [&] {
    const auto opened = kernel.open(ino, O_RDONLY);
    EXPECT_TRUE(kernel.release(ino, {opened->handle}));
    return opened->keep_cache;
  };
  EXPECT_FALSE(keeps()) << "nothing is cached yet";
  EXPECT_TRUE(keeps());
  files.put("/file", "another text");
  EXPECT_FALSE(keeps());
  EXPECT_TRUE(keeps());
}

TEST(PathAdapter, RemembersWhatTheKernelForgot) {
  PathFiles files;
  files.put("/file", "text");
  FakeKernel kernel(by_path(files, {.remember = PathOptions::for_ever}), strict());
  const Ino ino = kernel.lookup(root_ino, "file")->ino;
  kernel.forget(ino);
  EXPECT_EQ(kernel.getattr(ino)->size, 4u);
  EXPECT_EQ(kernel.lookup(root_ino, "file")->ino, ino);
}

TEST(PathAdapter, DecodesFileHandles) {
  PathFiles files;
  FakeKernel kernel(files, strict());
  const Ino a = kernel.mkdir(root_ino, "a")->ino;
  const Ino b = kernel.mkdir(a, "b")->ino;
  EXPECT_EQ(kernel.lookup(b, ".")->ino, b);
  EXPECT_EQ(kernel.lookup(b, "..")->ino, a);
  EXPECT_EQ(kernel.lookup(a, "..")->ino, root_ino);
}

TEST(PathAdapter, ASlowHandlerHoldsUpOnlyWhatWouldMakeItsPathALie) {
  struct Slow : PathFiles {
    Reply<Data> read(const Context& context, Path path, const OpenFile&, Range) override {
      const std::string before = path.string();
      const Result<void> slept = co_await sleep_for(context, std::chrono::seconds(1));
      if (!slept) co_return slept.error();
      co_return Data::own(before + " " + path.string());
    }
  } files;
  FakeKernel kernel(files, strict());
  const Ino a = kernel.mkdir(root_ino, "a")->ino;
  const Ino b = kernel.mkdir(a, "b")->ino;
  const auto created = kernel.create(b, "c", S_IFREG | 0644, O_RDWR);
  const auto other = kernel.mkdir(root_ino, "other");
  const auto reading = kernel.read(created->entry.ino, {created->opened.handle}, {0, 100});
  const auto renaming = kernel.rename(root_ino, "a", root_ino, "z");
  const auto removing = kernel.unlink(b, "c");
  EXPECT_TRUE(kernel.rename(root_ino, "other", root_ino, "another")) << "nobody is in the way";
  EXPECT_EQ(kernel.getattr(other->ino)->nlink, 1u);
  const auto late = kernel.getattr(created->entry.ino);
  EXPECT_FALSE(reading.answered());
  EXPECT_FALSE(renaming.answered());
  EXPECT_FALSE(removing.answered());
  EXPECT_FALSE(late.answered()) << "it came after the rename";
  kernel.advance(std::chrono::seconds(2));
  kernel.run_pending();
  EXPECT_EQ(*reading, "/a/b/c /a/b/c");
  EXPECT_TRUE(renaming);
  EXPECT_TRUE(removing);
  EXPECT_TRUE(late);
  EXPECT_EQ(files.lies(), 0u);
  EXPECT_TRUE(kernel.release(created->entry.ino, {created->opened.handle}));
}

TEST(PathAdapter, AskedForTooManyNodesItAsksTheKernelToLetGo) {
  PathFiles files;
  for (int i = 0; i < 200; ++i) files.put("/" + std::to_string(i), "");
  for (const std::uint32_t minor : {44u, 45u}) {
    FakeKernelOptions options = strict();
    options.minor = minor;
    FakeKernel kernel(by_path(files, {.max_nodes = 100}), options);
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(kernel.lookup(root_ino, std::to_string(i)));
    kernel.run_pending();
    const auto notified = kernel.notifications();
    ASSERT_FALSE(notified.empty());
    EXPECT_EQ(notified.front().name, minor < 45 ? "INVAL_ENTRY" : "PRUNE");
  }
}

TEST(PathNotifications, FindTheirNode) {
  PathFiles files;
  FakeKernel kernel(files, strict());
  const PathNotifier notifier = files.notifier();
  const Ino a = kernel.mkdir(root_ino, "a")->ino;
  const Ino b = kernel.mkdir(a, "b")->ino;
  EXPECT_EQ(*notifier.node("/"), root_ino);
  EXPECT_EQ(*notifier.node("/a/b"), b);
  EXPECT_EQ(notifier.node("/a/c").error().code(), ENOENT);
  EXPECT_EQ(notifier.node("/x/y/z").error().code(), ENOENT);
  EXPECT_EQ(notifier.node("a").error().code(), EINVAL);
  EXPECT_TRUE(notifier.inval_attributes("/a/b"));
  EXPECT_TRUE(notifier.inval_entry("/a/unknown"));
  EXPECT_TRUE(notifier.deleted("/a/b"));
  EXPECT_EQ(notifier.inval_entry("/").error().code(), EINVAL);
  kernel.run_pending();
  std::vector<std::string> names;
  for (const Notified& notified : kernel.notifications()) names.push_back(notified.name);
  EXPECT_THAT(names, ElementsAre("INVAL_INODE", "INVAL_ENTRY", "DELETE"));
}

}  // namespace
}  // namespace fuselage
