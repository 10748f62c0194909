// Module: session.
//
// What the kernel offers and what the session will use of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <fuselage/capability.hpp>
#include <fuselage/notifier.hpp>

namespace fuselage {

/// The INIT exchange as `FileSystem::init` sees it: facts about the kernel, and choices already made from the session's
/// options and from what is implemented, which `init` may change. Valid during `init`.
struct Negotiation {
  std::uint32_t minor = 0;                       ///< The protocol is 7.`minor`: the smaller of the kernel's and ours.
  CapabilitySet offered;                         ///< What this kernel can do.
  CapabilitySet wanted;                          ///< What will be used; bits that are not offered are dropped.
  std::uint32_t max_write = 0;                   ///< Bytes in one WRITE, and (at least 128 KiB) one READ; whole pages.
  std::uint32_t max_readahead = 0;               ///< Bytes; at most what the kernel said.
  std::uint16_t max_background = 0;              ///< How many read-ahead and writeback requests may be under way.
  std::uint16_t congestion_threshold = 0;        ///< From how many on the kernel holds back.
  std::chrono::nanoseconds time_granularity{1};  ///< Resolution of times (since 7.23).
  Notifier notifier;                             ///< Copy it to tell the kernel things later.
};

}  // namespace fuselage
