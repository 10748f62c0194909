// Which transport a session uses, and why.
#pragma once

#include <fuselage/session_options.hpp>
#include <memory>
#include <string>

#include "transport/uring.hpp"

namespace fuselage::session {

/// Decides during INIT, in two steps: before it is answered, and after. Not thread-safe.
class TransportChoice {
 public:
  /// `classic` is the device itself, by the descriptor `device`.
  TransportChoice(int device, transport::Channel& classic, const SessionOptions& options);

  /// Before INIT is answered: may the answer say OVER_IO_URING? `wanted`: the kernel offers it and nobody has refused.
  /// An error if the options insist on it.
  Result<bool> prepare(bool wanted, std::uint32_t max_write);

  /// After INIT was answered; the same error. The rings, if there are any, are at work from now on.
  Result<void> open(std::uint32_t max_write);

  /// Null: it is the device.
  transport::Uring* uring() const noexcept { return uring_.get(); }
  /// Why it is the device.
  const std::string& reason() const noexcept { return reason_; }

 private:
  Result<void> reject(std::string why);

  const int device_;
  transport::Channel& classic_;
  const SessionOptions options_;
  std::unique_ptr<transport::Uring> uring_;
  std::string reason_;
};

}  // namespace fuselage::session
