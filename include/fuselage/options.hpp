// Module: mount.
//
// The options of `-o NAME,NAME=VALUE,...` as a table that every layer and every file system adds its rows to.
//
//   struct { std::chrono::milliseconds delay{}; std::uint64_t size = 1 << 20; bool shout = false; } mine;
//   OptionSet options;
//   options.value("delay", &mine.delay, "wait this long before each answer")
//       .bytes("size", &mine.size, "capacity of the file system")
//       .flag("shout", &mine.shout, "answer in capitals");
//   if (auto parsed = options.parse("delay=0.25,size=64M,shout"); !parsed) return fail(parsed.error().message());
//
// Not thread-safe. The targets must outlive every call of `parse`.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <fuselage/result.hpp>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fuselage {

/// How the text behind `NAME=` becomes a `T`. Specialise it to give your own type to `OptionSet::value`: `placeholder`
/// stands for the value in help texts, `parse` answers an error whose message continues "expected ...".
template <class T>
struct OptionValue;

/// The table. A name given twice, in one `parse` or in several: the last one wins. A row added under a name that exists
/// replaces the older row, so a file system can redefine an option of the library.
class OptionSet {
 public:
  /// Receives the text behind `NAME=`, unescaped, valid during the call. The message of an error continues "expected
  /// ...".
  using Setter = std::function<Result<void>(std::string_view)>;

  /// `NAME` stores `value` in `*target`. Call it twice for a pair like `ro` and `rw`.
  OptionSet& flag(std::string name, bool* target, std::string help, bool value = true);

  /// `NAME` calls `action`.
  OptionSet& flag(std::string name, std::function<void()> action, std::string help);

  /// `NAME=VALUE`, for integers (decimal, or hexadecimal after 0x), durations (seconds; fractions are allowed and
  /// rounded down to the unit of the target), strings, paths (made absolute), bool (yes and no), an optional of these,
  /// and every type with an `OptionValue`.
  template <class T>
  OptionSet& value(std::string name, T* target, std::string help) {
    return custom(std::move(name), std::string(OptionValue<T>::placeholder), store(target, &OptionValue<T>::parse),
                  std::move(help));
  }

  /// `NAME=SIZE` in bytes; K, M, G and T (powers of 1024) may follow the number.
  template <std::unsigned_integral T>
  OptionSet& bytes(std::string name, T* target, std::string help) {
    return custom(std::move(name), "BYTES", store(target, &parse_bytes<T>), std::move(help));
  }
  template <std::unsigned_integral T>
  OptionSet& bytes(std::string name, std::optional<T>* target, std::string help) {
    return custom(std::move(name), "BYTES", store(target, &parse_bytes<T>), std::move(help));
  }

  /// `NAME=NNN` in octal, up to 7777: permissions and masks.
  template <std::unsigned_integral T>
  OptionSet& octal(std::string name, T* target, std::string help) {
    return custom(std::move(name), "OCTAL", store(target, &parse_octal<T>), std::move(help));
  }
  template <std::unsigned_integral T>
  OptionSet& octal(std::string name, std::optional<T>* target, std::string help) {
    return custom(std::move(name), "OCTAL", store(target, &parse_octal<T>), std::move(help));
  }

  /// `NAME=CHOICE`, one of the given words.
  template <class T>
  OptionSet& choice(std::string name, T* target, std::vector<std::pair<std::string, T>> choices, std::string help) {
    std::string words;
    for (const auto& [word, ignored] : choices) words += (words.empty() ? "" : "|") + word;
    auto set = [target, words, choices = std::move(choices)](std::string_view text) -> Result<void> {
      for (const auto& [word, meaning] : choices) {
        if (word == text) return *target = meaning, Result<void>{};
      }
      return Error{EINVAL, words};
    };
    return custom(std::move(name), std::move(words), std::move(set), std::move(help));
  }

  /// `NAME=PLACEHOLDER`, given to `set`.
  OptionSet& custom(std::string name, std::string placeholder, Setter set, std::string help);

  /// Accepts `NAME` and `NAME=ANYTHING` without effect. A name that ends in `*` is a prefix. Not part of the help.
  OptionSet& ignore(std::string name);

  /// Takes one argument of `-o`: options separated by commas. `\,` and `\\` are a comma and a backslash, and a value in
  /// double quotes may hold commas (as mount(8) writes them); any other backslash stands for itself. EINVAL with a
  /// message that names the option, what was expected and, for an unknown name, the nearest valid one; the options
  /// before the wrong one have taken effect then.
  Result<void> parse(std::string_view options);

