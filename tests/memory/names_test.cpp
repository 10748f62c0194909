#include <sys/sysmacros.h>

#include <random>

#include "harness.hpp"

namespace fuselage::memory {
namespace {

class MemoryNames : public testing::Test, public Harness {};

TEST_F(MemoryNames, EveryKindOfNodeCanBeMadeAndIsListedAsWhatItIs) {
  directory(root_ino, "dir");
  file(root_ino, "file");
  EXPECT_EQ(code(now(fs.symlink(context, root_ino, "link", "a/b"))), 0);
  const dev_t device = makedev(300, 70000);
  for (const auto& [name, type] : std::map<std::string, mode_t>{
           {"fifo", S_IFIFO}, {"socket", S_IFSOCK}, {"char", S_IFCHR}, {"block", S_IFBLK}, {"plain", S_IFREG}}) {
    const auto entry = now(fs.mknod(context, root_ino, name, type | 0640, device)).value();
    EXPECT_EQ(entry.attributes.mode, type | 0640);
    EXPECT_EQ(entry.attributes.rdev, type == S_IFCHR || type == S_IFBLK ? device : 0);
  }
  EXPECT_EQ(code(now(fs.mknod(context, root_ino, "d", S_IFDIR, 0))), EPERM);
  EXPECT_EQ(code(now(fs.mknod(context, root_ino, "l", S_IFLNK, 0))), EINVAL);
  EXPECT_EQ(now(fs.readlink(context, find(root_ino, "link"))).value(), "a/b");
  EXPECT_EQ(code(now(fs.readlink(context, root_ino))), EINVAL);
  for (const auto& entry : list_some(root_ino, 0)) {
    if (entry.name == "..") continue;
    const Ino ino = entry.name == "." ? root_ino : find(root_ino, entry.name);
    EXPECT_EQ(entry.ino, ino);
    EXPECT_EQ(entry.type, (stat(ino).mode & S_IFMT) >> 12) << entry.name;
  }
  EXPECT_EQ(list(root_ino).size(), 8u);
}

TEST_F(MemoryNames, NamesAreBytesUpTo255) {
  const std::string longest(255, '\xff');
  const Ino ino = file(root_ino, longest);
  EXPECT_EQ(find(root_ino, longest), ino);
  EXPECT_EQ(list(root_ino), std::vector<std::string>{longest});
  const std::string longer(256, 'x');
  EXPECT_EQ(code(now(fs.lookup(context, root_ino, longer))), ENAMETOOLONG);
  EXPECT_EQ(code(now(fs.mkdir(context, root_ino, longer, 0755))), ENAMETOOLONG);
  EXPECT_EQ(unlink(root_ino, longer), ENAMETOOLONG);
  EXPECT_EQ(link(ino, root_ino, longer), ENAMETOOLONG);
  EXPECT_EQ(rename(root_ino, longest, root_ino, longer), ENAMETOOLONG);
  EXPECT_EQ(code(now(fs.symlink(context, root_ino, "s", std::string(4096, 'x')))), ENAMETOOLONG);
  EXPECT_EQ(code(now(fs.symlink(context, root_ino, "s", std::string(4095, 'x')))), 0);
}

TEST_F(MemoryNames, NameThatIsNotThereMayBeRemembered) {
  const auto entry = now(fs.lookup(context, root_ino, "nothing")).value();
  EXPECT_EQ(entry.ino, Ino{});
  EXPECT_GT(*entry.timeout, std::chrono::hours(1));
}

TEST_F(MemoryNames, DotsLeadToTheDirectoryAndItsParent) {
  const Ino outer = directory(root_ino, "outer");
  const Ino inner = directory(outer, "inner");
  EXPECT_EQ(find(inner, "."), inner);
  EXPECT_EQ(find(inner, ".."), outer);
  const Ino leaf = file(inner, "leaf");
  EXPECT_EQ(find(leaf, "."), leaf);
  EXPECT_EQ(unlink(inner, "leaf"), 0);
  EXPECT_EQ(find(root_ino, ".."), root_ino);
  EXPECT_EQ(rename(outer, "inner", root_ino, "moved"), 0);
  EXPECT_EQ(find(inner, ".."), root_ino);
  EXPECT_EQ(list_some(inner, 1).at(0).ino, root_ino);
}

TEST_F(MemoryNames, WhatIsNoDirectoryHasNoNames) {
  const Ino ino = file(root_ino, "file");
  EXPECT_EQ(code(now(fs.lookup(context, ino, "x"))), ENOTDIR);
  EXPECT_EQ(code(now(fs.mkdir(context, ino, "x", 0755))), ENOTDIR);
  EXPECT_EQ(unlink(ino, "x"), ENOTDIR);
  EXPECT_EQ(rename(root_ino, "file", ino, "x"), ENOTDIR);
  EXPECT_EQ(rename(ino, "x", root_ino, "file"), ENOTDIR);
}

TEST_F(MemoryNames, CreateOpensWhatIsThereUnlessExclusive) {
  const Ino ino = file(root_ino, "file");
  put(ino, 0, "text");
  EXPECT_EQ(code(now(fs.create(context, root_ino, "file", S_IFREG, OpenFlags{O_RDWR | O_EXCL}))), EEXIST);
  const auto opened = now(fs.create(context, root_ino, "file", S_IFREG, OpenFlags{O_RDWR})).value();
  EXPECT_EQ(opened.entry.ino, ino);
  EXPECT_EQ(opened.entry.attributes.size, 4u);
  const auto truncated = now(fs.create(context, root_ino, "file", S_IFREG, OpenFlags{O_RDWR | O_TRUNC})).value();
  EXPECT_EQ(truncated.entry.attributes.size, 0u);
  directory(root_ino, "dir");
  EXPECT_EQ(code(now(fs.create(context, root_ino, "dir", S_IFREG, OpenFlags{O_RDWR}))), EISDIR);
}

TEST_F(MemoryNames, RemovingFollowsTheRulesOfUnlinkAndRmdir) {
  const Ino dir = directory(root_ino, "dir");
  file(dir, "file");
  EXPECT_EQ(unlink(root_ino, "dir"), EISDIR);
  EXPECT_EQ(rmdir(dir, "file"), ENOTDIR);
  EXPECT_EQ(rmdir(root_ino, "dir"), ENOTEMPTY);
  EXPECT_EQ(rmdir(root_ino, "nothing"), ENOENT);
  EXPECT_EQ(unlink(dir, "file"), 0);
  EXPECT_EQ(unlink(dir, "file"), ENOENT);
  EXPECT_EQ(rmdir(root_ino, "dir"), 0);
  EXPECT_EQ(stat(dir).nlink, 0u);
  EXPECT_EQ(code(now(fs.mkdir(context, dir, "x", 0755))), ENOENT) << "nothing can be made in a removed directory";
  EXPECT_EQ(code(now(fs.tmpfile(context, dir, S_IFREG, OpenFlags{O_RDWR}))), ENOENT);
  EXPECT_TRUE(list(dir).empty());
}

TEST_F(MemoryNames, UnlinkedFileLivesUntilItIsForgotten) {
  const Ino ino = file(root_ino, "file");
  put(ino, 0, "still here");
  EXPECT_EQ(unlink(root_ino, "file"), 0);
  EXPECT_EQ(read(ino), "still here");
  EXPECT_EQ(stat(ino).nlink, 0u);
  EXPECT_EQ(link(ino, root_ino, "again"), ENOENT);
  EXPECT_EQ(fs.usage().inodes, 2u);
  fs.forget(ino, 1);
  EXPECT_EQ(fs.usage().inodes, 1u);
  EXPECT_EQ(fs.usage().bytes, 0u);
  EXPECT_EQ(code(now(fs.getattr(context, ino, nullptr))), ESTALE);
  EXPECT_EQ(code(write(ino, 0, "x")), ESTALE);
  EXPECT_EQ(code(now(fs.lookup(context, ino, "x"))), ESTALE);
}

TEST_F(MemoryNames, NamedFileLivesThoughItIsForgotten) {
  const Ino ino = file(root_ino, "file");
  put(ino, 0, "text");
  fs.forget(ino, 1);
  EXPECT_EQ(find(root_ino, "file"), ino);
  EXPECT_EQ(read(ino), "text");
}

TEST_F(MemoryNames, HardLinksAreOneNode) {
  const Ino ino = file(root_ino, "a");
  EXPECT_EQ(link(ino, root_ino, "b"), 0);
  EXPECT_EQ(find(root_ino, "b"), ino);
  EXPECT_EQ(stat(ino).nlink, 2u);
  EXPECT_EQ(link(ino, root_ino, "b"), EEXIST);
  EXPECT_EQ(link(directory(root_ino, "d"), root_ino, "e"), EPERM);
  EXPECT_EQ(rename(root_ino, "a", root_ino, "b"), 0);
  EXPECT_EQ(stat(ino).nlink, 2u) << "renaming one name of a file to another does nothing";
  EXPECT_EQ(unlink(root_ino, "a"), 0);
  fs.forget(ino, 1);
  EXPECT_EQ(stat(ino).nlink, 1u);
  EXPECT_EQ(unlink(root_ino, "b"), 0);
  EXPECT_EQ(code(now(fs.getattr(context, ino, nullptr))), ESTALE);
}

TEST_F(MemoryNames, LinksOfAFileAreLimited) {
  const Ino ino = file(root_ino, "0");
  int failed = 0;
  std::uint32_t count = 1;
  for (; failed == 0; ++count) failed = link(ino, root_ino, std::to_string(count));
  EXPECT_EQ(failed, EMLINK);
  EXPECT_EQ(stat(ino).nlink, 65000u);
}

TEST_F(MemoryNames, TmpfileGetsItsNameByLinkUnlessExclusive) {
  const Ino ino = tmpfile();
  EXPECT_EQ(stat(ino).nlink, 0u);
  EXPECT_TRUE(list(root_ino).empty());
  put(ino, 0, "text");
  EXPECT_EQ(link(ino, root_ino, "named"), 0);
  EXPECT_EQ(stat(ino).nlink, 1u);
  fs.forget(ino, 1);
  EXPECT_EQ(read(find(root_ino, "named")), "text");

  const Ino exclusive = tmpfile(O_EXCL);
  EXPECT_EQ(link(exclusive, root_ino, "other"), ENOENT);
  fs.forget(exclusive, 1);
  EXPECT_EQ(fs.usage().inodes, 2u);
}

TEST_F(MemoryNames, DirectoriesCountTheirSubdirectories) {
  EXPECT_EQ(stat(root_ino).nlink, 2u);
  const Ino a = directory(root_ino, "a");
  const Ino b = directory(root_ino, "b");
  EXPECT_EQ(stat(root_ino).nlink, 4u);
  directory(a, "sub");
  EXPECT_EQ(rename(a, "sub", b, "sub"), 0);
  EXPECT_EQ(stat(a).nlink, 2u);
  EXPECT_EQ(stat(b).nlink, 3u);
  file(a, "file");
  EXPECT_EQ(rename(a, "file", b, "sub", {.exchange = true}), 0);
  EXPECT_EQ(stat(a).nlink, 3u);
  EXPECT_EQ(stat(b).nlink, 2u);
  directory(b, "target");
  EXPECT_EQ(rename(a, "file", b, "target"), 0) << "the directory is called so since the exchange";
  EXPECT_EQ(stat(a).nlink, 2u);
  EXPECT_EQ(stat(b).nlink, 3u);
  EXPECT_EQ(unlink(b, "sub"), 0);
  EXPECT_EQ(rmdir(b, "target"), 0);
  EXPECT_EQ(rmdir(root_ino, "b"), 0);
  EXPECT_EQ(stat(root_ino).nlink, 3u);
}

TEST_F(MemoryNames, RenameFollowsItsRules) {
  const Ino dir = directory(root_ino, "dir");
  const Ino sub = directory(dir, "sub");
  const Ino empty = directory(root_ino, "empty");
  const Ino a = file(root_ino, "a");
  const Ino b = file(root_ino, "b");
  EXPECT_EQ(rename(root_ino, "nothing", root_ino, "x"), ENOENT);
  EXPECT_EQ(rename(root_ino, "a", root_ino, "dir"), EISDIR);
  EXPECT_EQ(rename(root_ino, "dir", root_ino, "a"), ENOTDIR);
  EXPECT_EQ(rename(root_ino, "empty", root_ino, "dir"), ENOTEMPTY);
  EXPECT_EQ(rename(root_ino, "dir", dir, "x"), EINVAL);
  EXPECT_EQ(rename(root_ino, "dir", sub, "x"), EINVAL);
  EXPECT_EQ(rename(dir, "sub", root_ino, "dir"), ENOTEMPTY) << "onto its own parent";
  EXPECT_EQ(rename(dir, "sub", root_ino, "dir", {.exchange = true}), EINVAL);
  EXPECT_EQ(rename(root_ino, "dir", dir, "sub", {.exchange = true}), EINVAL);
  EXPECT_EQ(rename(root_ino, "dir", root_ino, "dir"), 0);
  EXPECT_EQ(rename(root_ino, "a", root_ino, "b", {.no_replace = true}), EEXIST);
  EXPECT_EQ(rename(root_ino, "a", root_ino, "x", {.exchange = true}), ENOENT);
  EXPECT_EQ(rename(root_ino, "a", root_ino, "b", {.no_replace = true, .exchange = true}), EINVAL);
  EXPECT_EQ(rename(root_ino, "a", root_ino, "..", {}), EBUSY);

  EXPECT_EQ(rename(root_ino, "a", root_ino, "b", {.exchange = true}), 0);
  EXPECT_EQ(find(root_ino, "a"), b);
  EXPECT_EQ(find(root_ino, "b"), a);
  EXPECT_EQ(rename(root_ino, "a", root_ino, "b"), 0);
  EXPECT_EQ(find(root_ino, "a"), Ino{});
  EXPECT_EQ(stat(a).nlink, 0u);
  EXPECT_EQ(rename(dir, "sub", root_ino, "empty"), 0);
  EXPECT_EQ(find(root_ino, "empty"), sub);
  EXPECT_EQ(stat(empty).nlink, 0u);
  EXPECT_EQ(rename(root_ino, "b", empty, "x"), ENOENT) << "into a removed directory";
  EXPECT_EQ(rename(root_ino, "b", dir, "c", {.no_replace = true}), 0);
  EXPECT_EQ(list(dir), std::vector<std::string>{"c"});
}

TEST_F(MemoryNames, RenameCanLeaveAWhiteoutBehind) {
  const Ino ino = file(root_ino, "lower");
  EXPECT_EQ(rename(root_ino, "lower", root_ino, "upper", {.exchange = true, .whiteout = true}), EINVAL);
  EXPECT_EQ(rename(root_ino, "lower", root_ino, "upper", {.whiteout = true}), 0);
  EXPECT_EQ(find(root_ino, "upper"), ino);
  const Attributes whiteout = stat(find(root_ino, "lower"));
  EXPECT_EQ(whiteout.mode, static_cast<mode_t>(S_IFCHR));
  EXPECT_EQ(whiteout.rdev, 0u);
  EXPECT_EQ(unlink(root_ino, "lower"), 0);
  EXPECT_EQ(fs.usage().inodes, 2u);
}

TEST_F(MemoryNames, ListingGoesOnWhereItWasWhileOthersComeAndGo) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::set<std::string> staying;
  for (int i = 0; i < 500; ++i) {
    file(root_ino, "stay" + std::to_string(i));
    staying.insert("stay" + std::to_string(i));
    file(root_ino, "go" + std::to_string(i));
  }
  std::multiset<std::string> seen;
  std::uint64_t offset = 0;
  int fresh = 0;
  for (;;) {
    const auto some = list_some(root_ino, offset, 512);
    if (some.empty()) break;
    for (const auto& entry : some) seen.insert(entry.name);
    offset = some.back().next;
    for (int i = 0; i < 20; ++i) unlink(root_ino, "go" + std::to_string(random() % 500));
    for (int i = 0; i < 3 && fresh < 300; ++i) file(root_ino, "new" + std::to_string(fresh++));
    // A name that is replaced stays, too.
    file(root_ino, "temporary");
    EXPECT_EQ(rename(root_ino, "temporary", root_ino, "stay" + std::to_string(random() % 500)), 0);
  }
  for (const auto& name : staying) EXPECT_EQ(seen.count(name), 1u) << name;
  for (const auto& name : seen) EXPECT_EQ(seen.count(name), 1u) << name;
}

TEST_F(MemoryNames, WholeEntriesOfAListingCountAsLookups) {
  const Ino named = file(root_ino, "a");
  const Ino dir = directory(root_ino, "b");
  for (int i = 0; i < 100; ++i) file(root_ino, "filler" + std::to_string(i));
  std::vector<std::byte> buffer(3 * 160 + 64);  // ".", "..", "a" and not all others
  DirectorySink sink(buffer, true, {}, {});
  ASSERT_EQ(code(now(fs.readdir(context, root_ino, {}, 0, sink))), 0);
  ASSERT_GT(sink.packed().size(), 2 * 152u);
  EXPECT_EQ(unlink(root_ino, "a"), 0);
  fs.forget(named, 1);
  EXPECT_EQ(stat(named).nlink, 0u) << "the listing's lookup keeps it";
  fs.forget(named, 1);
  EXPECT_EQ(code(now(fs.getattr(context, named, nullptr))), ESTALE);
  EXPECT_EQ(rmdir(root_ino, "b"), 0);
  fs.forget(dir, 1);
  EXPECT_EQ(code(now(fs.getattr(context, dir, nullptr))), ESTALE) << "what was not added was not counted";
}

TEST_F(MemoryNames, InodesAreLimitedAndGivenBack) {
  Harness small({.size = 1 << 20, .inodes = 3});
  small.file(root_ino, "a");
  small.file(root_ino, "b");
  EXPECT_EQ(code(now(small.fs.mkdir(context, root_ino, "c", 0755))), ENOSPC);
  EXPECT_EQ(code(now(small.fs.tmpfile(context, root_ino, S_IFREG, OpenFlags{}))), ENOSPC);
  EXPECT_EQ(small.rename(root_ino, "a", root_ino, "c", {.whiteout = true}), ENOSPC);
  EXPECT_EQ(now(small.fs.statfs(context, root_ino)).value().files_free, 0u);
  const Ino a = small.find(root_ino, "a");
  EXPECT_EQ(small.unlink(root_ino, "a"), 0);
  small.fs.forget(a, 1);
  small.directory(root_ino, "c");
}

TEST_F(MemoryNames, DeepTreeIsDestroyedWithoutRecursion) {
  Ino ino = root_ino;
  for (int depth = 0; depth < 30'000; ++depth) {
    const Ino next = directory(ino, "d");
    fs.forget(next, 1);
    ino = next;
  }
}

TEST(MemoryDirectory, FindsItsNamesThroughAnyHistory) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  Directory directory;
  std::map<std::string, Ino> model;
  for (std::uint64_t step = 1; step < 100'000; ++step) {
    // Grows for a while, then shrinks.
    const std::string name = std::to_string(random() % 3000);
    const bool grows = random() % 10 < (step / 10'000 % 2 == 0 ? 7u : 3u);
    const Name* found = directory.find(name);
    const auto expected = model.find(name);
    ASSERT_EQ(found != nullptr, expected != model.end());
    if (found != nullptr) {
      ASSERT_EQ(found->ino, expected->second);
      ASSERT_EQ(found->text, name);
    }
    if (found == nullptr && grows) {
      directory.insert(name, Ino{step}, FileType::regular);
      model[name] = Ino{step};
    } else if (found != nullptr && !grows) {
      directory.erase(name);
      model.erase(name);
    } else if (found != nullptr) {
      directory.replace(name, Ino{step}, FileType::directory);
      model[name] = Ino{step};
    }
    ASSERT_EQ(directory.size(), model.size());
  }
  std::size_t visited = 0;
  std::uint64_t last = 0;
  directory.visit_after(0, [&](const Name& name) {
    EXPECT_GT(name.cursor, last);
    last = name.cursor;
    EXPECT_EQ(model.at(name.text), name.ino);
    ++visited;
    return true;
  });
  EXPECT_EQ(visited, model.size());
}

}  // namespace
}  // namespace fuselage::memory
