// fuse_req_interrupt_func: what is called when, from which thread, and what it may do. The kernel's side is a channel
// of ours.
#define FUSE_USE_VERSION 29
#define _FILE_OFFSET_BITS 64
#include <fuse_lowlevel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <future>
#include <map>
#include <mutex>

#include "support/process.hpp"
#include "wire/kernel.hpp"

namespace fuselage::test {
namespace {

class InterruptTest : public ::testing::Test {
 protected:
  InterruptTest() {
    fuse_lowlevel_ops ops{};
    ops.read = [](fuse_req_t req, fuse_ino_t, size_t, off_t, fuse_file_info*) {
      static_cast<InterruptTest*>(fuse_req_userdata(req))->request_ = req;
    };
    session_ = fuse_lowlevel_new(nullptr, &ops, sizeof ops, this);
    fuse_chan_ops carry{};
    carry.send = [](fuse_chan* to, const iovec* parts, size_t) {
      wire::fuse_out_header header{};
      std::memcpy(&header, parts[0].iov_base, sizeof header);
      auto& test = *static_cast<InterruptTest*>(fuse_chan_data(to));
      const std::lock_guard lock(test.mutex_);
      test.answers_[header.unique] = header.error;
      return 0;
    };
    carry.destroy = [](fuse_chan*) {};
    channel_ = fuse_chan_new(&carry, -1, 132 * 1024, this);
    fuse_session_add_chan(session_, channel_);
    wire::fuse_init_in init{};
    init.major = 7;
    init.minor = 45;
    send(wire::Opcode::INIT, init);
  }
  ~InterruptTest() override { fuse_session_destroy(session_); }

  template <class Arguments>
  std::uint64_t send(wire::Opcode opcode, const Arguments& arguments) {
    wire::fuse_in_header header{};
    header.len = sizeof header + sizeof arguments;
    header.opcode = static_cast<std::uint32_t>(opcode);
    header.unique = unique_ += 2;
    header.nodeid = FUSE_ROOT_ID;
    char message[sizeof header + sizeof arguments];
    std::memcpy(message, &header, sizeof header);
    std::memcpy(message + sizeof header, &arguments, sizeof arguments);
    fuse_session_process(session_, message, sizeof message, channel_);
    return header.unique;
  }

  /// A request that its handler has left open.
  std::uint64_t ask() {
    wire::fuse_read_in read{};
    read.size = 4096;
    const std::uint64_t unique = send(wire::Opcode::READ, read);
    EXPECT_NE(request_, nullptr);
    return unique;
  }
  void interrupt(std::uint64_t unique) { send(wire::Opcode::INTERRUPT, wire::fuse_interrupt_in{unique}); }

  /// The error that a request was answered with; 1: not yet.
  int answered(std::uint64_t unique) {
    const std::lock_guard lock(mutex_);
    const auto found = answers_.find(unique);
    return found != answers_.end() ? found->second : 1;
  }

  static void give_up(fuse_req_t req, void*) {
    EXPECT_EQ(fuse_req_interrupted(req), 1);
    fuse_reply_err(req, EINTR);
  }

