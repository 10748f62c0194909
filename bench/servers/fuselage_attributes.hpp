// Attributes of the store as fuselage has them.
#pragma once

#include <fuselage/attributes.hpp>

#include "store.hpp"

namespace bench {

constexpr std::chrono::seconds timeout(Store::timeout_seconds);

inline fuselage::Attributes attributes_of(std::uint64_t ino) {
  const struct ::stat in = Store::attributes(ino);
  fuselage::Attributes out;
  out.mode = in.st_mode;
  out.nlink = static_cast<std::uint32_t>(in.st_nlink);
  out.size = static_cast<std::uint64_t>(in.st_size);
  out.blocks = static_cast<std::uint64_t>(in.st_blocks);
  out.timeout = timeout;
  return out;
}

}  // namespace bench
