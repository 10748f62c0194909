// What goes wrong: operations that are missing, messages that are malformed, handlers that throw or answer nonsense.
#include <fcntl.h>

#include <map>
#include <stdexcept>

#include "inode/recorder.hpp"
#include "support/fake.hpp"
#include "support/log_lines.hpp"
#include "wire/decoder.hpp"
#include "wire/operations.hpp"

namespace fuselage {
namespace {

using wire::Opcode;

class Empty : public FileSystem {};

// A message of an operation with as many bytes as its row says, all zero but for the names.
std::string plain_body(const wire::OperationRow& row, unsigned minor, std::uint64_t flags) {
  std::string body(row.arguments_size(minor, flags), '\0');
  for (unsigned i = 0; i < row.names; ++i) body += std::string("n") + '\0';
  return body;
}

bool is_served_by_file_system(const wire::OperationRow& row, unsigned minor) {
  return row.handler != "session" && row.since <= minor;
}

TEST(MissingOperations, AreAnsweredAsTheirRowSays) {
  const std::map<wire::Missing, int> codes = {{wire::Missing::enosys, ENOSYS}, {wire::Missing::eperm, EPERM},
                                              {wire::Missing::enoent, ENOENT}, {wire::Missing::enotty, ENOTTY},
                                              {wire::Missing::open, ENOSYS},   {wire::Missing::statfs, 0},
                                              {wire::Missing::success, 0}};
  for (const unsigned minor : {12u, 45u}) {
    Empty empty;
    FakeKernelOptions options;
    options.minor = minor;
    FakeKernel kernel(empty, strict(options));
    for (const wire::OperationRow& row : wire::operations) {
      if (!is_served_by_file_system(row, minor)) continue;
      SCOPED_TRACE(std::string(row.name));
      const std::string body = plain_body(row, minor, kernel.agreed()->capabilities.bits());
      const auto answer = kernel.request(static_cast<std::uint32_t>(row.opcode), root_ino, bytes_of(body));
      ASSERT_TRUE(answer.answered());
      if (row.missing == wire::Missing::drop) continue;
      const bool opens = row.missing == wire::Missing::open && minor == 12;
      EXPECT_EQ(answer.code(), opens ? 0 : codes.at(row.missing));
    }
    EXPECT_EQ(kernel.statfs()->name_max, 255u);
  }
}

// Cut at each byte, with a header that tells the truth: EIO, never ENOSYS, which the kernel would remember.
TEST(TruncatedMessages, AreAnsweredEioAtEveryLength) {
  test::LogLines log;
  for (const bool in_parts : {false, true}) {
    for (const unsigned minor : {12u, 45u}) {
      Recorder recorder;
      FakeKernelOptions options;
      options.minor = minor;
      options.in_parts = in_parts;
      FakeKernel kernel(recorder, strict(options));
      for (const wire::OperationRow& row : wire::operations) {
        if (!is_served_by_file_system(row, minor)) continue;
        SCOPED_TRACE(std::string(row.name));
        const std::string body = plain_body(row, minor, kernel.agreed()->capabilities.bits());
        for (std::size_t size = 0; size < body.size(); ++size) {
          recorder.last.clear();
          const auto answer = kernel.request(static_cast<std::uint32_t>(row.opcode), Ino{2},
                                             bytes_of(std::string_view(body).substr(0, size)));
          EXPECT_EQ(recorder.last, "") << "with " << size << " of " << body.size() << " bytes";
          if (row.reply != wire::ReplyKind::none) {
            EXPECT_EQ(answer.code(), EIO) << size;
          }
        }
      }
    }
  }
}

TEST(TruncatedMessages, ThatStateMoreDataThanTheyHaveAreAnsweredEio) {
  test::LogLines log;
  Recorder recorder;
  FakeKernel kernel(recorder, strict());
  const auto ask = [&](Opcode opcode, const auto& in, std::string_view rest) {
    std::string body(reinterpret_cast<const char*>(&in), sizeof in);
    body += rest;
    return kernel.request(static_cast<std::uint32_t>(opcode), Ino{2}, bytes_of(body)).code();
  };
  wire::fuse_write_in write{};
  write.size = 6;
  EXPECT_EQ(ask(Opcode::WRITE, write, "bytes"), EIO);
  write.size = UINT32_MAX;
  EXPECT_EQ(ask(Opcode::WRITE, write, "bytes"), EIO);
  wire::fuse_ioctl_in ioctl{};
  ioctl.in_size = 2;
  EXPECT_EQ(ask(Opcode::IOCTL, ioctl, "1"), EIO);
  EXPECT_EQ(ask(Opcode::REMOVEMAPPING, wire::fuse_removemapping_in{UINT32_MAX}, std::string(64, 'x')), EIO);
  EXPECT_EQ(recorder.last, "");
  EXPECT_GE(kernel.statistics().malformed, 4u);
}

TEST(MalformedMessages, WithNamesThatNoDirectoryHoldsAreAnsweredEio) {
  test::LogLines log;
  Recorder recorder;
  FakeKernel kernel(recorder, strict());
  for (const std::string& name : {std::string(""), std::string("a/b"), std::string("/")}) {
    EXPECT_EQ(kernel.lookup(root_ino, name).code(), EIO);
    EXPECT_EQ(kernel.mkdir(root_ino, name).code(), EIO);
    EXPECT_EQ(kernel.rename(root_ino, "good", root_ino, name).code(), EIO);
    EXPECT_EQ(kernel.getxattr(root_ino, name).code(), name.empty() ? EIO : 0);
  }
}

TEST(MalformedMessages, OfUnknownOperationsAreAnsweredEnosys) {
  Recorder recorder;
  FakeKernel kernel(recorder, strict());
  for (const std::uint32_t opcode : {0u, 7u, 19u, 63u, 64u, 5000u, UINT32_MAX}) {
    EXPECT_EQ(kernel.request(opcode, root_ino, {}).code(), ENOSYS) << opcode;
  }
  EXPECT_EQ(kernel.statistics().malformed, 7u);
}

TEST(MalformedMessages, WithoutATrustworthyHeaderAreDropped) {
  test::LogLines log;
  Recorder recorder;
  FakeKernel kernel(recorder, strict());
  for (std::size_t size = 0; size < sizeof(wire::fuse_in_header); ++size) {
    kernel.send(std::vector<std::byte>(size, std::byte{1}));
  }
  wire::fuse_in_header header{};
  header.opcode = static_cast<std::uint32_t>(Opcode::STATFS);
  header.unique = kernel.next_unique();
  header.len = sizeof header + 1;  // a lie
  kernel.send(std::as_bytes(std::span(&header, 1)));
  EXPECT_EQ(kernel.statistics().malformed, sizeof(wire::fuse_in_header) + 1);
  EXPECT_TRUE(kernel.statfs());
}

TEST(Batches, ThatStateMoreThanTheyHoldAreForgottenAsFarAsTheyGo) {
  Recorder recorder;
  FakeKernel kernel(recorder, strict());
  std::string body(8, '\0');
  body[0] = 100;
  body += std::string("\x05\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0", 16) + "rest";
  static_cast<void>(kernel.request(static_cast<std::uint32_t>(Opcode::BATCH_FORGET), Ino{}, bytes_of(body)));
  EXPECT_EQ(recorder.last, "forget 5 2;");
}

TEST(Handlers, ThatThrowAreAnsweredWithTheErrnoOfTheException) {
  struct Throwing : FileSystem {
    Reply<Attributes> getattr(const Context&, Ino ino, const OpenFile*) override {
      if (ino == Ino{1}) throw std::system_error(EDQUOT, std::generic_category());
      if (ino == Ino{2}) throw std::runtime_error("this is why");
      if (ino == Ino{3}) throw std::bad_alloc();
      throw 42;
    }
    Reply<void> unlink(const Context&, Ino, std::string_view) override {
      throw std::runtime_error("in a coroutine");
      co_return Result<void>();
    }
    void forget(Ino, std::uint64_t) override { throw std::runtime_error("nobody hears it"); }
  } throwing;
  test::LogLines log;
  FakeKernel kernel(throwing, strict());
  EXPECT_EQ(kernel.getattr(Ino{1}).code(), EDQUOT);
  EXPECT_EQ(kernel.getattr(Ino{2}).code(), EIO);
  EXPECT_EQ(kernel.getattr(Ino{3}).code(), ENOMEM);
  EXPECT_EQ(kernel.getattr(Ino{4}).code(), EIO);
  EXPECT_EQ(kernel.unlink(Ino{1}, "x").code(), EIO);
  const std::string one(8, '\1');
  static_cast<void>(kernel.request(static_cast<std::uint32_t>(Opcode::FORGET), Ino{9}, bytes_of(one)));
  EXPECT_TRUE(log.has({"GETATTR ino=2", "this is why"}));
  EXPECT_TRUE(log.has({"UNLINK ino=1", "in a coroutine"}));
  EXPECT_TRUE(log.has({"FORGET ino=9", "nobody hears it"}));
}

// A file system whose answers a test chooses.
class Liar : public FileSystem {
 public:
  Entry entry = entry_of(7);
  Attributes attributes = Attributes::file(0);
  std::string text;
  std::uint64_t number = 0;
  Error error{EIO};
  std::vector<std::pair<std::string, Entry>> names;
  std::uint64_t forgotten = 0;
  int released = 0;

