// Module: base.
//
// A set of the protocol's operations, by opcode.
#pragma once

#include <cstdint>

namespace fuselage {

/// Which operations a file system implements: one bit for each opcode of the protocol (1 to 63).
class OperationSet {
 public:
  constexpr OperationSet() noexcept = default;
  constexpr explicit OperationSet(std::uint64_t bits) noexcept : bits_(bits) {}

  constexpr bool contains(std::uint32_t opcode) const noexcept { return opcode < 64 && ((bits_ >> opcode) & 1) != 0; }
  constexpr bool contains_any(OperationSet other) const noexcept { return (bits_ & other.bits_) != 0; }
  constexpr std::uint64_t bits() const noexcept { return bits_; }

  friend constexpr OperationSet operator|(OperationSet a, OperationSet b) noexcept {
    return OperationSet(a.bits_ | b.bits_);
  }
  friend constexpr bool operator==(OperationSet, OperationSet) = default;

 private:
  std::uint64_t bits_ = 0;
};

}  // namespace fuselage
