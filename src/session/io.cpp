#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <fuselage/io.hpp>
#include <optional>

#include "session/executor.hpp"
#include "session/rendezvous.hpp"
#include "session/request.hpp"

namespace fuselage::io {
namespace detail {

/// One call.
class Operation : public session::IoOperation {
 public:
  explicit Operation(const Context& context) : executor_(session::Executor::of(context)), stop_(context.stop_token()) {}

  /// True if the coroutine shall stay suspended.
  bool suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;
    executor_.submit(*this);
    cancel_.emplace(stop_, Cancel{this});
    return rendezvous_.suspend();
  }

  Result<int> end() {
    cancel_.reset();
    if (result_ == -ECANCELED || cut_short_.load()) {
      if (cut_short_.load()) {
        if (result_ >= 0) undo(result_);
        return Error{EINTR};
      }
      return Error{ETIMEDOUT};
    }
    if (result_ < 0) return Error{-result_};
    return result_;
  }

  void done(int result) noexcept final {
    result_ = result;
    if (rendezvous_.end()) executor_.post(waiting_);
  }

 protected:
  /// Takes back what nobody will hear of.
  virtual void undo(int /*result*/) noexcept {}

  /// For `perform`: waits until `fd` is ready for `events`. 0, or what ended the wait, negative.
  int wait_for(int fd, short events) const noexcept {
    using std::chrono::milliseconds;
    constexpr milliseconds step(20);
    std::optional<milliseconds> left;
    if (limit) left = milliseconds(limit->tv_sec * 1000 + limit->tv_nsec / 1'000'000 + 1);
    while (!cut_short_.load()) {
      if (left && left->count() <= 0) return -ECANCELED;
      const milliseconds now = left ? std::min(step, *left) : step;
      ::pollfd polled{fd, events, 0};
      const int ready = ::poll(&polled, 1, static_cast<int>(now.count()));
      if (ready > 0) return 0;
      if (ready < 0 && errno != EINTR) return -errno;
      if (left) *left -= now;
    }
    return -ECANCELED;
  }

 private:
  struct Cancel {
    Operation* operation;
    void operator()() const noexcept {
      operation->cut_short_.store(true);
      operation->executor_.cancel(*operation);
    }
  };

  session::Executor& executor_;
  std::stop_token stop_;
  std::coroutine_handle<> waiting_;
  std::optional<std::stop_callback<Cancel>> cancel_;
  session::Rendezvous rendezvous_;
  std::atomic<bool> cut_short_{false};
  int result_ = 0;
};

void Delete::operator()(Operation* operation) const noexcept { delete operation; }

void limit(Operation& operation, std::chrono::nanoseconds duration) noexcept {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  operation.limit = ::__kernel_timespec{seconds.count(), (duration - seconds).count()};
}

bool start(Operation& operation, std::coroutine_handle<> waiting) { return operation.suspend(waiting); }

Result<int> end(Operation& operation) { return operation.end(); }

}  // namespace detail

namespace {

using detail::Operation;

int or_errno(::ssize_t result) noexcept { return result < 0 ? -errno : static_cast<int>(result); }

// One call can carry as much as its result can count.
unsigned length(std::size_t size) noexcept { return static_cast<unsigned>(std::min<std::size_t>(size, INT_MAX)); }

// A call that is told by two functions how to describe it to io_uring and how to make it.
template <class Prepare, class Perform>
class Described : public Operation {
 public:
  Described(const Context& context, Prepare prepare, Perform perform)
      : Operation(context), prepare_(prepare), perform_(perform) {}
  void prepare(::io_uring_sqe& entry) noexcept override { prepare_(&entry); }
  int perform() noexcept override { return perform_(); }

 private:
  Prepare prepare_;
  Perform perform_;
};

// The same where making it means waiting for a descriptor first, for as long as nobody interrupts.
template <class Prepare, class Perform>
class Patient final : public Described<Prepare, Perform> {
 public:
  Patient(const Context& context, int fd, short events, Prepare prepare, Perform perform)
      : Described<Prepare, Perform>(context, prepare, perform), fd_(fd), events_(events) {}
  int perform() noexcept override {
    for (;;) {
      if (const int failure = this->wait_for(fd_, events_); failure != 0) return failure;
      // Another may have been quicker: then wait on.
      if (const int result = Described<Prepare, Perform>::perform(); result != -EAGAIN) return result;
    }
  }

