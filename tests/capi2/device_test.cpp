// Character devices by cuse_lowlevel_*. The kernel's side is a channel of ours; there is no /dev/cuse to be had.
#define FUSE_USE_VERSION 29
#define _FILE_OFFSET_BITS 64
#include <cuse_lowlevel.h>
#include <poll.h>
#include <sched.h>

#include <cstring>
#include <deque>

#include "capi2/c_program.hpp"
#include "wire/kernel.hpp"

namespace fuselage::test {
namespace {

struct Answered {
  wire::fuse_out_header header{};
  std::string body;
};

// What the handlers have seen.
struct Calls {
  int init = 0, init_done = 0, destroy = 0, released = 0, flushed = 0;
  int synced = -1;
  std::string content;
  fuse_pollhandle* waiting = nullptr;
};

Calls& calls_of(fuse_req_t req) { return *static_cast<Calls*>(fuse_req_userdata(req)); }

cuse_lowlevel_ops handlers() {
  cuse_lowlevel_ops ops{};
  ops.init = [](void* data, fuse_conn_info* connection) {
    ++static_cast<Calls*>(data)->init;
    EXPECT_EQ(connection->proto_major, 7u);
    connection->max_write = 65536;
  };
  ops.init_done = [](void* data) { ++static_cast<Calls*>(data)->init_done; };
  ops.destroy = [](void* data) { ++static_cast<Calls*>(data)->destroy; };
  ops.open = [](fuse_req_t req, fuse_file_info* fi) {
    fi->fh = 77;
    fi->nonseekable = 1;
    fuse_reply_open(req, fi);
  };
  ops.read = [](fuse_req_t req, size_t size, off_t off, fuse_file_info* fi) {
    EXPECT_EQ(fi->fh, 77u);
    const std::string& content = calls_of(req).content;
    const std::size_t from = std::min(static_cast<std::size_t>(off), content.size());
    fuse_reply_buf(req, content.data() + from, std::min(size, content.size() - from));
  };
  ops.write = [](fuse_req_t req, const char* bytes, size_t size, off_t, fuse_file_info*) {
    calls_of(req).content.assign(bytes, size);
    fuse_reply_write(req, size);
  };
  ops.flush = [](fuse_req_t req, fuse_file_info*) {
    ++calls_of(req).flushed;
    fuse_reply_err(req, 0);
  };
  ops.release = [](fuse_req_t req, fuse_file_info*) {
    ++calls_of(req).released;
    fuse_reply_err(req, 0);
  };
  ops.fsync = [](fuse_req_t req, int data_only, fuse_file_info*) {
    calls_of(req).synced = data_only;
    fuse_reply_err(req, 0);
  };
  ops.ioctl = [](fuse_req_t req, int, void* argument, fuse_file_info*, unsigned flags, const void* in, size_t in_size,
                 size_t) {
    EXPECT_NE(flags & FUSE_IOCTL_UNRESTRICTED, 0u);
    iovec wanted{argument, 4};
    if (in_size == 0) {
      fuse_reply_ioctl_retry(req, &wanted, 1, nullptr, 0);
    } else {
      fuse_reply_ioctl(req, 3, in, in_size);
    }
  };
  ops.poll = [](fuse_req_t req, fuse_file_info*, fuse_pollhandle* handle) {
    calls_of(req).waiting = handle;
    fuse_reply_poll(req, POLLOUT);
  };
  return ops;
}

class DeviceTest : public ::testing::Test {
 protected:
  DeviceTest() {
    const char* lines[] = {"DEVNAME=fuselage-test", "SUBSYSTEM=misc"};
    cuse_info info{};
    info.dev_major = 240;
    info.dev_minor = 1;
    info.dev_info_argc = 2;
    info.dev_info_argv = lines;
    info.flags = CUSE_UNRESTRICTED_IOCTL;
    const cuse_lowlevel_ops ops = handlers();
    session_ = cuse_lowlevel_new(nullptr, &info, &ops, &calls_);
    fuse_chan_ops channel{};
    channel.receive = [](fuse_chan**, char*, size_t) { return -ENODEV; };
    channel.send = [](fuse_chan* to, const iovec* parts, size_t count) {
      std::string message;
      for (std::size_t i = 0; i < count; ++i) message.append(static_cast<char*>(parts[i].iov_base), parts[i].iov_len);
      Answered answered;
      std::memcpy(&answered.header, message.data(), sizeof answered.header);
      answered.body = message.substr(sizeof answered.header);
      static_cast<DeviceTest*>(fuse_chan_data(to))->answers_.push_back(answered);
      return 0;
    };
    channel.destroy = [](fuse_chan*) {};
    channel_ = fuse_chan_new(&channel, -1, 132 * 1024, this);
    fuse_session_add_chan(session_, channel_);
  }
  ~DeviceTest() override {
    if (session_ != nullptr) fuse_session_destroy(session_);
  }

