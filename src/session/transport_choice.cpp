#include "session/transport_choice.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

#include "base/log.hpp"

namespace fuselage::session {
namespace {

// What the options leave open. `uring` in the environment is a wish only: where io_uring cannot be had, whatever it was
// set for shall still work.
bool is_device_asked_for() {
  const char* const text = std::getenv("FUSELAGE_TRANSPORT");
  const std::string_view name = text != nullptr ? text : "";
  if (!name.empty() && name != "device" && name != "uring") {
    base::log(LogLevel::warning, "FUSELAGE_TRANSPORT is '{}'; expected uring or device", name);
  }
  return name == "device";
}

}  // namespace

TransportChoice::TransportChoice(int device, transport::Channel& classic, const SessionOptions& options)
    : device_(device), classic_(classic), options_(options) {}

Result<void> TransportChoice::reject(std::string why) {
  uring_.reset();
  reason_ = std::move(why);
  if (options_.transport != Transport::uring) return {};
  return Error{EOPNOTSUPP, "transport=uring is not possible: " + reason_};
}

Result<bool> TransportChoice::prepare(bool wanted, std::uint32_t max_write) {
  const auto rejected = [this](std::string why) -> Result<bool> {
    if (auto error = reject(std::move(why)); !error) return error.error();
    return false;
  };
  const bool is_open = options_.transport == Transport::automatic;
  if (options_.transport == Transport::device || (is_open && is_device_asked_for())) {
    return rejected("the device was asked for");
  }
  // The rings' threads never are the one that called `run`.
  if (options_.max_threads <= 1) return rejected("with one thread all handlers run on that which called run");
  if (max_write < transport::Uring::smallest_max_write) {
    return rejected(fmt::format("max_write is less than {}", transport::Uring::smallest_max_write));
  }
  transport::Uring::Options options;
  options.depth = options_.ring_depth;
  options.max_lanes = options_.max_threads - 1;
  options.copies = options_.deadline.count() > 0;
  auto uring = transport::Uring::create(device_, classic_, options);
  if (!uring) return rejected(uring.error().message());
  if (!wanted) return rejected("the kernel does not offer it, or the file system does not want it");
  uring_ = std::move(uring).value();
  return true;
}

Result<void> TransportChoice::open(std::uint32_t max_write) {
  if (uring_ == nullptr) return {};
  if (const auto opened = uring_->open(max_write); !opened) {
    return reject("the kernel refused an entry: " + opened.error().message());
  }
  reason_.clear();
  return {};
}

}  // namespace fuselage::session