 private:
  const int fd_;
  const short events_;
};

template <class Prepare, class Perform>
detail::Owner describe(const Context& context, Prepare prepare, Perform perform) {
  return detail::Owner(new Described<Prepare, Perform>(context, prepare, perform));
}

template <class Prepare, class Perform>
detail::Owner describe_patient(const Context& context, int fd, short events, Prepare prepare, Perform perform) {
  return detail::Owner(new Patient<Prepare, Perform>(context, fd, events, prepare, perform));
}

}  // namespace

Call<std::size_t> read(const Context& context, int fd, std::span<std::byte> buffer, std::uint64_t offset) {
  const auto prepare = [=](::io_uring_sqe* entry) {
    ::io_uring_prep_read(entry, fd, buffer.data(), length(buffer.size()), offset);
  };
  if (offset == current) {
    return Call<std::size_t>(describe_patient(
        context, fd, POLLIN, prepare, [=] { return or_errno(::read(fd, buffer.data(), length(buffer.size()))); }));
  }
  return Call<std::size_t>(describe(context, prepare, [=] {
    return or_errno(::pread(fd, buffer.data(), length(buffer.size()), static_cast<::off_t>(offset)));
  }));
}

Call<std::size_t> write(const Context& context, int fd, Bytes bytes, std::uint64_t offset) {
  const auto prepare = [=](::io_uring_sqe* entry) {
    ::io_uring_prep_write(entry, fd, bytes.data(), length(bytes.size()), offset);
  };
  if (offset == current) {
    return Call<std::size_t>(describe_patient(
        context, fd, POLLOUT, prepare, [=] { return or_errno(::write(fd, bytes.data(), length(bytes.size()))); }));
  }
  return Call<std::size_t>(describe(context, prepare, [=] {
    return or_errno(::pwrite(fd, bytes.data(), length(bytes.size()), static_cast<::off_t>(offset)));
  }));
}

Call<void> fsync(const Context& context, int fd, bool data_only) {
  return Call<void>(describe(
      context, [=](::io_uring_sqe* entry) { ::io_uring_prep_fsync(entry, fd, data_only ? IORING_FSYNC_DATASYNC : 0u); },
      [=] { return or_errno(data_only ? ::fdatasync(fd) : ::fsync(fd)); }));
}

Call<void> statx(const Context& context, int directory, const char* path, int flags, unsigned mask,
                 struct ::statx& attributes) {
  struct ::statx* const out = &attributes;
  return Call<void>(describe(
      context, [=](::io_uring_sqe* entry) { ::io_uring_prep_statx(entry, directory, path, flags, mask, out); },
      [=] { return or_errno(::statx(directory, path, flags, mask, out)); }));
}

Call<int> openat(const Context& context, int directory, const char* path, int flags, ::mode_t mode) {
  flags |= O_CLOEXEC;
  const auto prepare = [=](::io_uring_sqe* entry) { ::io_uring_prep_openat(entry, directory, path, flags, mode); };
  const auto perform = [=] { return or_errno(::openat(directory, path, flags, mode)); };
  class Opening final : public Described<decltype(prepare), decltype(perform)> {
    using Described::Described;
    void undo(int result) noexcept override { ::close(result); }
  };
  return Call<int>(detail::Owner(new Opening(context, prepare, perform)));
}

Call<void> connect(const Context& context, int socket, const ::sockaddr& address, ::socklen_t size) {
  const ::sockaddr* const to = &address;
  return Call<void>(describe(
      context, [=](::io_uring_sqe* entry) { ::io_uring_prep_connect(entry, socket, to, size); },
      [=] { return or_errno(::connect(socket, to, size)); }));
}

Call<std::size_t> send(const Context& context, int socket, Bytes bytes, int flags) {
  flags |= MSG_NOSIGNAL;
  return Call<std::size_t>(describe_patient(
      context, socket, POLLOUT,
      [=](::io_uring_sqe* entry) { ::io_uring_prep_send(entry, socket, bytes.data(), length(bytes.size()), flags); },
      [=] { return or_errno(::send(socket, bytes.data(), length(bytes.size()), flags | MSG_DONTWAIT)); }));
}

Call<std::size_t> recv(const Context& context, int socket, std::span<std::byte> buffer, int flags) {
  return Call<std::size_t>(describe_patient(
      context, socket, POLLIN,
      [=](::io_uring_sqe* entry) { ::io_uring_prep_recv(entry, socket, buffer.data(), length(buffer.size()), flags); },
      [=] { return or_errno(::recv(socket, buffer.data(), length(buffer.size()), flags | MSG_DONTWAIT)); }));
}

}  // namespace fuselage::io