  fuse_session* session_ = nullptr;
  fuse_chan* channel_ = nullptr;
  fuse_req_t request_ = nullptr;
  std::uint64_t unique_ = 0;
  std::mutex mutex_;
  std::map<std::uint64_t, int> answers_;  // guarded by mutex_
};

TEST_F(InterruptTest, CallsWhenTheCallerIsInterrupted) {
  const std::uint64_t unique = ask();
  fuse_req_interrupt_func(request_, give_up, nullptr);
  EXPECT_EQ(fuse_req_interrupted(request_), 0);
  EXPECT_EQ(answered(unique), 1);
  interrupt(unique);
  EXPECT_EQ(answered(unique), -EINTR);
}

// The function answers, and the request is gone, while fuse_req_interrupt_func has still to return.
TEST_F(InterruptTest, CallsAtOnceForWhoHasBeenInterruptedAlready) {
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t unique = ask();
    interrupt(unique);
    EXPECT_EQ(fuse_req_interrupted(request_), 1);
    std::thread([this] { fuse_req_interrupt_func(request_, give_up, nullptr); }).join();
    ASSERT_EQ(answered(unique), -EINTR);
  }
}

TEST_F(InterruptTest, AnInterruptAndItsFunctionMayMeet) {
  for (int i = 0; i < 300; ++i) {
    const std::uint64_t unique = ask();
    std::thread program([this] { fuse_req_interrupt_func(request_, give_up, nullptr); });
    interrupt(unique);
    program.join();
    ASSERT_EQ(answered(unique), -EINTR);
  }
}

// Whoever answers may hold what the function waits for.
TEST_F(InterruptTest, AnsweringDoesNotWaitForTheFunction) {
  struct Shared {
    std::promise<void> called;
    std::promise<void> answered;
  } shared;
  const std::uint64_t unique = ask();
  fuse_req_interrupt_func(
      request_,
      [](fuse_req_t req, void* data) {
        auto& both = *static_cast<Shared*>(data);
        both.called.set_value();
        both.answered.get_future().wait();
        EXPECT_EQ(fuse_req_interrupted(req), 1);  // which is still there
        EXPECT_EQ(fuse_req_ctx(req)->uid, 0u);
      },
      &shared);
  std::thread interrupter([this, unique] { interrupt(unique); });
  shared.called.get_future().wait();
  EXPECT_EQ(fuse_reply_err(request_, EAGAIN), 0);
  EXPECT_EQ(answered(unique), -EAGAIN);
  shared.answered.set_value();
  interrupter.join();
}

// Whose data may be freed then.
TEST_F(InterruptTest, TakingBackWaitsForTheFunction) {
  struct Shared {
    std::promise<void> called;
    std::atomic<bool> done{false};
  } shared;
  const std::uint64_t unique = ask();
  fuse_req_interrupt_func(
      request_,
      [](fuse_req_t, void* data) {
        auto& both = *static_cast<Shared*>(data);
        both.called.set_value();
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        both.done = true;
      },
      &shared);
  std::thread interrupter([this, unique] { interrupt(unique); });
  shared.called.get_future().wait();
  fuse_req_interrupt_func(request_, nullptr, nullptr);
  EXPECT_TRUE(shared.done);
  interrupter.join();
  fuse_reply_err(request_, EINTR);
}

TEST_F(InterruptTest, CallsNothingThatWasTakenBackOrIsAnswered) {
  static std::atomic<int> calls;
  calls = 0;
  const auto count = [](fuse_req_t, void*) { ++calls; };
  const std::uint64_t taken_back = ask();
  fuse_req_interrupt_func(request_, count, nullptr);
  fuse_req_interrupt_func(request_, nullptr, nullptr);
  interrupt(taken_back);
  EXPECT_EQ(calls, 0);
  fuse_req_interrupt_func(request_, count, nullptr);  // it has happened
  EXPECT_EQ(calls, 1);
  fuse_reply_err(request_, 0);
  const std::uint64_t answered_before = ask();
  fuse_req_interrupt_func(request_, count, nullptr);
  fuse_reply_err(request_, 0);
  interrupt(answered_before);
  EXPECT_EQ(calls, 1);
}

TEST_F(InterruptTest, AFunctionMayTakeItselfBack) {
  const std::uint64_t unique = ask();
  fuse_req_interrupt_func(
      request_,
      [](fuse_req_t req, void*) {
        fuse_req_interrupt_func(req, nullptr, nullptr);
        fuse_reply_err(req, EINTR);
      },
      nullptr);
  interrupt(unique);
  EXPECT_EQ(answered(unique), -EINTR);
}

}  // namespace
}  // namespace fuselage::test
