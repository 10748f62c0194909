// The fake kernel with gtest behind it.
#pragma once

#include <gtest/gtest.h>

#include <fuselage/testing/fake_kernel.hpp>
#include <utility>

namespace fuselage {

inline FakeKernelOptions strict(FakeKernelOptions options = {}) {
  options.on_violation = [](const std::string& what) { ADD_FAILURE() << "the kernel complains: " << what; };
  return options;
}

inline FakeKernelOptions strict_session(SessionOptions session) {
  FakeKernelOptions options;
  options.session = std::move(session);
  return strict(std::move(options));
}

/// A node of `ino` that nothing is wrong with.
inline Entry entry_of(std::uint64_t ino) {
  Entry entry;
  entry.ino = Ino{ino};
  entry.attributes = Attributes::file(0);
  return entry;
}

}  // namespace fuselage