  /// Sends a request, as the kernel does it about a device, and takes the answer.
  template <class Arguments>
  Answered ask(wire::Opcode opcode, const Arguments& arguments, const std::string& payload = "") {
    wire::fuse_in_header header{};
    header.len = static_cast<std::uint32_t>(sizeof header + sizeof arguments + payload.size());
    header.opcode = static_cast<std::uint32_t>(opcode);
    header.unique = ++unique_ * 2;
    std::string message(reinterpret_cast<const char*>(&header), sizeof header);
    message.append(reinterpret_cast<const char*>(&arguments), sizeof arguments).append(payload);
    fuse_session_process(session_, message.data(), message.size(), channel_);
    if (answers_.empty()) {
      ADD_FAILURE() << "no answer";
      return {};
    }
    Answered answered = answers_.front();
    answers_.pop_front();
    EXPECT_EQ(answered.header.unique, header.unique);
    return answered;
  }
  template <class T>
  static T structure(const Answered& answered) {
    T value{};
    EXPECT_GE(answered.body.size(), sizeof value);
    std::memcpy(&value, answered.body.data(), std::min(sizeof value, answered.body.size()));
    return value;
  }
  Answered begin() { return ask(wire::Opcode::CUSE_INIT, wire::cuse_init_in{7, 45, 0, 1}); }

