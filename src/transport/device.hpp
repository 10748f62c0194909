// `/dev/fuse`, and everything that carries messages as it does: read(2) gives one whole message, writev(2) takes one.
#pragma once

#include "transport/channel.hpp"

namespace fuselage::transport {

/// The classic channel. A SOCK_SEQPACKET socket works the same way, which is how tests stand in for the kernel.
class Device final : public Channel {
 public:
  /// `fd` is borrowed: it must stay open as long as the channel is used.
  explicit Device(int fd) noexcept : fd_(fd) {}

  Received receive(Slot& spare) noexcept override;
  int send(Slot& slot, const wire::fuse_out_header& header, std::span<const ::iovec> body) noexcept override;
  int notify(const wire::fuse_out_header& header, std::span<const ::iovec> body) noexcept override;
  void wake(::pthread_t reader) noexcept override;
  Result<std::int32_t> open_backing(int fd) noexcept override;
  Result<void> close_backing(std::int32_t id) noexcept override;
  const char* name() const noexcept override { return "device"; }

 private:
  int fd_;
};

}  // namespace fuselage::transport
