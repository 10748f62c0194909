#include "wire/capabilities.hpp"

#include <fmt/format.h>

namespace fuselage::wire {

std::string to_text(std::uint64_t set) {
  std::string text;
  const auto append = [&text](std::string_view part) {
    if (!text.empty()) text += '|';
    text += part;
  };
  for (const CapabilityRow& row : capabilities) {
    if (!has(set, row.capability)) continue;
    append(row.name);
    set &= ~bit(row.capability);
  }
  if (set != 0 || text.empty()) append(set != 0 ? fmt::format("{:#x}", set) : "0");
  return text;
}

}  // namespace fuselage::wire
