// The way that all operations of the adapter take.
#pragma once

#include <system_error>

#include "path/adapter.hpp"

namespace fuselage::path {

/// Memory that lives as long as the request behind `context`.
inline std::span<std::byte> memory_of(const Context& context, std::size_t size) {
  if (context.services() == nullptr) {
    throw std::system_error(EINVAL, std::generic_category(), "the path level needs the context of a request");
  }
  return context.services()->memory(size);
}

template <class T, class U, class Finish>
Reply<T> finish_later(Hold hold, Reply<U> reply, Finish finish) {
  Result<U> result = co_await reply;
  co_return finish(hold, std::move(result));
}

inline Path Adapter::path_of(const Context& context, const Hold::Place& place,
                             const std::optional<std::string_view>& name) const {
  const Ino ino = !name ? place.node->ino() : place.target != nullptr ? place.target->ino() : Ino{};
  if (!place.has_path) return {"", 0, ino};
  const std::size_t size = locks_.path_size(place, name);
  char* const text = reinterpret_cast<char*>(memory_of(context, size + 1).data());
  locks_.write_path(place, name, std::span(text, size + 1));
  return {text, size, ino};
}

/// Calls `call(Hold&, Path, Path)`, which returns a `Reply<U>`, and answers what `finish(Hold&, Result<U>)`, a
/// `Result<T>`, makes of it, with the paths locked from before the one to behind the other.
template <class Call, class Finish>
auto Adapter::with(const Context& context, const Want& want, Nameless nameless, Call call, Finish finish) {
  using Called = std::invoke_result_t<Call&, Hold&, Path, Path>;
  using U = typename Called::value_type;
  using T = typename std::invoke_result_t<Finish&, Hold&, Result<U>>::value_type;
  using Answer = Reply<std::conditional_t<std::is_same_v<T, std::monostate>, void, T>>;
  Hold hold;
  const auto outcome = locks_.try_acquire(want, hold);
  if (!outcome) return Answer(outcome.error());
  if (*outcome == PathLocks::Outcome::busy) {
    return wait<typename Answer::value_type>(context, want, nameless, std::move(call), std::move(finish));
  }
  const Path first = path_of(context, hold.first, want.first.name);
  const Path second = want.second ? path_of(context, hold.second, want.second->name) : Path();
  if (nameless == Nameless::refuse && (first.empty() || (want.second && second.empty()))) return Answer(Error{ENOENT});
  Called reply = call(hold, first, second);
  if (reply.ready()) return Answer(finish(hold, reply.take()));
  return finish_later<typename Answer::value_type>(std::move(hold), std::move(reply), std::move(finish));
}

template <class T, class Call, class Finish>
Reply<T> Adapter::wait(const Context& context, Want want, Nameless nameless, Call call, Finish finish) {
  Hold hold;
  if (context.services() == nullptr) co_return Error{EAGAIN};
  const Result<void> held = co_await locks_.wait(session::Incoming::of(*context.services()).executor(), want, hold);
  if (!held) co_return held.error();
  const Path first = path_of(context, hold.first, want.first.name);
  const Path second = want.second ? path_of(context, hold.second, want.second->name) : Path();
  if (nameless == Nameless::refuse && (first.empty() || (want.second && second.empty()))) co_return Error{ENOENT};
  auto reply = call(hold, first, second);
  auto result = co_await reply;
  co_return finish(hold, std::move(result));
}

/// The same where the handler's answer is the answer.
template <class Call>
auto Adapter::with(const Context& context, const Want& want, Nameless nameless, Call call) {
  using U = typename std::invoke_result_t<Call&, Hold&, Path, Path>::value_type;
  return with(context, want, nameless, std::move(call), [](Hold&, Result<U> result) { return result; });
}

/// For operations on open files: `call(Path)`, with an empty path where there is none, or where none is wanted.
template <class Call>
auto Adapter::with_file(const Context& context, Ino ino, Call call) {
  if (options_.omit_paths) return call(Path("", 0, ino));
  return with(context, Want{{ino}}, Nameless::call,
              [call = std::move(call)](Hold&, Path path, Path) mutable { return call(path); });
}

}  // namespace fuselage::path
