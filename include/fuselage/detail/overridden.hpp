// Module: base.
//
// How it is found at compile time which virtual functions a class overrides: the class inside the type of `&T::read` is
// the class that declares it.
#pragma once

#include <cstdint>
#include <fuselage/operation_set.hpp>
#include <type_traits>

namespace fuselage::detail {

template <class Member>
struct MemberTraits;
template <class C, class F>
struct MemberTraits<F C::*> {
  using Class = C;
  using Function = F;
};

/// `bits`, if `member` is declared in another class than `base`; it must have the same signature then.
template <class Base, class Member>
constexpr OperationSet if_overridden(std::uint64_t bits, Base /*base*/, Member /*member*/) noexcept {
  static_assert(std::is_same_v<typename MemberTraits<Base>::Function, typename MemberTraits<Member>::Function>,
                "a member function has the name of an operation but not its signature: compare it with the declaration "
                "of the same name in the base class, and write `override` behind it");
  return OperationSet(std::is_same_v<typename MemberTraits<Base>::Class, typename MemberTraits<Member>::Class> ? 0
                                                                                                               : bits);
}

}  // namespace fuselage::detail
