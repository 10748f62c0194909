// From a request to the operation of a `FileSystem`, by operation family (dispatch_*.cpp).
#pragma once

#include <coroutine>
#include <fuselage/file_system.hpp>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/log.hpp"
#include "session/connection.hpp"
#include "session/request.hpp"
#include "wire/decoder.hpp"
#include "wire/operations.hpp"

namespace fuselage::inode {

using session::Incoming;
using session::Request;
using wire::Decoder;
using wire::Opcode;

/// Decodes the request, calls the file system and sees to the answer. One specialisation for each row whose handler is
/// not `session`: a row without one does not link.
template <Opcode opcode>
void dispatch(FileSystem& file_system, Request& request);

/// The same for messages that are never answered: they do not get what could answer.
template <Opcode opcode>
void dispatch_notice(FileSystem& file_system, const Incoming& notice);

/// Answers a message whose payload is not what its operation says.
inline void refuse_malformed(Request& request) {
  request.connection().count_malformed();
  base::log(LogLevel::warning, "{} ino={} unique={}: EIO (malformed message)", request.row().name,
            request.header().nodeid, request.header().unique);
  request.fail(Error{EIO});
}

/// What the handler did wrong, told once in the log; the caller gets EIO.
inline void refuse_answer(Request& request, std::string_view what) {
  base::log(LogLevel::error, "{} ino={} unique={}: EIO ({})", request.row().name, request.header().nodeid,
            request.header().unique, what);
  request.fail(Error{EIO});
}

inline void fail(Request& request, const Error& error) {
  if (error.has_message() && error.code() == EIO) {
    base::log(LogLevel::error, "{} ino={} unique={}: {} ({})", request.row().name, request.header().nodeid,
              request.header().unique, Error{error.code()}.message(), error.message());
  }
  request.fail(error);
}

namespace detail {

// A request whose handler is a coroutine that has not finished. The frame owns the handler's frame; the request owns
// this one. It ends by giving the request back, after everything in it is gone.
struct Suspended {
  struct promise_type {
    template <class... Rest>
    explicit promise_type(Request& of, Rest&...) noexcept : request(of) {}
    Suspended get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    struct GiveBack {
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<promise_type> frame) const noexcept {
        Request& done = frame.promise().request;
        frame.destroy();
        done.connection().recycle(done);
      }
      void await_resume() const noexcept {}
    };
    GiveBack final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { refuse_answer(request, error_of_current_exception().message()); }
    Request& request;
  };
  std::coroutine_handle<promise_type> handle;
};

// What `Answer` is called with for a T.
template <class T, class Answer>
struct Called {
  using Result = std::invoke_result_t<Answer&, T&>;
};
template <class Answer>
struct Called<void, Answer> {
  using Result = std::invoke_result_t<Answer&>;
};

// Nothing, or a Reply<void>: what there is to do after the answer.
template <class T, class Answer>
using Rest = typename Called<T, Answer>::Result;

template <class T, class Answer>
Rest<T, Answer> answer_with(Request& request, Result<T>& result, Answer& answer) {
  if (!result) {
    fail(request, result.error());
    return Rest<T, Answer>();
  }
  if constexpr (std::is_void_v<T>) {
    return answer();
  } else {
    return answer(*result);
  }
}

template <class T, class Answer>
Suspended answer_later(Request& request, Reply<T> reply, Answer answer) {
  Result<T> result = co_await reply;
  if constexpr (std::is_void_v<Rest<T, Answer>>) {
    answer_with<T>(request, result, answer);
  } else {
    static_cast<void>(co_await answer_with<T>(request, result, answer));
  }
}

inline Suspended finish_later(Request& /*request*/, Reply<void> rest) { static_cast<void>(co_await rest); }

inline void start(Request& request, Suspended suspended) {
  request.suspend(suspended.handle);
  suspended.handle.resume();
}

}  // namespace detail

/// Answers `request` with what `reply` gives, now or when it is there. `answer(value)` is called for values only; it
/// may return a Reply<void> with what is left to do, for which the request stays.
template <class T, class Answer>
void complete(Request& request, Reply<T> reply, Answer answer) {
  if (!reply.ready()) return detail::start(request, detail::answer_later(request, std::move(reply), std::move(answer)));
  if constexpr (std::is_void_v<detail::Rest<T, Answer>>) {
    detail::answer_with<T>(request, reply.result(), answer);
  } else if (Reply<void> rest = detail::answer_with<T>(request, reply.result(), answer); !rest.ready()) {
    detail::start(request, detail::finish_later(request, std::move(rest)));
  }
}

/// The same for operations that answer with nothing.
inline void complete(Request& request, Reply<void> reply) {
  complete(request, std::move(reply), [&request] { request.answer(); });
}

/// The open file that an operation names.
inline const OpenFile& open_file(Request& request, std::uint64_t handle, std::uint32_t flags = 0,
                                 std::uint64_t lock_owner = 0) {
  return request.keep(OpenFile{Handle{handle}, OpenFlags{static_cast<int>(flags)}, LockOwner{lock_owner}});
}

}  // namespace fuselage::inode
