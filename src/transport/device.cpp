#include "transport/device.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <vector>

#include "transport/wake_signal.hpp"
#include "wire/kernel.hpp"

namespace fuselage::transport {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
// Sanitizers want to see which memory these touch, and whom they wait for.
ssize_t read_from(int fd, std::span<std::byte> buffer) noexcept { return ::read(fd, buffer.data(), buffer.size()); }
ssize_t write_to(int fd, std::span<const ::iovec> parts) noexcept {
  return ::writev(fd, parts.data(), static_cast<int>(parts.size()));
}
#else
// Without the C library, where these are points of cancellation: in a process of several threads it says so before and
// after each call, with a locked instruction.
ssize_t read_from(int fd, std::span<std::byte> buffer) noexcept {
  return ::syscall(SYS_read, fd, buffer.data(), buffer.size());
}
ssize_t write_to(int fd, std::span<const ::iovec> parts) noexcept {
  if (parts.size() == 1) return ::syscall(SYS_write, fd, parts[0].iov_base, parts[0].iov_len);
  return ::syscall(SYS_writev, fd, parts.data(), parts.size());
}
#endif

// Sends all parts in one call: the kernel takes an answer as one write.
int write_parts(int fd, std::span<const ::iovec> parts) noexcept {
  for (;;) {
    if (write_to(fd, parts) >= 0) return 0;
    // A socket that stands for the kernel may be full or not blocking; the device itself never says so.
    if (errno == EAGAIN) {
      ::pollfd wait{fd, POLLOUT, 0};
      ::poll(&wait, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
}

int write_whole(int fd, const wire::fuse_out_header& header, std::span<const ::iovec> body) noexcept {
  // The kernel looks up the page of each part (fuse_copy_fill): for little it is quicker to have one part in one page.
  constexpr std::size_t little = 512;
  std::size_t total = sizeof header;
  for (const ::iovec& part : body) total += part.iov_len;
  if (total <= little) {
    alignas(little) std::array<std::byte, little> joined;
    std::byte* at = joined.data();
    const auto append = [&at](const void* bytes, std::size_t size) {
      at = std::copy_n(static_cast<const std::byte*>(bytes), size, at);
    };
    append(&header, sizeof header);
    for (const ::iovec& part : body) append(part.iov_base, part.iov_len);
    const ::iovec whole{joined.data(), total};
    return write_parts(fd, std::span(&whole, 1));
  }
  constexpr std::size_t most_parts = 8;
  std::array<::iovec, 1 + most_parts> parts;
  if (body.size() > most_parts) return EINVAL;
  parts[0] = {const_cast<wire::fuse_out_header*>(&header), sizeof header};
  std::copy(body.begin(), body.end(), parts.begin() + 1);
  return write_parts(fd, std::span(parts).first(1 + body.size()));
}

}  // namespace

[[gnu::flatten]] Received Device::receive(Slot& spare) noexcept {
  using Kind = Received::Kind;
  for (;;) {
    const ssize_t size = read_from(fd_, spare.buffer);
    if (size > 0) {
      const auto length = static_cast<std::size_t>(size);
      auto message = wire::split(spare.buffer.first(length));
      if (!message) return {Kind::message, nullptr, message.error().code()};
      std::atomic_ref(spare.channel).store(this, std::memory_order_relaxed);
      spare.message = *message;
      const std::size_t used = (length + page - 1) / page * page;
      spare.reply_buffer = spare.buffer.subspan(std::min(used, spare.buffer.size()));
      return {Kind::message, &spare, 0};
    }
    if (size == 0) return {Kind::closed, nullptr, 0};
    switch (errno) {
      case ENOENT:  // The request was interrupted before it got here (fuse_dev_do_read): take the next.
        continue;
      case EAGAIN: {
        ::pollfd wait{fd_, POLLIN, 0};
        if (::poll(&wait, 1, -1) < 0 && errno == EINTR) return {Kind::woken, nullptr, 0};
        continue;
      }
      case EINTR:
        return {Kind::woken, nullptr, 0};
      case ENODEV:
        return {Kind::closed, nullptr, 0};
      case ECONNABORTED:  // Only where ABORT_ERROR was negotiated; otherwise an abort looks like an unmount.
        return {Kind::aborted, nullptr, 0};
      default:
        return {Kind::failed, nullptr, errno};
    }
  }
}

// Flat, because each return from a function that was entered before a system call is mispredicted: the kernel's own
// calls have taken its place in the processor's stack of returns.
[[gnu::flatten]] int Device::send(Slot& /*slot*/, const wire::fuse_out_header& header,
                                  std::span<const ::iovec> body) noexcept {
  return write_whole(fd_, header, body);
}

int Device::notify(const wire::fuse_out_header& header, std::span<const ::iovec> body) noexcept {
  return write_whole(fd_, header, body);
}

void Device::wake(::pthread_t reader) noexcept { ::pthread_kill(reader, wake_signal()); }

Result<std::int32_t> Device::open_backing(int fd) noexcept {
  wire::fuse_backing_map map{};
  map.fd = fd;
  const int id = ::ioctl(fd_, wire::dev_ioc_backing_open, &map);
  if (id < 0) return Error::last();
  return id;
}

Result<void> Device::close_backing(std::int32_t id) noexcept {
  if (::ioctl(fd_, wire::dev_ioc_backing_close, &id) < 0) return Error::last();
  return {};
}

}  // namespace fuselage::transport