  Reply<Entry> lookup(const Context&, Ino, std::string_view) override { return entry; }
  Reply<Entry> mkdir(const Context&, Ino, std::string_view, mode_t) override { return entry; }
  Reply<Created> create(const Context&, Ino, std::string_view, mode_t, OpenFlags) override {
    return Created{entry, {}};
  }
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{}; }
  Reply<void> release(const Context&, Ino, const OpenFile&, bool) override {
    ++released;
    return {};
  }
  Reply<Attributes> getattr(const Context&, Ino, const OpenFile*) override { return attributes; }
  Reply<Attributes> setattr(const Context&, Ino, const SetAttributes&, const OpenFile*) override { return attributes; }
  Reply<std::string> readlink(const Context&, Ino) override { return text; }
  Reply<Data> read(const Context&, Ino, const OpenFile&, Range) override { return Data::own(text); }
  Reply<std::size_t> write(const Context&, Ino, const OpenFile&, std::uint64_t, Bytes, WriteFlags) override {
    return number;
  }
  Reply<std::uint64_t> copy_file_range(const Context&, Ino, const OpenFile&, std::uint64_t, Ino, const OpenFile&,
                                       std::uint64_t, std::uint64_t, std::uint64_t) override {
    return number;
  }
  Reply<Data> getxattr(const Context&, Ino, std::string_view) override { return Data::own(text); }
  Reply<IoctlReply> ioctl(const Context&, Ino, const OpenFile&, const IoctlCall&) override {
    IoctlReply reply;
    reply.output = Data::own(text);
    reply.retry = number != 0;
    return reply;
  }
  Reply<void> unlink(const Context&, Ino, std::string_view) override { return error; }
  Reply<void> readdir(const Context&, Ino, const OpenFile&, std::uint64_t, DirectorySink& sink) override {
    std::uint64_t next = 0;
    for (const auto& [name, listed] : names) {
      if (!sink.add(name, listed, ++next)) break;
    }
    return {};
  }
  void forget(Ino, std::uint64_t count) override { forgotten += count; }
};

TEST(NonsenseAnswers, EntriesTheKernelWouldRefuseAreAnsweredEioAndGivenBack) {
  test::LogLines log;
  Liar liar;
  FakeKernel kernel(liar, strict());
  liar.entry.attributes.mode = 0644;
  EXPECT_EQ(kernel.lookup(root_ino, "typeless").code(), EIO);
  EXPECT_EQ(kernel.mkdir(root_ino, "typeless").code(), EIO);
  EXPECT_EQ(kernel.create(root_ino, "typeless", 0644, 0).code(), EIO);
  liar.entry = entry_of(7);
  liar.entry.attributes.size = UINT64_MAX;
  EXPECT_EQ(kernel.lookup(root_ino, "huge").code(), EIO);
  EXPECT_EQ(liar.forgotten, 4u);
  EXPECT_TRUE(log.has({"LOOKUP", "without a file type"}));
}

// It has to be run by somebody: the kernel will not send RELEASE for what it never got.
TEST(NonsenseAnswers, AReleaseThatIsACoroutineRunsForAFileThatWasNotDelivered) {
  class Later : public Liar {
   public:
    Reply<void> release(const Context&, Ino, const OpenFile&, bool) override {
      ++released;
      EXPECT_EQ(forgotten, 0u);
      co_return Result<void>();
    }
  };
  test::LogLines log;
  Later later;
  FakeKernel kernel(later, strict());
  later.entry.attributes.mode = 0644;
  EXPECT_EQ(kernel.create(root_ino, "typeless", 0644, 0).code(), EIO);
  EXPECT_EQ(later.released, 1);
  EXPECT_EQ(later.forgotten, 1u);
}

TEST(NonsenseAnswers, EntriesWithoutAnInoAreNegativeInLookupAndEioElsewhere) {
  test::LogLines log;
  Liar liar;
  liar.entry = Entry::negative(std::chrono::seconds(5));
  FakeKernel kernel(liar, strict());
  const auto negative = kernel.lookup(root_ino, "nothing");
  ASSERT_TRUE(negative);
  EXPECT_EQ(negative->ino, Ino{});
  EXPECT_EQ(negative->timeout, std::chrono::seconds(5));
  EXPECT_EQ(kernel.mkdir(root_ino, "d").code(), EIO);
  EXPECT_EQ(kernel.create(root_ino, "c", 0644, 0).code(), EIO);
  EXPECT_EQ(liar.forgotten, 0u);
}

TEST(NonsenseAnswers, TheRootAsANewEntryIsEio) {
  test::LogLines log;
  Liar liar;
  liar.entry = entry_of(1);
  FakeKernel kernel(liar, strict());
  EXPECT_EQ(kernel.mkdir(root_ino, "d").code(), EIO);
  EXPECT_EQ(kernel.create(root_ino, "c", 0644, 0).code(), EIO);
}

// The kernel would take the node for broken and fail all that follows (fuse_make_bad).
TEST(NonsenseAnswers, AttributesTheKernelWouldRefuseAreEio) {
  test::LogLines log;
  Liar liar;
  liar.attributes.mode = 0644;
  FakeKernel kernel(liar, strict());
  EXPECT_EQ(kernel.getattr(Ino{2}).code(), EIO);
  EXPECT_EQ(kernel.statx(Ino{2}).code(), EIO);
  EXPECT_EQ(kernel.setattr(Ino{2}, {}).code(), EIO);
  liar.attributes = Attributes::file(UINT64_MAX);
  EXPECT_EQ(kernel.getattr(Ino{2}).code(), EIO);
  EXPECT_TRUE(log.has({"GETATTR", "without a file type"}));
}

TEST(NonsenseAnswers, MoreBytesThanWereAskedForAreEio) {
  test::LogLines log;
  Liar liar;
  liar.text = "twelve bytes";
  FakeKernel kernel(liar, strict());
  EXPECT_EQ(kernel.read(Ino{2}, {}, {0, 11}).code(), EIO);
  EXPECT_EQ(*kernel.read(Ino{2}, {}, {0, 12}), liar.text);
  IoctlCall call;
  call.output_size = 11;
  EXPECT_EQ(kernel.ioctl(Ino{2}, {}, call).code(), EIO);
  EXPECT_EQ(kernel.getxattr(Ino{2}, "user.x", 11).code(), ERANGE);
  EXPECT_EQ(*kernel.getxattr(Ino{2}, "user.x", 12), liar.text);
  liar.text = std::string(5000, 'x');
  EXPECT_EQ(kernel.readlink(Ino{2})->size(), 4095u);
}

TEST(NonsenseAnswers, MoreWrittenThanWasGivenIsEio) {
  test::LogLines log;
  Liar liar;
  liar.number = 6;
  FakeKernel kernel(liar, strict());
  EXPECT_EQ(kernel.write(Ino{2}, {}, 0, "five!").code(), EIO);
  EXPECT_EQ(*kernel.write(Ino{2}, {}, 0, "and six"), 6u);
  EXPECT_EQ(kernel.copy_file_range(Ino{2}, {}, 0, Ino{3}, {}, 0, 5).code(), EIO);
}

TEST(NonsenseAnswers, ARetryOfARestrictedIoctlIsEio) {
  test::LogLines log;
  Liar liar;
  liar.number = 1;
  FakeKernel kernel(liar, strict());
  EXPECT_EQ(kernel.ioctl(Ino{2}, {}, {}).code(), EIO);
  IoctlCall call;
  call.unrestricted = true;
  const auto answer = kernel.ioctl(Ino{2}, {}, call);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->retry);
}