  /// One line for each option, in the order of the table.
  std::string help() const;

 private:
  enum class Takes { nothing, value, anything };
  struct Row {
    std::string name;
    Takes takes;
    std::string placeholder;
    std::string help;
    Setter set;
  };

  template <class Target, class Parse>
  static Setter store(Target* target, Parse parse) {
    return [target, parse](std::string_view text) -> Result<void> {
      auto parsed = parse(text);
      if (!parsed) return parsed.error();
      *target = std::move(parsed).value();
      return {};
    };
  }
  template <class T>
  static Result<T> parse_bytes(std::string_view text);
  template <class T>
  static Result<T> parse_octal(std::string_view text);

  OptionSet& add(Row row);
  const Row* find(std::string_view name) const;
  Result<void> apply(std::string_view item) const;
  std::string nearest(std::string_view name) const;

  std::vector<Row> rows_;
};

/// The readers behind the specialisations below, for your own ones. EINVAL, with a message that continues "expected
/// ...".
Result<std::uint64_t> parse_unsigned_option(std::string_view text, std::uint64_t max);
Result<std::int64_t> parse_signed_option(std::string_view text, std::int64_t min, std::int64_t max);
Result<std::uint64_t> parse_bytes_option(std::string_view text, std::uint64_t max);
Result<std::uint64_t> parse_octal_option(std::string_view text);
Result<std::chrono::nanoseconds> parse_seconds_option(std::string_view text, std::chrono::nanoseconds max);
Result<bool> parse_bool_option(std::string_view text);
Result<std::filesystem::path> parse_path_option(std::string_view text);

template <class T>
Result<T> OptionSet::parse_bytes(std::string_view text) {
  const auto number = parse_bytes_option(text, std::numeric_limits<T>::max());
  if (!number) return number.error();
  return static_cast<T>(*number);
}

template <class T>
Result<T> OptionSet::parse_octal(std::string_view text) {
  static_assert(sizeof(T) >= 2, "the target must hold 07777");
  const auto number = parse_octal_option(text);
  if (!number) return number.error();
  return static_cast<T>(*number);
}

template <std::unsigned_integral T>
struct OptionValue<T> {
  static constexpr std::string_view placeholder = "N";
  static Result<T> parse(std::string_view text) {
    const auto number = parse_unsigned_option(text, std::numeric_limits<T>::max());
    if (!number) return number.error();
    return static_cast<T>(*number);
  }
};

template <std::signed_integral T>
struct OptionValue<T> {
  static constexpr std::string_view placeholder = "N";
  static Result<T> parse(std::string_view text) {
    const auto number = parse_signed_option(text, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
    if (!number) return number.error();
    return static_cast<T>(*number);
  }
};

template <>
struct OptionValue<bool> {
  static constexpr std::string_view placeholder = "yes|no";
  static Result<bool> parse(std::string_view text) { return parse_bool_option(text); }
};

template <class Rep, class Period>
struct OptionValue<std::chrono::duration<Rep, Period>> {
  using Duration = std::chrono::duration<Rep, Period>;
  static constexpr std::string_view placeholder = "SECONDS";
  static Result<Duration> parse(std::string_view text) {
    using namespace std::chrono;
    // A target that holds less than nanoseconds::max() sets the limit; the comparison is made in long double seconds.
    using Wide = duration<long double>;
    auto max = nanoseconds::max();
    if (Wide(Duration::max()) < Wide(max)) max = duration_cast<nanoseconds>(Duration::max());
    const auto time = parse_seconds_option(text, max);
    if (!time) return time.error();
    return duration_cast<Duration>(*time);
  }
};

template <>
struct OptionValue<std::string> {
  static constexpr std::string_view placeholder = "TEXT";
  static Result<std::string> parse(std::string_view text) { return std::string(text); }
};

template <>
struct OptionValue<std::filesystem::path> {
  static constexpr std::string_view placeholder = "PATH";
  static Result<std::filesystem::path> parse(std::string_view text) { return parse_path_option(text); }
};

template <class T>
struct OptionValue<std::optional<T>> {
  static constexpr std::string_view placeholder = OptionValue<T>::placeholder;
  static Result<std::optional<T>> parse(std::string_view text) {
    auto value = OptionValue<T>::parse(text);
    if (!value) return value.error();
    return std::optional<T>(std::move(value).value());
  }
};

}  // namespace fuselage
