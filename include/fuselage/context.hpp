// Module: session.
//
// Who asks, and what a handler may do while it answers.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <fuselage/types.hpp>
#include <stop_token>
#include <string>
#include <vector>

namespace fuselage {

class Context;

/// A security label that a new node shall have (since 7.36, with the `security_ctx` option): an extended attribute.
struct SecurityContext {
  std::string name;
  std::string value;
};

namespace detail {

/// What a `Context` can ask of the request behind it; the session implements it.
class RequestServices {
 public:
  virtual bool interrupted() const noexcept = 0;
  virtual std::stop_token stop_token() = 0;
  virtual std::span<std::byte> reply_buffer(std::size_t size) = 0;
  virtual std::span<std::byte> memory(std::size_t size) = 0;  ///< For any value, as long as the request lives.
  virtual std::vector<::gid_t> supplementary_groups() const = 0;
  virtual std::vector<SecurityContext> security_contexts() const = 0;

 protected:
  ~RequestServices() = default;
};

}  // namespace detail

/// The circumstances of one request. Valid, with everything it hands out, until the request is answered, also across
/// `co_await`. The members are read-only facts; the functions may be called from any thread that works on the request.
/// A default-constructed one is good for calling handlers in tests: root, nothing interrupted.
class Context {
 public:
  Context() = default;
  Context(::uid_t user, ::gid_t group, ::pid_t process) : uid(user), gid(group), pid(process) {}

  ::uid_t uid = 0;     ///< The caller's file-system user id; `(uid_t)-1` where an idmapped mount hides it.
  ::gid_t gid = 0;     ///< The caller's file-system group id.
  ::pid_t pid = 0;     ///< The caller's thread id; 0 for the kernel itself and for callers of other pid namespaces.
  ::mode_t umask = 0;  ///< In create, mknod, mkdir, tmpfile; 0 elsewhere. Already applied unless `dont_mask` is on.
  std::uint64_t unique = 0;  ///< The request's number in traces and logs.

  /// True once the caller was interrupted by a signal or the session is stopping: give up and answer EINTR if you can.
  bool interrupted() const noexcept { return services_ != nullptr && services_->interrupted(); }

  /// The same as a token, to wait on or to hang a callback on. Costs nothing unless it is asked for.
  std::stop_token stop_token() const { return services_ != nullptr ? services_->stop_token() : std::stop_token{}; }

  /// Memory for the answer of a read-like operation: fill it and return `Data::borrow` of what you filled. On io_uring
  /// it is the kernel's own buffer, so nothing is copied. `size` up to what the operation asked for; empty if there is
  /// none.
  std::span<std::byte> reply_buffer(std::size_t size) const {
    return services_ != nullptr ? services_->reply_buffer(size) : std::span<std::byte>{};
  }

  /// The caller's supplementary groups: the kernel's own word where it sends it (the one group that matters, in
  /// creating operations, since 7.38), else from /proc; empty if the caller is gone.
  std::vector<::gid_t> supplementary_groups() const {
    return services_ != nullptr ? services_->supplementary_groups() : std::vector<::gid_t>{};
  }

  /// The labels that a node being created shall have.
  std::vector<SecurityContext> security_contexts() const {
    return services_ != nullptr ? services_->security_contexts() : std::vector<SecurityContext>{};
  }

  /// For the library itself.
  detail::RequestServices* services() const noexcept { return services_; }
  void attach(detail::RequestServices* services) noexcept { services_ = services; }

 private:
  detail::RequestServices* services_ = nullptr;
};

}  // namespace fuselage