TEST(NonsenseAnswers, ErrnosTheKernelDoesNotTakeAreEio) {
  test::LogLines log;
  Liar liar;
  FakeKernel kernel(liar, strict());
  for (const int code : {0, -1, -ENOENT, 512, 524, 4095, 4096, INT32_MAX}) {
    liar.error = Error{code};
    EXPECT_EQ(kernel.unlink(root_ino, "x").code(), EIO) << code;
  }
  liar.error = Error{511};
  EXPECT_EQ(kernel.unlink(root_ino, "x").code(), 511);
}

TEST(NonsenseAnswers, NamesThatNoDirectoryHoldsAreEioAndTheirEntriesGivenBack) {
  test::LogLines log;
  Liar liar;
  FakeKernel kernel(liar, strict());
  for (const std::string& bad : {std::string("a/b"), std::string(), std::string("a\0b", 3), std::string(256, 'n')}) {
    liar.forgotten = 0;
    liar.names = {{"good", entry_of(5)}, {bad, entry_of(6)}};
    EXPECT_EQ(kernel.readdir(root_ino, {}).code(), EIO);
    EXPECT_EQ(liar.forgotten, 0u);
    EXPECT_EQ(kernel.readdirplus(root_ino, {}).code(), EIO);
    EXPECT_EQ(liar.forgotten, 1u);
  }
  liar.names = {{std::string(255, 'n'), entry_of(5)}};
  EXPECT_EQ(kernel.readdir(root_ino, {})->size(), 1u);
}

