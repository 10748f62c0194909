// A request of the low level: from the handler's call to fuse_reply_*, which may come within it or much later.
#pragma once

#include <atomic>
#include <functional>
#include <fuselage/deferred.hpp>
#include <fuselage/file_system.hpp>
#include <fuselage/log.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>

#include "capi/v2/api.hpp"
#include "capi/v2/interrupt.hpp"

namespace fuselage::capi2 {

// What a fuse_reply_* said, before it is known what was asked. The numbers are told apart by their types.
struct Done {};
struct Size {
  std::size_t value;
};
struct Block {
  std::uint64_t value;
};
struct Events {
  std::uint32_t value;
};
using Answer = std::variant<Error, Done, Entry, Created, Attributes, std::string, Opened, Size, Data, StatFs, Lock,
                            Block, IoctlReply, Events>;

}  // namespace fuselage::capi2

struct fuse_req {
  fuse_req(fuse_session* of, fuse_chan* from, const fuselage::Context& who)
      : session(of), channel(from), context(&who), ctx{who.uid, who.gid, who.pid, who.umask} {}
  virtual ~fuse_req() = default;
  fuse_req(const fuse_req&) = delete;
  fuse_req& operator=(const fuse_req&) = delete;

  /// From any thread, once; the request may be gone afterwards.
  void reply(fuselage::capi2::Answer given) {
    interrupt.drop();
    answer = std::move(given);
    if (state.exchange(State::answered, std::memory_order_acq_rel) == State::waiting) {
      answer_late();
      let_go();
    }
  }

  void on_interrupt(fuse_interrupt_func_t function, void* data) {
    if (!hold()) return;
    interrupt.set(this, function, data, [this] {
      watch.emplace(context->stop_token(), [this] {
        if (!hold()) return;
        interrupt.happen(this);
        let_go();
      });
    });
    let_go();
  }

  /// Whoever holds it can use it, though another thread may answer it meanwhile. False: too late.
  bool hold() noexcept {
    int count = holders.load(std::memory_order_relaxed);
    while (count != 0 && !holders.compare_exchange_weak(count, count + 1, std::memory_order_acq_rel)) {
    }
    return count != 0;
  }
  void let_go() noexcept {
    if (holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  enum class State { in_handler, answered, waiting };

  fuse_session* session;
  fuse_chan* channel;
  const fuselage::Context* context;  ///< Valid until the reply.
  fuse_ctx ctx;
  std::atomic<State> state{State::in_handler};
  fuselage::capi2::Answer answer{fuselage::capi2::Done{}};
  std::atomic<int> holders{1};  ///< The first is who will have the answer.
  fuselage::capi2::Interrupt interrupt;
  std::optional<std::stop_callback<std::function<void()>>> watch;

 private:
  virtual void answer_late() = 0;
};

namespace fuselage::capi2 {

/// The answer as what the operation gives. A kind that does not fit is the program's mistake.
template <class T>
Result<T> as(Answer& answer) {
  if (const auto* error = std::get_if<Error>(&answer)) return *error;
  if constexpr (std::is_void_v<T>) {
    if (std::holds_alternative<Done>(answer) || std::holds_alternative<Data>(answer)) return {};
  } else if constexpr (std::is_same_v<T, std::size_t>) {
    if (const auto* size = std::get_if<Size>(&answer)) return size->value;
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    if (const auto* block = std::get_if<Block>(&answer)) return block->value;
  } else if constexpr (std::is_same_v<T, std::uint32_t>) {
    if (const auto* events = std::get_if<Events>(&answer)) return events->value;
  } else {
    if (auto* value = std::get_if<T>(&answer)) return std::move(*value);
    if constexpr (std::is_same_v<T, Data>) {
      if (std::holds_alternative<Done>(answer)) return Data{};
    }
  }
  return Error{EIO, "the handler gave an answer of another kind than was asked for"};
}

template <class T>
struct TypedRequest final : fuse_req {
  using fuse_req::fuse_req;
  std::optional<Deferred<T>> later;

 private:
  void answer_late() override { later->answer(as<T>(answer)); }
};

/// Calls the C handler with a request of its own, and gives what it answers: at once if it has answered when it
/// returns, without a coroutine.
template <class T, class Call>
Reply<T> ask(fuse_session* session, fuse_chan* channel, const Context& context, Call&& call) {
  auto* const request = new TypedRequest<T>(session, channel, context);
  call(static_cast<fuse_req_t>(request));
  if (request->state.load(std::memory_order_acquire) != fuse_req::State::answered) {
    Reply<T> reply = request->later.emplace().reply();
    if (request->state.exchange(fuse_req::State::waiting, std::memory_order_acq_rel) != fuse_req::State::answered) {
      return reply;
    }
  }
  Result<T> result = as<T>(request->answer);
  request->let_go();
  return result;
}

}  // namespace fuselage::capi2
