// Module: testing.
//
// What the fake kernel gets back.
#pragma once

#include <cstdint>
#include <fuselage/attributes.hpp>
#include <fuselage/result.hpp>
#include <fuselage/types.hpp>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace fuselage {

namespace fake {
class Exchange;
}

/// A request that the fake kernel has sent, answered or not. Must not be waited for after its kernel is gone.
class PendingRequest {
 public:
  explicit PendingRequest(std::shared_ptr<fake::Exchange> exchange) noexcept : exchange_(std::move(exchange)) {}

  /// Its number.
  std::uint64_t unique() const noexcept;
  /// Is it answered? Does not wait.
  bool answered() const;
  /// Waits for the answer: 0 for success, else the errno. In direct mode, where nothing happens by itself, an answer
  /// that does not come from `run_pending` is a violation, and ETIMEDOUT; so is one in socket mode that takes too long.
  int code() const;
  /// Waits for the answer: the bytes behind its header.
  const std::string& body() const;
  /// For people.
  std::string to_string() const;

 private:
  std::shared_ptr<fake::Exchange> exchange_;
};

/// The answer of one operation: a `Result<T>` that is waited for when it is first looked at.
template <class T>
class [[nodiscard]] Answer : public PendingRequest {
 public:
  using Decode = Result<T> (*)(const std::string& body);

  Answer(std::shared_ptr<fake::Exchange> exchange, Decode decode) noexcept
      : PendingRequest(std::move(exchange)), decode_(decode) {}

  const Result<T>& result() const {
    if (!result_) result_.emplace(code() != 0 ? Result<T>(Error{code()}) : decode_(body()));
    return *result_;
  }
  explicit operator bool() const { return result().has_value(); }
  /// The value. On an error throws `std::bad_variant_access`.
  const auto& operator*() const { return result().value(); }
  const auto* operator->() const { return &result().value(); }

 private:
  Decode decode_;
  mutable std::optional<Result<T>> result_;
};

/// A name that READDIR or READDIRPLUS gave.
struct ListedEntry {
  std::string name;
  Ino ino{};  ///< As shown by readdir(3).
  FileType type = FileType::unknown;
  std::uint64_t next = 0;      ///< Where to go on behind it.
  std::optional<Entry> entry;  ///< READDIRPLUS: set if a lookup was counted.
};

}  // namespace fuselage
