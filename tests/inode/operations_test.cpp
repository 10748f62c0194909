// Every operation: its arguments reach the handler as the kernel sent them, its answer the kernel as the handler gave
// it.
#include "wire/operations.hpp"

#include <fcntl.h>

#include <functional>
#include <set>

#include "inode/recorder.hpp"
#include "support/fake.hpp"

namespace fuselage {
namespace {

using How = Recorder::How;

// One operation: how it is asked, what the handler must see, and a look at the answer's value.
struct Case {
  std::string_view operation;  // as in the protocol
  std::function<PendingRequest(FakeKernel&)> ask;
  std::string seen;
  std::function<void(const FakeKernel&, const PendingRequest&)> check = [](auto&, auto&) {};
};

// `check` for operations with a value: converts the answer back to its type.
template <class Ask, class Check>
Case with_value(std::string_view operation, Ask ask, std::string seen, Check check) {
  using Typed = std::invoke_result_t<Ask, FakeKernel&>;
  // The typed answer is kept between asking and checking.
  auto answer = std::make_shared<std::optional<Typed>>();
  return {operation, [ask, answer](FakeKernel& kernel) -> PendingRequest { return answer->emplace(ask(kernel)); },
          std::move(seen),
          [check, answer](const FakeKernel&, const PendingRequest&) {
            ASSERT_TRUE(**answer) << (*answer)->to_string();
            check(***answer);
          }};
}

void expect_attributes(const Attributes& found) {
  const Attributes given = Recorder::attributes();
  EXPECT_EQ(found.mode, given.mode);
  EXPECT_EQ(found.nlink, given.nlink);
  EXPECT_EQ(found.uid, given.uid);
  EXPECT_EQ(found.gid, given.gid);
  EXPECT_EQ(found.rdev, given.rdev);
  EXPECT_EQ(found.size, given.size);
  EXPECT_EQ(found.blocks, given.blocks);
  EXPECT_EQ(found.block_size, given.block_size);
  EXPECT_EQ(found.atime, given.atime);
  EXPECT_EQ(found.mtime, given.mtime);
  EXPECT_EQ(found.ctime, given.ctime);
  EXPECT_EQ(found.ino, given.ino);
  EXPECT_EQ(found.timeout, given.timeout);
}

void expect_entry(const Entry& found) {
  EXPECT_EQ(found.ino, Recorder::entry().ino);
  EXPECT_EQ(found.generation, Recorder::entry().generation);
  EXPECT_EQ(found.timeout, Recorder::entry().timeout);
  expect_attributes(found.attributes);
}

void expect_opened(const Opened& found) {
  EXPECT_EQ(found.handle, Recorder::opened().handle);
  EXPECT_TRUE(found.direct_io && found.nonseekable && found.noflush && found.parallel_direct_writes);
  EXPECT_FALSE(found.keep_cache || found.cache_dir || found.stream || found.backing_id);
}

void expect_created(const Created& found) {
  expect_entry(found.entry);
  expect_opened(found.opened);
}

constexpr Ino node{0x1234567890};
const OpenFile file{Handle{0xdeadbeef01}, OpenFlags{O_RDWR | O_APPEND}, LockOwner{0xfff1}};

void add_name_cases(std::vector<Case>& cases) {
  cases.push_back(with_value(
      "LOOKUP", [](FakeKernel& k) { return k.lookup(node, "n\xff me"); }, "lookup 78187493520 n\xff me", expect_entry));
  cases.push_back(with_value(
      "GETATTR", [](FakeKernel& k) { return k.getattr(node); }, "getattr 78187493520 (no file)", expect_attributes));
  cases.push_back(with_value(
      "GETATTR", [](FakeKernel& k) { return k.getattr(node, Handle{5}); }, "getattr 78187493520 [5 0 0]",
      expect_attributes));
  cases.push_back(with_value(
      "STATX", [](FakeKernel& k) { return k.statx(node, Handle{6}); }, "getattr 78187493520 [6 0 0]",
      expect_attributes));
  SetAttributes changes;
  changes.mode = S_IFREG | 0600;
  changes.uid = 11;
  changes.gid = 12;
  changes.size = 1ull << 40;
  changes.atime = Timestamp{-1, 2};
  changes.mtime = Timestamp{3, 4};
  changes.ctime = Timestamp{5, 6};
  changes.kill_suidgid = true;
  cases.push_back(with_value(
      "SETATTR", [changes](FakeKernel& k) { return k.setattr(node, changes, Handle{7}); },
      "setattr 78187493520 mode=33152 uid=11 gid=12 size=1099511627776 atime=-1.2 mtime=3.4 ctime=5.6 kill  [7 0 0]",
      expect_attributes));
  cases.push_back(with_value(
      "SETATTR", [](FakeKernel& k) { return k.setattr(node, {}); }, "setattr 78187493520  (no file)",
      expect_attributes));
  cases.push_back(with_value(
      "READLINK", [](FakeKernel& k) { return k.readlink(node); }, "readlink 78187493520",
      [](const std::string& target) { EXPECT_EQ(target, "../target of it"); }));
  cases.push_back(with_value(
      "SYMLINK", [](FakeKernel& k) { return k.symlink(node, "name", "a/b/../c"); },
      "symlink 78187493520 name -> a/b/../c", expect_entry));
  cases.push_back(with_value(
      "MKNOD", [](FakeKernel& k) { return k.mknod(node, "dev", S_IFCHR | 0666, 0x502); },
      "mknod 78187493520 dev 20644 1282 umask 22", expect_entry));
  cases.push_back(with_value(
      "MKDIR", [](FakeKernel& k) { return k.mkdir(node, "d", 0777); },
      "mkdir 78187493520 d 755 uid 1000 gid 100 pid 4242 umask 22", expect_entry));
  cases.push_back({"UNLINK", [](FakeKernel& k) { return k.unlink(node, "u"); }, "unlink 78187493520 u"});
  cases.push_back({"RMDIR", [](FakeKernel& k) { return k.rmdir(node, "r"); }, "rmdir 78187493520 r"});
  cases.push_back(
      {"RENAME", [](FakeKernel& k) { return k.rename(node, "a", Ino{2}, "b"); }, "rename 78187493520 a 2 b ---"});
  cases.push_back({"RENAME2", [](FakeKernel& k) { return k.rename(node, "a", Ino{2}, "b", {.no_replace = true}); },
                   "rename 78187493520 a 2 b n--"});
  cases.push_back({"RENAME2", [](FakeKernel& k) { return k.rename(node, "a", Ino{2}, "b", {.exchange = true}); },
                   "rename 78187493520 a 2 b -x-"});
  cases.push_back(with_value(
      "LINK", [](FakeKernel& k) { return k.link(node, Ino{3}, "l"); }, "link 78187493520 3 l", expect_entry));
  cases.push_back({"ACCESS", [](FakeKernel& k) { return k.access(node, R_OK | X_OK); }, "access 78187493520 5"});
  cases.push_back(with_value(
      "STATFS", [](FakeKernel& k) { return k.statfs(node); }, "statfs 78187493520",
      [](const StatFs& found) {
        EXPECT_EQ(found.blocks, 1u);
        EXPECT_EQ(found.blocks_free, 2u);
        EXPECT_EQ(found.blocks_available, 3u);
        EXPECT_EQ(found.files, 4u);
        EXPECT_EQ(found.files_free, 5u);
        EXPECT_EQ(found.block_size, 4096u);
        EXPECT_EQ(found.fragment_size, 512u);
        EXPECT_EQ(found.name_max, 200u);
      }));
  cases.push_back({"SYNCFS", [](FakeKernel& k) { return k.syncfs(node); }, "syncfs 78187493520"});
}

void add_file_cases(std::vector<Case>& cases) {
  cases.push_back(with_value(
      "OPEN", [](FakeKernel& k) { return k.open(node, O_RDWR | O_TRUNC); }, "open 78187493520 1002", expect_opened));
  cases.push_back(with_value(
      "READ",
      [](FakeKernel& k) {
        return k.read(node, file, {1ull << 41, 4096});
      },
      "read 78187493520 [956397711105 2002 65521] 2199023255552+4096",
      [](const std::string& bytes) { EXPECT_EQ(bytes, "what was read"); }));
  cases.push_back(with_value(
      "WRITE",
      [](FakeKernel& k) {
        return k.write(node, file, 1ull << 42, "some bytes", {.from_cache = true, .kill_suidgid = true});
      },
      "write 78187493520 [956397711105 2002 65521] 4398046511104 'some bytes' ck",
      [](std::size_t written) { EXPECT_EQ(written, 9u); }));
  cases.push_back({"RELEASE", [](FakeKernel& k) { return k.release(node, file, true); },
                   "release 78187493520 [956397711105 2002 65521] true"});
  cases.push_back(
      {"FSYNC", [](FakeKernel& k) { return k.fsync(node, file, true); }, "fsync 78187493520 [956397711105 0 0] true"});
  cases.push_back(
      {"FLUSH", [](FakeKernel& k) { return k.flush(node, file); }, "flush 78187493520 [956397711105 0 65521]"});
  cases.push_back(with_value(
      "CREATE", [](FakeKernel& k) { return k.create(node, "new", S_IFREG | 0666, O_WRONLY | O_EXCL); },
      "create 78187493520 new 100644 201", expect_created));
  cases.push_back(with_value(
      "TMPFILE", [](FakeKernel& k) { return k.tmpfile(node, S_IFREG | 0600, O_RDWR); }, "tmpfile 78187493520 100600 2",
      expect_created));
  cases.push_back(with_value(
      "BMAP", [](FakeKernel& k) { return k.bmap(node, 512, 1ull << 33); }, "bmap 78187493520 512 8589934592",
      [](std::uint64_t block) { EXPECT_EQ(block, 0x1122334455u); }));
  IoctlCall call;
  call.command = 0xc0045601;
  call.argument = 0x7fff00001111;
  call.input = bytes_of("input");
  call.output_size = 64;
  call.directory = true;
  cases.push_back(with_value(
      "IOCTL", [call](FakeKernel& k) { return k.ioctl(node, file, call); },
      "ioctl 78187493520 [956397711105 0 0] c0045601 7fff00001111 'input' 64 --d",
      [](const IoctlReply& reply) {
        EXPECT_EQ(reply.result, 7);
        EXPECT_EQ(text_of(reply.output.bytes()), "out");
      }));
  cases.push_back(with_value(
      "POLL", [](FakeKernel& k) { return k.poll(node, file, 0x1b, PollHandle{77}); },
      "poll 78187493520 [956397711105 0 0] 1b 77", [](std::uint32_t events) { EXPECT_EQ(events, 0x41u); }));
  cases.push_back({"FALLOCATE", [](FakeKernel& k) { return k.fallocate(node, file, 3, 1ull << 33, 4096); },
                   "fallocate 78187493520 [956397711105 0 0] 3 8589934592+4096"});
  cases.push_back(with_value(
      "LSEEK", [](FakeKernel& k) { return k.lseek(node, file, 1ull << 34, SEEK_HOLE); },
      "lseek 78187493520 [956397711105 0 0] 17179869184 4",
      [](std::uint64_t found) { EXPECT_EQ(found, 0x5566778899u); }));
  const auto copy = [](FakeKernel& k) {
    return k.copy_file_range(node, Handle{1}, 10, Ino{2}, Handle{3}, 20, 65536, 0);
  };
  for (const std::string_view name : {"COPY_FILE_RANGE", "COPY_FILE_RANGE_64"}) {
    cases.push_back(with_value(name, copy, "copy_file_range 78187493520 [1 0 0] 10 2 [3 0 0] 20 65536 0",
                               [](std::uint64_t copied) { EXPECT_EQ(copied, 65535u); }));
  }
  cases.push_back({"SETUPMAPPING",
                   [](FakeKernel& k) {
                     return k.setupmapping(node, Handle{1}, {4096, 8192, 12288, true, true});
                   },
                   "setupmapping 78187493520 [1 0 0] 4096+8192 at 12288 rw"});
  cases.push_back({"REMOVEMAPPING",
                   [](FakeKernel& k) {
                     return k.removemapping(node, {{4096, 8192}, {1ull << 40, 1}});
                   },
                   "removemapping 78187493520 4096+8192 1099511627776+1"});
}

void add_directory_lock_and_xattr_cases(std::vector<Case>& cases) {
  cases.push_back(with_value(
      "OPENDIR", [](FakeKernel& k) { return k.opendir(node, O_DIRECTORY); }, "opendir 78187493520 200000",
      [](const Opened& opened) {
        EXPECT_EQ(opened.handle, Handle{99});
        EXPECT_TRUE(opened.keep_cache && opened.cache_dir);
      }));
  const auto check_names = [](const std::vector<ListedEntry>& listing) {
    ASSERT_EQ(listing.size(), 3u);
    EXPECT_EQ(listing[0].name, ".");
    EXPECT_EQ(listing[0].ino, Ino{10});
    EXPECT_EQ(listing[0].type, FileType::directory);
    EXPECT_EQ(listing[0].next, 11u);
    EXPECT_EQ(listing[1].name, "with an entry");
    EXPECT_EQ(listing[1].ino, Ino{4711});
    EXPECT_EQ(listing[2].name, "without");
    EXPECT_EQ(listing[2].type, FileType::symlink);
    EXPECT_FALSE(listing[0].entry || listing[2].entry);
  };
  cases.push_back(with_value(
      "READDIR", [](FakeKernel& k) { return k.readdir(node, file, 5, 4096); },
      "readdir 78187493520 [956397711105 2002 0] 5 plain", check_names));
  cases.push_back(with_value(
      "READDIRPLUS", [](FakeKernel& k) { return k.readdirplus(node, file, 6, 4096); },
      "readdir 78187493520 [956397711105 2002 0] 6 plus",
      [check_names](const std::vector<ListedEntry>& listing) {
        check_names(listing);
        ASSERT_TRUE(listing.at(1).entry);
        expect_entry(*listing[1].entry);
      }));
  cases.push_back({"RELEASEDIR", [](FakeKernel& k) { return k.releasedir(node, file); },
                   "releasedir 78187493520 [956397711105 2002 0]"});
  cases.push_back({"FSYNCDIR", [](FakeKernel& k) { return k.fsyncdir(node, file, false); },
                   "fsyncdir 78187493520 [956397711105 0 0] false"});
  const Lock lock{Lock::Type::read, 5, 100, 77, false};
  cases.push_back(with_value(
      "GETLK", [lock](FakeKernel& k) { return k.getlk(node, file, lock); },
      "getlk 78187493520 [956397711105 0 65521] read 5-100 pid 77 posix",
      [](const Lock& found) {
        EXPECT_EQ(found.type, Lock::Type::write);
        EXPECT_EQ(found.start, 5u);
        EXPECT_EQ(found.end, 100u);
        EXPECT_EQ(found.pid, 321);
      }));
  cases.push_back({"SETLK",
                   [](FakeKernel& k) {
                     return k.setlk(node, file, {Lock::Type::unlock, 0, 7, 8, true});
                   },
                   "setlk 78187493520 [956397711105 0 65521] unlock 0-7 pid 8 flock false"});
  cases.push_back({"SETLKW", [lock](FakeKernel& k) { return k.setlk(node, file, lock, true); },
                   "setlk 78187493520 [956397711105 0 65521] read 5-100 pid 77 posix true"});
  cases.push_back(
      {"SETXATTR",
       [](FakeKernel& k) { return k.setxattr(node, "user.x", std::string_view("v\0w", 3), {.create = true}); },
       std::string("setxattr 78187493520 user.x 'v\0w' c--", 37)});
  cases.push_back(with_value(
      "GETXATTR", [](FakeKernel& k) { return k.getxattr(node, "user.x"); }, "getxattr 78187493520 user.x",
      [](const std::string& value) { EXPECT_EQ(value, "a value"); }));
  cases.push_back(with_value(
      "GETXATTR", [](FakeKernel& k) { return k.getxattr_size(node, "user.x"); }, "getxattr 78187493520 user.x",
      [](std::size_t size) { EXPECT_EQ(size, 7u); }));
  cases.push_back(with_value(
      "LISTXATTR", [](FakeKernel& k) { return k.listxattr(node); }, "listxattr 78187493520",
      [](const std::vector<std::string>& names) {
        EXPECT_EQ(names, (std::vector<std::string>{"user.a", "user.second"}));
      }));
  cases.push_back(with_value(
      "LISTXATTR", [](FakeKernel& k) { return k.listxattr_size(node); }, "listxattr 78187493520",
      [](std::size_t size) { EXPECT_EQ(size, 19u); }));
  cases.push_back(
      {"REMOVEXATTR", [](FakeKernel& k) { return k.removexattr(node, "user.y"); }, "removexattr 78187493520 user.y"});
}

const wire::OperationRow& row_named(std::string_view name) {
  return *std::find_if(wire::operations.begin(), wire::operations.end(),
                       [name](const wire::OperationRow& row) { return row.name == name; });
}

// The cases that a kernel of this minor can ask.
std::vector<Case> cases_for(unsigned minor) {
  std::vector<Case> all;
  add_name_cases(all);
  add_file_cases(all);
  add_directory_lock_and_xattr_cases(all);
  std::erase_if(all, [minor](const Case& one) {
    const bool copies_32 = one.operation == "COPY_FILE_RANGE" && minor >= 45;  // the newer one is asked then
    return row_named(one.operation).since > minor || copies_32;
  });
  return all;
}

struct Setting {
  unsigned minor;
  How how;
  bool in_parts;
};

class Operations : public ::testing::TestWithParam<Setting> {
 protected:
  FakeKernelOptions options() const {
    FakeKernelOptions wanted;
    wanted.minor = GetParam().minor;
    wanted.in_parts = GetParam().in_parts;
    return strict(std::move(wanted));
  }
};

class WaitingOperations : public Operations {};

TEST_P(Operations, CarryAllArgumentsAndAllAnswers) {
  Recorder recorder;
  recorder.how = GetParam().how;
  FakeKernel kernel(recorder, options());
  ASSERT_TRUE(kernel.agreed());
  EXPECT_EQ(kernel.agreed()->minor, GetParam().minor);
  kernel.set_caller({.uid = 1000, .gid = 100, .pid = 4242, .umask = 022});
  for (const Case& one : cases_for(GetParam().minor)) {
    SCOPED_TRACE(std::string(one.operation));
    recorder.last.clear();
    const PendingRequest request = one.ask(kernel);
    if (GetParam().how == How::coroutine) {
      EXPECT_FALSE(request.answered());
      EXPECT_EQ(recorder.last, "");
      kernel.advance(std::chrono::seconds(1));
    }
    ASSERT_TRUE(request.answered());
    EXPECT_EQ(recorder.last, one.seen);
    if (GetParam().how == How::error) {
      EXPECT_EQ(request.code(), Recorder::code);
    } else {
      EXPECT_EQ(request.code(), 0);
      one.check(kernel, request);
    }
  }
}

// A request keeps its bytes while it waits, whatever else arrives.
TEST_P(WaitingOperations, KeepTheirArgumentsWhileOthersPass) {
  Recorder recorder;
  FakeKernel kernel(recorder, options());
  kernel.set_caller({.uid = 1000, .gid = 100, .pid = 4242, .umask = 022});
  for (const Case& one : cases_for(GetParam().minor)) {
    SCOPED_TRACE(std::string(one.operation));
    recorder.how = How::coroutine;
    const PendingRequest waiting = one.ask(kernel);
    recorder.how = How::value;
    for (int i = 0; i < 300; ++i) {
      ASSERT_TRUE(kernel.write(Ino{2}, {}, 0, std::string(200, '#')));
    }
    kernel.advance(std::chrono::seconds(1));
    EXPECT_EQ(recorder.last, one.seen);
    EXPECT_EQ(waiting.code(), 0);
  }
}

std::string name_of(const ::testing::TestParamInfo<Setting>& info) {
  const char* hows[] = {"value", "error", "coroutine"};
  return fmt::format("minor_{}_{}{}", info.param.minor, hows[static_cast<int>(info.param.how)],
                     info.param.in_parts ? "_in_parts" : "");
}

INSTANTIATE_TEST_SUITE_P(Inode, Operations,
                         ::testing::Values(Setting{12, How::value, false}, Setting{12, How::error, false},
                                           Setting{12, How::coroutine, false}, Setting{45, How::value, false},
                                           Setting{45, How::error, false}, Setting{45, How::coroutine, false},
                                           Setting{45, How::value, true}, Setting{45, How::coroutine, true}),
                         name_of);

INSTANTIATE_TEST_SUITE_P(Inode, WaitingOperations,
                         ::testing::Values(Setting{12, How::coroutine, false}, Setting{45, How::coroutine, false},
                                           Setting{45, How::coroutine, true}),
                         name_of);

TEST(OperationCases, CoverTheWholeTable) {
  std::set<std::string_view> covered = {"FORGET", "BATCH_FORGET"};
  for (const unsigned minor : {12u, 28u, 45u}) {
    for (const Case& one : cases_for(minor)) covered.insert(one.operation);
  }
  for (const wire::OperationRow& row : wire::operations) {
    if (row.handler != "session") {
      EXPECT_TRUE(covered.contains(row.name)) << row.name;
    }
  }
}

TEST(CopyFileRange, IsAskedIn32BitsByOlderKernels) {
  Recorder recorder;
  FakeKernelOptions options;
  options.minor = 44;
  FakeKernel kernel(recorder, strict(options));
  EXPECT_EQ(*kernel.copy_file_range(node, Handle{1}, 10, Ino{2}, Handle{3}, 20, 65536, 0), 65535u);
  EXPECT_EQ(kernel.statistics().operations.back().name, "COPY_FILE_RANGE");
}

TEST(Forget, ArrivesOneByOneFromOldKernelsAndInBatchesFromNewOnes) {
  for (const unsigned minor : {12u, 45u}) {
    Recorder recorder;
    FakeKernelOptions options;
    options.minor = minor;
    FakeKernel kernel(recorder, strict(options));
    ASSERT_TRUE(kernel.lookup(root_ino, "a"));
    ASSERT_TRUE(kernel.mkdir(root_ino, "b"));
    recorder.last.clear();
    kernel.forget(Recorder::entry().ino);
    kernel.forget_all();
    EXPECT_EQ(recorder.last, "forget 11806310404660 1;forget 11806310404660 1;");
    EXPECT_TRUE(kernel.lookups().empty());
  }
}

TEST(Context, CarriesGroupsAndLabels) {
  Recorder recorder;
  recorder.tell_who = true;
  SessionOptions session;
  session.enable = CapabilitySet(Capability::SECURITY_CTX) | Capability::CREATE_SUPP_GROUP;
  FakeKernel kernel(recorder, strict_session(session));
  kernel.set_caller({.uid = 1,
                     .gid = 2,
                     .pid = 3,
                     .groups = {7, 8, 9},
                     .labels = {{"security.selinux", "a label"}, {"security.other", ""}}});
  ASSERT_TRUE(kernel.mkdir(root_ino, "d", 0700));
  EXPECT_EQ(recorder.last,
            "mkdir 1 d 700 uid 1 gid 2 pid 3 umask 0 group 7 group 8 group 9 security.selinux='a label' "
            "security.other=''");
}

TEST(Context, LeavesTheUmaskToTheFileSystemWithDontMask) {
  Recorder recorder;
  SessionOptions session;
  session.enable = Capability::DONT_MASK;
  FakeKernel kernel(recorder, strict_session(session));
  kernel.set_caller({.umask = 077});
  ASSERT_TRUE(kernel.mkdir(root_ino, "d", 0777));
  EXPECT_EQ(recorder.last, "mkdir 1 d 777 uid 0 gid 0 pid 1 umask 77");
}

TEST(Statx, TellsWhenANodeCameToBe) {
  struct Born : FileSystem {
    Reply<Attributes> getattr(const Context&, Ino, const OpenFile*) override {
      Attributes attributes = Attributes::directory();
      attributes.btime = Timestamp{12, 34};
      return attributes;
    }
  } born;
  FakeKernel kernel(born, strict());
  EXPECT_EQ(kernel.statx(root_ino)->btime, (Timestamp{12, 34}));
  EXPECT_EQ(kernel.getattr(root_ino)->btime, std::nullopt);
}

}  // namespace
}  // namespace fuselage
