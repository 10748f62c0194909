// What a file system tells unasked.
#include <array>

#include "support/fake.hpp"
#include "support/log_lines.hpp"

namespace fuselage {
namespace {

class Teller : public FileSystem {
 public:
  Notifier notifier;
  int code_in_init = 0;
  std::function<void()> inside = [] {};

  Result<void> init(Negotiation& negotiation) override {
    notifier = negotiation.notifier;
    const auto early = notifier.inval_inode(root_ino);
    code_in_init = early ? 0 : early.error().code();
    return {};
  }
  Reply<void> unlink(const Context&, Ino, std::string_view) override {
    inside();
    return {};
  }
};

int code(const Result<void>& result) { return result ? 0 : result.error().code(); }

// Sends one of each kind.
void send_all(const Notifier& notifier) {
  EXPECT_TRUE(notifier.poll(PollHandle{77}));
  EXPECT_TRUE(notifier.inval_attributes(Ino{2}));
  EXPECT_TRUE(notifier.inval_inode(Ino{3}, 4096, 8192));
  EXPECT_TRUE(notifier.inval_entry(Ino{4}, "name"));
  EXPECT_TRUE(notifier.expire_entry(Ino{5}, "n\xff"));
  EXPECT_TRUE(notifier.deleted(Ino{6}, Ino{7}, "gone"));
  EXPECT_TRUE(notifier.store(Ino{8}, 1ull << 40, bytes_of("data")));
  EXPECT_TRUE(notifier.retrieve(Ino{9}, {4096, 100}, [](std::uint64_t, Bytes) {}));
  EXPECT_TRUE(notifier.resend());
  EXPECT_TRUE(notifier.increment_epoch());
  const std::array inos = {Ino{10}, Ino{11}};
  EXPECT_TRUE(notifier.prune(inos));
}

std::vector<std::string> texts(const std::vector<Notified>& notified) {
  std::vector<std::string> lines;
  for (const Notified& one : notified) lines.push_back(one.text);
  return lines;
}

const std::vector<std::string> all_texts = {
    "POLL kh=77",
    "INVAL_INODE ino=2 offset=-1 length=0",
    "INVAL_INODE ino=3 offset=4096 length=8192",
    "INVAL_ENTRY parent=4 name=\"name\"",
    "INVAL_ENTRY parent=5 expire_only name=\"n\\377\"",
    "DELETE parent=6 child=7 name=\"gone\"",
    "STORE ino=8 offset=1099511627776 data=4",
    "RETRIEVE retrieve=4611686018427387904 ino=9 offset=4096 size=100",
    "RESEND",
    "INC_EPOCH",
    "PRUNE count=2 data=16",
};

TEST(Notifications, OfEachKindArriveInOrder) {
  Teller teller;
  FakeKernel kernel(teller, strict());
  send_all(teller.notifier);
  EXPECT_EQ(kernel.statistics().notifications, 0u);
  EXPECT_EQ(texts(kernel.notifications()), all_texts);
  EXPECT_EQ(kernel.statistics().notifications, all_texts.size());
}

TEST(Notifications, ThatAreSynchronousAreSentAtOnceAndTellTheAnswer) {
  Teller teller;
  FakeKernel kernel(teller, strict());
  send_all(teller.notifier.synchronous());
  EXPECT_EQ(kernel.statistics().notifications, all_texts.size());
  EXPECT_EQ(texts(kernel.notifications()), all_texts);
  kernel.answer_notifications(ENOENT);
  EXPECT_EQ(code(teller.notifier.synchronous().inval_inode(Ino{2})), ENOENT);
  EXPECT_EQ(code(teller.notifier.inval_inode(Ino{2})), 0);
}

TEST(Notifications, FromInsideAHandlerAreSentAfterIt) {
  Teller teller;
  FakeKernel kernel(teller, strict());
  teller.inside = [&] {
    EXPECT_TRUE(teller.notifier.inval_entry(root_ino, "x"));
    EXPECT_EQ(kernel.statistics().notifications, 0u);
  };
  EXPECT_TRUE(kernel.unlink(root_ino, "x"));
  EXPECT_EQ(kernel.notifications().size(), 1u);
}

TEST(Notifications, ThatTheKernelRefusesAreLoggedUnlessItJustDoesNotKnowTheNode) {
  test::LogLines log;
  Teller teller;
  FakeKernel kernel(teller, strict());
  kernel.answer_notifications(ENOENT);
  EXPECT_TRUE(teller.notifier.inval_inode(Ino{2}));
  kernel.run_pending();
  EXPECT_TRUE(log.lines().empty());
  kernel.answer_notifications(EINVAL);
  EXPECT_TRUE(teller.notifier.inval_inode(Ino{2}));
  kernel.run_pending();
  EXPECT_TRUE(log.has({"a notification was refused"}));
}

TEST(Notifications, FailBeforeTheSessionIsReadyAndAfterItHasEnded) {
  Teller teller;
  {
    FakeKernel kernel(teller, strict());
    EXPECT_EQ(teller.code_in_init, ENOTCONN);
    kernel.unmount();
    EXPECT_EQ(code(teller.notifier.inval_inode(Ino{2})), ENOTCONN);
    EXPECT_EQ(code(teller.notifier.synchronous().inval_inode(Ino{2})), ENOTCONN);
  }
  EXPECT_EQ(code(teller.notifier.inval_inode(Ino{2})), ENOTCONN);
  EXPECT_EQ(code(teller.notifier.retrieve(Ino{2}, {0, 1}, [](std::uint64_t, Bytes) {})), ENOTCONN);
  EXPECT_EQ(code(Notifier().resend()), ENOTCONN);
}

TEST(Notifications, FailWhereTheProtocolIsTooOldForThem) {
  const auto at = [](std::uint32_t minor, const std::function<Result<void>(const Notifier&)>& send) {
    Teller teller;
    FakeKernelOptions options;
    options.minor = minor;
    FakeKernel kernel(teller, strict(options));
    return code(send(teller.notifier));
  };
  const std::vector<std::pair<std::uint32_t, std::function<Result<void>(const Notifier&)>>> kinds = {
      {15, [](const Notifier& n) { return n.store(Ino{2}, 0, {}); }},
      {15, [](const Notifier& n) { return n.retrieve(Ino{2}, {}, [](std::uint64_t, Bytes) {}); }},
      {18, [](const Notifier& n) { return n.deleted(Ino{2}, Ino{3}, "x"); }},
      {38, [](const Notifier& n) { return n.expire_entry(Ino{2}, "x"); }},
      {40, [](const Notifier& n) { return n.resend(); }},
      {44, [](const Notifier& n) { return n.increment_epoch(); }},
      {45, [](const Notifier& n) { return n.prune({}); }},
  };
  for (const auto& [since, send] : kinds) {
    EXPECT_EQ(at(since - 1, send), EOPNOTSUPP) << since;
    EXPECT_EQ(at(since, send), 0) << since;
  }
}

TEST(Notifications, AboutNamesThatNoDirectoryHoldsAreRefused) {
  Teller teller;
  FakeKernel kernel(teller, strict());
  for (const std::string& name : {std::string(), std::string("a/b"), std::string("a\0b", 3), std::string(1025, 'n')}) {
    EXPECT_EQ(code(teller.notifier.inval_entry(root_ino, name)), EINVAL);
    EXPECT_EQ(code(teller.notifier.expire_entry(root_ino, name)), EINVAL);
    EXPECT_EQ(code(teller.notifier.deleted(root_ino, Ino{2}, name)), EINVAL);
  }
  EXPECT_TRUE(kernel.notifications().empty());
}

TEST(Retrieving, GivesWhatThePageCacheHolds) {
  Teller teller;
  FakeKernel kernel(teller, strict());
  std::string got;
  std::uint64_t at = 0;
  int calls = 0;
  EXPECT_TRUE(teller.notifier.retrieve(Ino{9}, {4096, 100}, [&](std::uint64_t offset, Bytes bytes) {
    ++calls;
    at = offset;
    got = text_of(bytes);
  }));
  const std::vector<Notified> asked = kernel.notifications();
  ASSERT_EQ(asked.size(), 1u);
  kernel.answer_retrieve(asked[0], 4096, "cached");
  EXPECT_EQ(got, "cached");
  EXPECT_EQ(at, 4096u);
  kernel.answer_retrieve(asked[0], 4096, "again");  // nobody asked
  EXPECT_EQ(calls, 1);
}

TEST(Retrieving, SurvivesAReceiverThatThrows) {
  test::LogLines log;
  Teller teller;
  FakeKernel kernel(teller, strict());
  EXPECT_TRUE(teller.notifier.retrieve(Ino{9}, {0, 1}, [](std::uint64_t, Bytes) { throw std::runtime_error("no"); }));
  kernel.answer_retrieve(kernel.notifications().at(0), 0, "");
  EXPECT_TRUE(log.has({"retrieved data threw", "no"}));
}

TEST(Passthrough, RegistersFilesSinceTheProtocolHasIt) {
  Teller teller;
  FakeKernel kernel(teller, strict());
  const auto id = teller.notifier.open_backing(0);
  ASSERT_TRUE(id);
  EXPECT_EQ(code(teller.notifier.close_backing(*id)), 0);
  EXPECT_EQ(code(teller.notifier.close_backing(*id + 1)), ENOENT);
  FakeKernelOptions old;
  old.minor = 39;
  Teller other;
  FakeKernel old_kernel(other, strict(old));
  EXPECT_EQ(other.notifier.open_backing(0).error().code(), EOPNOTSUPP);
}

}  // namespace
}  // namespace fuselage