  Calls calls_;
  fuse_session* session_ = nullptr;
  fuse_chan* channel_ = nullptr;
  std::deque<Answered> answers_;
  std::uint64_t unique_ = 0;
};

TEST_F(DeviceTest, TellsTheKernelWhatItIs) {
  const Answered answered = begin();
  const auto out = structure<wire::cuse_init_out>(answered);
  EXPECT_EQ(out.major, 7u);
  EXPECT_EQ(out.flags, wire::cuse_flag::unrestricted_ioctl);
  EXPECT_EQ(out.max_write, 65536u);
  EXPECT_EQ(out.dev_major, 240u);
  EXPECT_EQ(out.dev_minor, 1u);
  EXPECT_EQ(answered.body.substr(sizeof out), std::string("DEVNAME=fuselage-test\0SUBSYSTEM=misc\0", 37));
  EXPECT_EQ(calls_.init, 1);
  EXPECT_EQ(calls_.init_done, 1);
  EXPECT_EQ(calls_.destroy, 0);
  fuse_session_destroy(std::exchange(session_, nullptr));
  EXPECT_EQ(calls_.destroy, 1);
}

TEST_F(DeviceTest, CallsEachHandler) {
  begin();
  wire::fuse_open_in open_in{};
  const auto opened = structure<wire::fuse_open_out>(ask(wire::Opcode::OPEN, open_in));
  EXPECT_EQ(opened.fh, 77u);
  EXPECT_EQ(opened.open_flags & wire::fopen_flag::nonseekable, wire::fopen_flag::nonseekable);

  wire::fuse_write_in write_in{};
  write_in.fh = 77;
  write_in.size = 5;
  EXPECT_EQ(structure<wire::fuse_write_out>(ask(wire::Opcode::WRITE, write_in, "bytes")).size, 5u);
  EXPECT_EQ(calls_.content, "bytes");
  wire::fuse_read_in read_in{};
  read_in.fh = 77;
  read_in.offset = 1;
  read_in.size = 100;
  EXPECT_EQ(ask(wire::Opcode::READ, read_in).body, "ytes");
  wire::fuse_flush_in flush_in{};
  EXPECT_EQ(ask(wire::Opcode::FLUSH, flush_in).header.error, 0);
  EXPECT_EQ(calls_.flushed, 1);
  wire::fuse_fsync_in fsync_in{};
  fsync_in.fsync_flags = 1;
  EXPECT_EQ(ask(wire::Opcode::FSYNC, fsync_in).header.error, 0);
  EXPECT_EQ(calls_.synced, 1);
  wire::fuse_release_in release_in{};
  EXPECT_EQ(ask(wire::Opcode::RELEASE, release_in).header.error, 0);
  EXPECT_EQ(calls_.released, 1);
  // What no device has.
  EXPECT_EQ(ask(wire::Opcode::GETATTR, wire::fuse_getattr_in{}).header.error, -ENOSYS);
}

TEST_F(DeviceTest, AsksForTheMemoryOfAnIoctl) {
  begin();
  wire::fuse_ioctl_in in{};
  in.fh = 77;
  in.flags = wire::ioctl_flag::unrestricted;
  in.cmd = 0xc0de;
  in.arg = 0x1000;
  in.out_size = 4096;
  const Answered first = ask(wire::Opcode::IOCTL, in);
  const auto retry = structure<wire::fuse_ioctl_out>(first);
  EXPECT_EQ(retry.flags & wire::ioctl_flag::retry, wire::ioctl_flag::retry);
  EXPECT_EQ(retry.in_iovs, 1u);
  in.in_size = 4;
  const Answered second = ask(wire::Opcode::IOCTL, in, "four");
  EXPECT_EQ(structure<wire::fuse_ioctl_out>(second).result, 3);
  EXPECT_EQ(second.body.substr(sizeof(wire::fuse_ioctl_out)), "four");
}

TEST_F(DeviceTest, WakesWhoPolls) {
  begin();
  wire::fuse_poll_in in{};
  in.kh = 5;
  in.flags = wire::poll_flag::schedule_notify;
  EXPECT_EQ(structure<wire::fuse_poll_out>(ask(wire::Opcode::POLL, in)).revents, static_cast<std::uint32_t>(POLLOUT));
  ASSERT_NE(calls_.waiting, nullptr);
  EXPECT_EQ(fuse_lowlevel_notify_poll(calls_.waiting), 0);
  fuse_pollhandle_destroy(calls_.waiting);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].header.unique, 0u);
  EXPECT_EQ(structure<wire::fuse_notify_poll_wakeup_out>(answers_[0]).kh, 5u);
}

class DeviceProgramTest : public CProgramTest {
 protected:
  /// Runs it where /dev is empty: its exit code and output.
  std::pair<int, std::string> run(const std::vector<std::string>& arguments) {
    Program device([start = command("device", arguments)] {
      if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/dev", "tmpfs", 0, nullptr) != 0) return 99;
      return start();
    });
    const int code = device.wait(std::chrono::seconds(60));
    return {code, device.output()};
  }
};

TEST_F(DeviceProgramTest, SaysThatTheModuleIsMissing) {
  const auto [code, output] = run({"-f"});
  EXPECT_EQ(code, 1);
  EXPECT_EQ(output, "fuse: /dev/cuse: No such file or directory (the kernel's module is not there: modprobe cuse)\n");
}

TEST_F(DeviceProgramTest, RefusesOptionsOfNobody) {
  const auto [code, output] = run({"-f", "-o", "nonsense"});
  EXPECT_EQ(code, 1);
  EXPECT_EQ(output, "fuse: unknown option 'nonsense'\n");
}

TEST_F(DeviceProgramTest, RefusesMoreInformationThanTheKernelTakes) {
  const auto [code, output] = run({"-f", "--long"});
  EXPECT_EQ(code, 1);
  EXPECT_EQ(output, "fuse: the information about the device takes 6000 bytes, 4096 are the most\n");
}

}  // namespace
}  // namespace fuselage::test
