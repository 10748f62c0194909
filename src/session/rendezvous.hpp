// Where a coroutine and what it waits for meet.
#pragma once

#include <atomic>

namespace fuselage::session {

/// "It is over" and "the coroutine is suspended and everything set up" happen once each, on two threads; whoever comes
/// second lets the coroutine go on.
class Rendezvous {
 public:
  /// The coroutine is suspended. False: it is over already, go on.
  bool suspend() noexcept { return (marks_.fetch_or(suspended) & ended) == 0; }

  /// It is over, which may be said more than once. True: the coroutine waits, resume it.
  bool end() noexcept { return marks_.fetch_or(ended) == suspended; }

 private:
  static constexpr unsigned ended = 1;
  static constexpr unsigned suspended = 2;

  std::atomic<unsigned> marks_{0};
};

}  // namespace fuselage::session
