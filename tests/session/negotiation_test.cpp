// INIT: what the kernel offers, what the file system implements, what the options say.
#include "support/fake.hpp"
#include "support/log_lines.hpp"

namespace fuselage {
namespace {

class Nothing : public FileSystem {};

class Some : public FileSystem {
 public:
  std::function<Result<void>(Negotiation&)> on_init = [](Negotiation&) { return Result<void>(); };
  int destroyed = 0;

  Result<void> init(Negotiation& negotiation) override { return on_init(negotiation); }
  void destroy() override { ++destroyed; }
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{}; }
  Reply<Opened> opendir(const Context&, Ino, OpenFlags) override { return Opened{}; }
  Reply<void> readdir(const Context&, Ino, const OpenFile&, std::uint64_t, DirectorySink&) override { return {}; }
  Reply<void> setlk(const Context&, Ino, const OpenFile&, Lock, bool) override { return {}; }
  Reply<IoctlReply> ioctl(const Context&, Ino, const OpenFile&, const IoctlCall&) override { return Error{ENOTTY}; }
  Reply<void> setxattr(const Context&, Ino, std::string_view, Bytes, XattrFlags) override { return {}; }
};

bool uses(const FakeKernel& kernel, Capability capability) {
  return kernel.agreed()->capabilities.contains(capability);
}

TEST(Negotiation, SpeaksTheOlderOfTwoMinors) {
  for (const std::uint32_t minor : {12u, 22u, 23u, 35u, 36u, 45u, 46u, 99u}) {
    Nothing nothing;
    FakeKernelOptions options;
    options.minor = minor;
    FakeKernel kernel(nothing, strict(options));
    ASSERT_TRUE(kernel.agreed()) << minor;
    EXPECT_EQ(kernel.agreed()->minor, std::min(minor, 45u));
    EXPECT_EQ(kernel.agreed()->time_granularity, minor < 23 ? 0u : 1u);
  }
}

TEST(Negotiation, FollowsWhatIsImplemented) {
  Nothing nothing;
  Some some;
  FakeKernel without(nothing, strict());
  FakeKernel with(some, strict());
  for (const Capability capability :
       {Capability::POSIX_LOCKS, Capability::FLOCK_LOCKS, Capability::HAS_IOCTL_DIR, Capability::READDIRPLUS,
        Capability::READDIRPLUS_AUTO, Capability::SETXATTR_EXT}) {
    EXPECT_FALSE(uses(without, capability)) << static_cast<std::uint64_t>(capability);
    EXPECT_TRUE(uses(with, capability)) << static_cast<std::uint64_t>(capability);
  }
  for (const Capability capability : {Capability::NO_OPEN_SUPPORT, Capability::NO_OPENDIR_SUPPORT}) {
    EXPECT_TRUE(uses(without, capability)) << static_cast<std::uint64_t>(capability);
    EXPECT_FALSE(uses(with, capability)) << static_cast<std::uint64_t>(capability);
  }
}

TEST(Negotiation, FollowsTheOptions) {
  Some some;
  SessionOptions session;
  session.enable = CapabilitySet(Capability::WRITEBACK_CACHE) | Capability::PASSTHROUGH;
  session.disable = CapabilitySet(Capability::ASYNC_READ) | Capability::READDIRPLUS;
  session.attr_timeout = {};
  session.request_timeout = std::chrono::seconds(90);
  session.max_write = 65536;
  session.max_readahead = 4096;
  session.max_background = 7;
  session.congestion_threshold = 5;
  session.time_granularity = std::chrono::microseconds(1);
  FakeKernel kernel(some, strict_session(session));
  EXPECT_TRUE(uses(kernel, Capability::WRITEBACK_CACHE));
  EXPECT_FALSE(uses(kernel, Capability::ASYNC_READ));
  EXPECT_FALSE(uses(kernel, Capability::READDIRPLUS));
  EXPECT_FALSE(uses(kernel, Capability::AUTO_INVAL_DATA));
  EXPECT_EQ(kernel.agreed()->max_write, 65536u);
  EXPECT_EQ(kernel.agreed()->max_pages, 32u);
  EXPECT_EQ(kernel.agreed()->max_readahead, 4096u);
  EXPECT_EQ(kernel.agreed()->max_background, 7u);
  EXPECT_EQ(kernel.agreed()->congestion_threshold, 5u);
  EXPECT_EQ(kernel.agreed()->time_granularity, 1000u);
  EXPECT_EQ(kernel.agreed()->max_stack_depth, 1u);
  EXPECT_EQ(kernel.agreed()->request_timeout, 90u);
}

TEST(Negotiation, TakesOnlyWhatIsOffered) {
  Some some;
  FakeKernelOptions options;
  options.offered = CapabilitySet();
  options.session.enable = CapabilitySet(UINT64_MAX);
  FakeKernel kernel(some, strict(options));
  EXPECT_EQ(kernel.agreed()->capabilities, CapabilitySet());
  EXPECT_EQ(kernel.agreed()->max_write, 128u * 1024);  // 32 pages: all there is without MAX_PAGES
}

TEST(Negotiation, IsChangedByInit) {
  Some some;
  CapabilitySet offered;
  some.on_init = [&](Negotiation& negotiation) {
    offered = negotiation.offered;
    EXPECT_EQ(negotiation.minor, 40u);
    EXPECT_TRUE(negotiation.wanted.contains(Capability::ASYNC_READ));
    negotiation.wanted.remove(Capability::ASYNC_READ);
    negotiation.wanted.add(Capability::EXPORT_SUPPORT);
    negotiation.wanted.add(Capability::REQUEST_TIMEOUT);  // not offered by this kernel
    negotiation.max_write = 100;
    return Result<void>();
  };
  FakeKernelOptions options;
  options.minor = 40;
  FakeKernel kernel(some, strict(options));
  EXPECT_TRUE(offered.contains(Capability::PASSTHROUGH));
  EXPECT_FALSE(offered.contains(Capability::REQUEST_TIMEOUT));
  EXPECT_TRUE(uses(kernel, Capability::EXPORT_SUPPORT));
  EXPECT_FALSE(uses(kernel, Capability::ASYNC_READ));
  EXPECT_FALSE(uses(kernel, Capability::REQUEST_TIMEOUT));
  EXPECT_EQ(kernel.agreed()->max_write, 4096u);
}

TEST(Negotiation, FailsWithTheErrorOfInit) {
  for (const bool socket : {false, true}) {
    Some some;
    some.on_init = [](Negotiation&) { return Result<void>(Error{EACCES, "no key for this volume"}); };
    FakeKernelOptions options;
    options.socket = socket;
    FakeKernel kernel(some, strict(options));
    ASSERT_FALSE(kernel.agreed());
    EXPECT_EQ(kernel.agreed().error().code(), EACCES);
    EXPECT_EQ(kernel.agreed().error().message(), "no key for this volume");
    EXPECT_EQ(some.destroyed, 0);
  }
}

TEST(Negotiation, FailsWhenInitThrows) {
  Some some;
  some.on_init = [](Negotiation&) -> Result<void> { throw std::runtime_error("thrown"); };
  FakeKernel kernel(some, strict());
  ASSERT_FALSE(kernel.agreed());
  EXPECT_EQ(kernel.agreed().error().message(), "thrown");
}

TEST(Negotiation, RefusesKernelsThatAreTooOld) {
  for (const auto& [major, minor] : {std::pair(7u, 11u), std::pair(7u, 0u), std::pair(6u, 50u)}) {
    Some some;
    FakeKernelOptions options;
    options.major = major;
    options.minor = minor;
    FakeKernel kernel(some, strict(options));
    ASSERT_FALSE(kernel.agreed());
    EXPECT_EQ(kernel.agreed().error().code(), EPROTO);
    EXPECT_NE(kernel.agreed().error().message().find("use a newer kernel"), std::string::npos);
  }
}

TEST(Negotiation, AsksNewerKernelsToComeDown) {
  for (const bool socket : {false, true}) {
    Some some;
    FakeKernelOptions options;
    options.major = 8;
    options.socket = socket;
    FakeKernel kernel(some, strict(options));
    ASSERT_TRUE(kernel.agreed());
    EXPECT_EQ(kernel.agreed()->minor, 45u);
    EXPECT_TRUE(kernel.open(Ino{2}, 0));
  }
}

TEST(Connections, AnswerNothingBeforeAndNoSecondInit) {
  test::LogLines log;
  Some some;
  some.on_init = [](Negotiation&) { return Result<void>(Error{EACCES}); };
  FakeKernel failed(some, strict());
  EXPECT_EQ(failed.open(Ino{2}, 0).code(), EIO);
  Some good;
  FakeKernel kernel(good, strict());
  const std::string init("\x07\0\0\0\x2d\0\0\0", 8);
  EXPECT_EQ(kernel.request(26, Ino{}, bytes_of(init + std::string(56, '\0'))).code(), EIO);
  EXPECT_TRUE(kernel.open(Ino{2}, 0));
}

TEST(Connections, CallDestroyOnceAndOnlyAfterASuccessfulInit) {
  Some some;
  {
    FakeKernel kernel(some, strict());
    EXPECT_TRUE(kernel.destroy());
    kernel.unmount();
    EXPECT_EQ(some.destroyed, 1);
  }
  EXPECT_EQ(some.destroyed, 1);
}

}  // namespace
}  // namespace fuselage
