// A session that serves a character device: CUSE_INIT, and what may come after it.
#include <poll.h>
#include <sys/ioctl.h>

#include "support/fake.hpp"
#include "support/log_lines.hpp"

namespace fuselage {
namespace {

constexpr Ino nobody{};  // what requests about a device are about

// Holds what was written to it.
class Register : public FileSystem {
 public:
  Notifier notifier;
  PollHandle waiting{};

  Result<void> init(Negotiation& negotiation) override {
    notifier = negotiation.notifier;
    if (fails) return Error{ENOMEM, "no room"};
    return {};
  }
  Reply<Opened> open(const Context&, Ino ino, OpenFlags) override {
    EXPECT_EQ(ino, nobody);
    return Opened{.handle = Handle{7}};
  }
  Reply<Data> read(const Context&, Ino, const OpenFile& file, Range range) override {
    EXPECT_EQ(file.handle, Handle{7});
    return Data::borrow(slice(content, range));
  }
  Reply<std::size_t> write(const Context&, Ino, const OpenFile&, std::uint64_t, Bytes bytes, WriteFlags) override {
    content.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (waiting != PollHandle{}) {
      EXPECT_TRUE(notifier.synchronous().poll(waiting));
    }
    return bytes.size();
  }
  Reply<std::uint32_t> poll(const Context&, Ino, const OpenFile&, std::uint32_t, PollHandle wake) override {
    waiting = wake;
    return content.empty() ? 0u : static_cast<std::uint32_t>(POLLIN);
  }
  // Asks for the caller's memory first, as an unrestricted one may.
  Reply<IoctlReply> ioctl(const Context&, Ino, const OpenFile&, const IoctlCall& call) override {
    EXPECT_TRUE(call.unrestricted);
    IoctlReply reply;
    if (call.input.empty()) {
      reply.retry = true;
      reply.input_ranges = {{call.argument, 4}};
      return reply;
    }
    reply.result = static_cast<int>(call.input.size());
    return reply;
  }
  Reply<void> release(const Context&, Ino, const OpenFile&, bool) override { return {}; }
  void destroy() override { ++destroyed; }

  std::string content;
  bool fails = false;
  int destroyed = 0;
};

FakeKernelOptions a_device(CharacterDevice device = {.information = {"DEVNAME=register"}}, bool socket = false) {
  SessionOptions session;
  session.character_device = std::move(device);
  FakeKernelOptions options = strict_session(session);
  options.socket = socket;
  return options;
}

class CharacterDeviceTest : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Ways, CharacterDeviceTest, ::testing::Bool(),
                         [](const auto& way) { return way.param ? "socket" : "direct"; });

TEST_P(CharacterDeviceTest, TellsTheKernelWhatItIs) {
  Register file_system;
  int announced = 0;
  {
    FakeKernel kernel(file_system, a_device({.information = {"DEVNAME=register", "SUBSYSTEM=misc"},
                                             .major = 240,
                                             .minor = 3,
                                             .unrestricted_ioctl = true,
                                             .announced = [&announced] { ++announced; }},
                                            GetParam()));
    ASSERT_TRUE(kernel.agreed()) << kernel.agreed().error().message();
    ASSERT_TRUE(kernel.agreed()->device);
    const AgreedDevice& device = *kernel.agreed()->device;
    EXPECT_EQ(device.information, (std::vector<std::string>{"DEVNAME=register", "SUBSYSTEM=misc"}));
    EXPECT_EQ(device.major, 240u);
    EXPECT_EQ(device.minor, 3u);
    EXPECT_TRUE(device.unrestricted_ioctl);
    EXPECT_EQ(kernel.agreed()->max_write, 131072u);
    kernel.unmount();
    EXPECT_EQ(announced, 1);
  }
  EXPECT_EQ(file_system.destroyed, 1);
}

TEST_P(CharacterDeviceTest, IsReadAndWritten) {
  Register file_system;
  FakeKernel kernel(file_system,
                    a_device({.information = {"DEVNAME=register"}, .unrestricted_ioctl = true}, GetParam()));
  const auto opened = kernel.open(nobody, O_RDWR);
  ASSERT_TRUE(opened);
  const OpenFile file{opened->handle};
  EXPECT_EQ(*kernel.poll(nobody, file, POLLIN, PollHandle{5}), 0u);
  EXPECT_EQ(*kernel.write(nobody, file, 0, "text"), 4u);
  EXPECT_EQ(*kernel.read(nobody, file, {1, 100}), "ext");
  EXPECT_EQ(*kernel.poll(nobody, file, POLLIN), static_cast<std::uint32_t>(POLLIN));
  EXPECT_EQ(kernel.fsync(nobody, file).code(), ENOSYS);

  IoctlCall call{.command = 1, .argument = 0x1000, .unrestricted = true};
  const auto first = kernel.ioctl(nobody, file, call);
  ASSERT_TRUE(first);
  ASSERT_TRUE(first->retry);
  ASSERT_EQ(first->input_ranges.size(), 1u);
  EXPECT_EQ(first->input_ranges[0].base, 0x1000u);
  const std::string memory = "four";
  call.input = bytes_of(memory);
  EXPECT_EQ(kernel.ioctl(nobody, file, call)->result, 4);
  EXPECT_TRUE(kernel.release(nobody, file));
  const auto told = kernel.notifications();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].name, "POLL");
}

TEST(CharacterDevice, DoesNotBeginAsAMount) {
  test::LogLines log;
  Register file_system;
  FakeKernel kernel(file_system, a_device());
  const std::string init(64, '\0');
  EXPECT_EQ(kernel.request(26, nobody, bytes_of(init)).code(), EIO);
  // Nor a mount as a device.
  FakeKernel mount(file_system, strict());
  EXPECT_EQ(mount.request(4096, nobody, bytes_of(init).first(16)).code(), EIO);
}

TEST(CharacterDevice, IsNotMadeWithMoreInformationThanTheKernelTakes) {
  Register file_system;
  FakeKernel kernel(file_system, a_device({.information = {"DEVNAME=" + std::string(5000, 'x')}}));
  ASSERT_FALSE(kernel.agreed());
  EXPECT_EQ(kernel.agreed().error().code(), EINVAL);
  EXPECT_EQ(file_system.destroyed, 0);
}

TEST(CharacterDevice, IsNotMadeIfItCannotBegin) {
  Register file_system;
  file_system.fails = true;
  FakeKernel kernel(file_system, a_device());
  ASSERT_FALSE(kernel.agreed());
  EXPECT_EQ(kernel.agreed().error().code(), ENOMEM);
}

TEST(CharacterDevice, NeedsAKernelThatIsNotTooOld) {
  Register file_system;
  FakeKernelOptions options = a_device();
  options.minor = 8;
  FakeKernel kernel(file_system, options);
  ASSERT_FALSE(kernel.agreed());
  EXPECT_EQ(kernel.agreed().error().code(), EPROTO);
}

}  // namespace
}  // namespace fuselage
