#include <linux/falloc.h>

#include <fuselage/options.hpp>

#include "harness.hpp"

namespace fuselage::memory {
namespace {

class MemoryAttributes : public testing::Test, public Harness {};

TEST_F(MemoryAttributes, NewNodesBelongToTheirMaker) {
  context.uid = 1000;
  context.gid = 2000;
  const Attributes attributes = stat(file(root_ino, "file", 0640));
  EXPECT_EQ(attributes.mode, S_IFREG | 0640u);
  EXPECT_EQ(attributes.uid, 1000u);
  EXPECT_EQ(attributes.gid, 2000u);
  EXPECT_EQ(attributes.nlink, 1u);
  EXPECT_EQ(attributes.btime, attributes.ctime);
}

TEST_F(MemoryAttributes, SetgidDirectoryHandsItsGroupDown) {
  const Ino shared = directory(root_ino, "shared", 02775);
  EXPECT_EQ(set(shared, {.gid = 77}).value().gid, 77u);
  context.uid = 1000;
  context.gid = 1000;
  EXPECT_EQ(stat(directory(shared, "sub", 0755)).mode, S_IFDIR | 02755u);
  EXPECT_EQ(stat(find(shared, "sub")).gid, 77u);
  EXPECT_EQ(stat(file(shared, "file", 0644)).gid, 77u);
  EXPECT_EQ(stat(file(shared, "program", 02755)).mode, S_IFREG | 0755u) << "not a member of that group";
  context.gid = 77;
  EXPECT_EQ(stat(file(shared, "allowed", 02755)).mode, S_IFREG | 02755u);
}

TEST_F(MemoryAttributes, ChangesExactlyWhatIsSet) {
  const Ino ino = file(root_ino, "file", 0644);
  const Timestamp moment{.seconds = -5, .nanoseconds = 999'999'999};
  const Attributes before = stat(ino);
  EXPECT_EQ(set(ino, {.mtime = moment}).value().mtime, moment);
  EXPECT_EQ(set(ino, {.mode = S_IFREG | 04711}).value().mode, S_IFREG | 04711u);
  EXPECT_EQ(set(ino, {.uid = 5}).value().uid, 5u);
  const Attributes after = stat(ino);
  EXPECT_EQ(after.mtime, moment);
  EXPECT_EQ(after.atime, before.atime);
  EXPECT_EQ(after.gid, before.gid);
  EXPECT_EQ(after.btime, before.btime);
  EXPECT_GT(after.ctime, before.ctime);
  EXPECT_EQ(set(ino, {.ctime = moment}).value().ctime, moment) << "the kernel's own, with the writeback cache";
}

TEST_F(MemoryAttributes, SetuidAndSetgidGoWhenTheKernelSaysSo) {
  const Ino ino = file(root_ino, "file", 06755);
  put(ino, 0, "root may");
  EXPECT_EQ(stat(ino).mode, S_IFREG | 06755u);
  EXPECT_EQ(write(ino, 0, "x", {.kill_suidgid = true}).value(), 1u);
  EXPECT_EQ(stat(ino).mode, S_IFREG | 0755u);
  EXPECT_EQ(code(set(ino, {.mode = 06755})), 0);
  EXPECT_EQ(set(ino, {.uid = 1, .kill_suidgid = true}).value().mode, S_IFREG | 0755u);
  EXPECT_EQ(code(set(ino, {.mode = 06745})), 0);
  EXPECT_EQ(set(ino, {.size = 0, .kill_suidgid = true}).value().mode, S_IFREG | 02745u)
      << "without group execution, setgid once meant mandatory locking and stays";
}

TEST_F(MemoryAttributes, ModesThatAWriteMayChangeAreNotCached) {
  EXPECT_GT(*stat(file(root_ino, "plain", 0755)).timeout, std::chrono::hours(1));
  EXPECT_EQ(stat(file(root_ino, "setuid", 04755)).timeout, std::chrono::nanoseconds(0));
  EXPECT_EQ(stat(file(root_ino, "setgid", 02755)).timeout, std::chrono::nanoseconds(0));
  EXPECT_GT(*stat(directory(root_ino, "shared", 02755)).timeout, std::chrono::hours(1));
}

TEST_F(MemoryAttributes, CapabilitiesGoWithEveryChangeOfContentOrOwner) {
  const Ino ino = file(root_ino, "file");
  const auto change = [&](int which) {
    if (which == 0) return code(write(ino, 0, "x"));
    if (which == 1) return code(set(ino, {.size = 0}));
    if (which == 2) return code(set(ino, {.gid = 1}));
    if (which == 3) return fallocate(ino, 0, 0, 10);
    return code(set(ino, {.mode = 0700}));
  };
  for (int which = 0; which < 5; ++which) {
    ASSERT_EQ(code(now(fs.setxattr(context, ino, "security.capability", bytes_of("cap"), {}))), 0);
    EXPECT_EQ(change(which), 0);
    EXPECT_EQ(code(now(fs.getxattr(context, ino, "security.capability"))), which < 4 ? ENODATA : 0) << which;
  }
}

TEST_F(MemoryAttributes, TimesFollowWhatHappens) {
  const Ino dir = directory(root_ino, "dir");
  const Ino ino = file(dir, "file");
  const Timestamp past{.seconds = 1000};
  const auto reset = [&](Ino node) { EXPECT_EQ(code(set(node, {.atime = past, .mtime = past, .ctime = past})), 0); };
  const auto moved = [&](Ino node) {
    const Attributes attributes = stat(node);
    std::string names;
    if (attributes.atime != past) names += 'a';
    if (attributes.mtime != past) names += 'm';
    if (attributes.ctime != past) names += 'c';
    reset(node);
    return names;
  };
  reset(dir);
  reset(ino);
  put(ino, 0, "x");
  EXPECT_EQ(moved(ino), "mc");
  EXPECT_EQ(read(ino), "x");
  EXPECT_EQ(moved(ino), "a");
  resize(ino, 5);
  EXPECT_EQ(moved(ino), "mc");
  EXPECT_EQ(fallocate(ino, 0, 0, 10), 0);
  EXPECT_EQ(moved(ino), "mc");
  EXPECT_EQ(code(now(fs.setxattr(context, ino, "user.x", bytes_of("y"), {}))), 0);
  EXPECT_EQ(moved(ino), "c");
  EXPECT_EQ(moved(dir), "");
  EXPECT_EQ(link(ino, dir, "second"), 0);
  EXPECT_EQ(moved(ino), "c");
  EXPECT_EQ(moved(dir), "mc");
  EXPECT_EQ(rename(dir, "second", root_ino, "third"), 0);
  EXPECT_EQ(moved(ino), "c");
  EXPECT_EQ(moved(dir), "mc");
  EXPECT_EQ(unlink(root_ino, "third"), 0);
  EXPECT_EQ(moved(ino), "c");
  list(dir);
  EXPECT_EQ(moved(dir), "a");
}

TEST_F(MemoryAttributes, AtimeMovesAsRelatimeSays) {
  const Ino ino = file(root_ino, "file");
  put(ino, 0, "x");
  const std::int64_t present = Timestamp::now().seconds;
  const Timestamp hour_ago{.seconds = present - 3600};
  const Timestamp two_hours_ago{.seconds = present - 7200};
  EXPECT_EQ(code(set(ino, {.atime = hour_ago, .mtime = two_hours_ago, .ctime = two_hours_ago})), 0);
  EXPECT_EQ(read(ino), "x");
  EXPECT_EQ(stat(ino).atime, hour_ago) << "younger than the last change, and than a day";
  const Timestamp days_ago{.seconds = present - 200'000};
  EXPECT_EQ(code(set(ino, {.atime = days_ago, .mtime = {{.seconds = 1}}, .ctime = {{.seconds = 1}}})), 0);
  EXPECT_EQ(read(ino), "x");
  EXPECT_GE(stat(ino).atime.seconds, present);
}

TEST_F(MemoryAttributes, PagesWrittenBackDoNotMoveTimesThatTheKernelKeeps) {
  Negotiation negotiation;
  negotiation.offered = negotiation.wanted = Capability::WRITEBACK_CACHE;
  EXPECT_EQ(code(fs.init(negotiation)), 0);
  const Ino ino = file(root_ino, "file");
  const Timestamp past{.seconds = 1000};
  EXPECT_EQ(code(set(ino, {.mtime = past})), 0);
  EXPECT_EQ(write(ino, 0, "x", {.from_cache = true}).value(), 1u);
  EXPECT_EQ(stat(ino).mtime, past);
  put(ino, 0, "y");
  EXPECT_NE(stat(ino).mtime, past);
}

TEST_F(MemoryAttributes, XattrsAreKeptAsGiven) {
  const Ino ino = file(root_ino, "file");
  const auto put_xattr = [&](std::string_view name, std::string_view value, XattrFlags flags = {}) {
    return code(now(fs.setxattr(context, ino, name, bytes_of(value), flags)));
  };
  const auto get_xattr = [&](std::string_view name) {
    const auto data = now(fs.getxattr(context, ino, name));
    return data ? std::string(text_of(data->bytes())) : "error " + std::to_string(data.error().code());
  };
  using namespace std::string_literals;
  EXPECT_EQ(put_xattr("user.a", "one\0two"s), 0);
  EXPECT_EQ(get_xattr("user.a"), "one\0two"s);
  EXPECT_EQ(put_xattr("user.a", "", {.create = true}), EEXIST);
  EXPECT_EQ(put_xattr("user.b", "", {.replace = true}), ENODATA);
  EXPECT_EQ(put_xattr("user.a", ""), 0);
  EXPECT_EQ(get_xattr("user.a"), "");
  EXPECT_EQ(get_xattr("user.b"), "error " + std::to_string(ENODATA));
  EXPECT_EQ(put_xattr("trusted.t", "t"), 0);
  EXPECT_EQ(put_xattr("system.posix_acl_access", "acl"), 0);
  EXPECT_EQ(put_xattr("system.other", "x"), EOPNOTSUPP);
  EXPECT_EQ(put_xattr("nonsense", "x"), EOPNOTSUPP);
  EXPECT_EQ(put_xattr("user.", "x"), EINVAL);
  EXPECT_EQ(put_xattr("user." + std::string(251, 'x'), "x"), ERANGE);
  EXPECT_EQ(put_xattr("user.big", std::string(65536, 'x')), 0);
  EXPECT_EQ(put_xattr("user.big", std::string(65537, 'x')), E2BIG);
  const std::vector<std::string> all{"system.posix_acl_access", "trusted.t", "user.a", "user.big"};
  EXPECT_EQ(now(fs.listxattr(context, ino)).value(), all);
  Context other(1000, 1000, 1);
  EXPECT_EQ(now(fs.listxattr(other, ino)).value(), (std::vector<std::string>{all[0], all[2], all[3]}));
  for (const auto& name : all) EXPECT_EQ(code(now(fs.removexattr(context, ino, name))), 0);
  EXPECT_EQ(code(now(fs.removexattr(context, ino, "user.a"))), ENODATA);
  EXPECT_EQ(fs.usage().bytes, 0u);
}

TEST_F(MemoryAttributes, XattrsUseSpace) {
  Harness small({.size = 1000, .inodes = 10});
  const Ino ino = small.file(root_ino, "file");
  const auto put_xattr = [&](std::size_t size) {
    return code(now(small.fs.setxattr(context, ino, "user.x", bytes_of(std::string(size, 'x')), {})));
  };
  EXPECT_EQ(put_xattr(995), ENOSPC);
  EXPECT_EQ(put_xattr(994), 0);
  EXPECT_EQ(put_xattr(10), 0);
  EXPECT_EQ(small.fs.usage().bytes, 16u);
  EXPECT_EQ(small.unlink(root_ino, "file"), 0);
  small.fs.forget(ino, 1);
  EXPECT_EQ(small.fs.usage().bytes, 0u);
}

TEST_F(MemoryAttributes, StatfsTellsTheLimits) {
  const StatFs empty = now(fs.statfs(context, root_ino)).value();
  EXPECT_EQ(empty.blocks * empty.fragment_size, 1u << 30);
  EXPECT_EQ(empty.blocks_free, empty.blocks);
  EXPECT_EQ(empty.files, 1u << 20);
  EXPECT_EQ(empty.files_free, empty.files - 1);
  put(file(root_ino, "file"), 0, "x");
  const StatFs used = now(fs.statfs(context, root_ino)).value();
  EXPECT_EQ(used.blocks_free, empty.blocks - 1);
  EXPECT_EQ(used.files_free, empty.files - 2);
  Harness unlimited({.size = 0, .inodes = 0});
  EXPECT_GT(now(unlimited.fs.statfs(context, root_ino)).value().blocks_free, 1u << 30);
}

TEST_F(MemoryAttributes, OptionsComeFromTheCommandLine) {
  Options options;
  OptionSet set;
  options.add_to(set);
  ASSERT_EQ(code(set.parse("size=64M,inodes=100,mode=1777,uid=7,gid=8")), 0);
  Harness made(options);
  const Attributes root = made.stat(root_ino);
  EXPECT_EQ(root.mode, S_IFDIR | 01777u);
  EXPECT_EQ(root.uid, 7u);
  EXPECT_EQ(root.gid, 8u);
  EXPECT_EQ(now(made.fs.statfs(context, root_ino)).value().blocks, (64u << 20) / page_size);
  EXPECT_EQ(now(made.fs.statfs(context, root_ino)).value().files, 100u);
}

TEST_F(MemoryAttributes, TheKernelIsSparedRoundTripsForWhatIsNotOverridden) {
  const OperationSet operations = operations_of<Memory>();
  EXPECT_TRUE(operations.contains(1));                                           // LOOKUP
  for (const unsigned opcode : {14u, 18u, 20u, 25u, 27u, 29u, 30u, 31u, 34u}) {  // OPEN ... ACCESS
    EXPECT_FALSE(operations.contains(opcode)) << opcode;
  }
}

}  // namespace
}  // namespace fuselage::memory