TEST(UndeliveredAnswers, GiveTheirLookupsAndOpenFilesBack) {
  Liar liar;
  FakeKernel kernel(liar, strict());
  kernel.refuse_next_answer(ENOENT);
  EXPECT_FALSE(kernel.lookup(root_ino, "a"));
  EXPECT_EQ(liar.forgotten, 1u);
  kernel.refuse_next_answer(ENODEV);
  EXPECT_FALSE(kernel.create(root_ino, "b", 0644, 0));
  EXPECT_EQ(liar.forgotten, 2u);
  EXPECT_EQ(liar.released, 1);
  kernel.refuse_next_answer(ENOENT);
  EXPECT_FALSE(kernel.open(Ino{2}, 0));
  EXPECT_EQ(liar.released, 2);
  liar.names = {{".", entry_of(1)}, {"..", entry_of(1)}, {"x", entry_of(5)}, {"y", entry_of(6)}};
  kernel.refuse_next_answer(ENOENT);
  EXPECT_FALSE(kernel.readdirplus(root_ino, {}));
  EXPECT_EQ(liar.forgotten, 4u);
  EXPECT_TRUE(kernel.lookups().empty());
}

TEST(UndeliveredAnswers, ThatTheKernelRefusesAreFollowedByEio) {
  test::LogLines log;
  Liar liar;
  FakeKernel kernel(liar, strict());
  kernel.refuse_next_answer(EINVAL);
  EXPECT_EQ(kernel.lookup(root_ino, "a").code(), EIO);
  EXPECT_EQ(liar.forgotten, 1u);
  EXPECT_TRUE(log.has({"LOOKUP", "refused the answer"}));
}

TEST(Listings, EndWhereTheBufferDoesAndGoOnFromThere) {
  Liar liar;
  for (std::uint64_t i = 0; i < 50; ++i) liar.names.emplace_back("name" + std::to_string(i), entry_of(100 + i));
  FakeKernel kernel(liar, strict());
  EXPECT_EQ(kernel.readdir(root_ino, {}, 0, 100)->size(), 3u);  // 32 bytes each
  EXPECT_EQ(kernel.readdirplus(root_ino, {}, 0, 500)->size(), 3u);
  EXPECT_EQ(kernel.readdir(root_ino, {}, 0, 0)->size(), 0u);
  EXPECT_EQ(kernel.lookups().size(), 3u);
}

}  // namespace
}  // namespace fuselage
