#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fuselage/options.hpp>
#include <numeric>

namespace fuselage {
namespace {

bool is_prefix(std::string_view name) { return name.ends_with('*'); }

std::string_view without_star(std::string_view name) {
  name.remove_suffix(1);
  return name;
}

// The whole text as a number, or nothing.
template <class T, class... Base>
std::optional<T> number(std::string_view text, Base... base) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base...);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Levenshtein's distance: how many letters to insert, remove or replace.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

// Cuts the next option off `rest`, at a comma that is neither escaped nor quoted, and returns it without its quoting.
std::string next_item(std::string_view& rest) {
  std::string item;
  bool quoted = false;
  std::size_t i = 0;
  for (; i < rest.size() && (quoted || rest[i] != ','); ++i) {
    if (rest[i] == '\\' && i + 1 < rest.size() && (rest[i + 1] == ',' || rest[i + 1] == '\\')) {
      item += rest[++i];
    } else if (rest[i] == '"' && (quoted || item.ends_with('='))) {
      quoted = !quoted;
    } else {
      item += rest[i];
    }
  }
  rest.remove_prefix(std::min(rest.size(), i + 1));
  return item;
}

}  // namespace

OptionSet& OptionSet::add(Row row) {
  const auto old = std::find_if(rows_.begin(), rows_.end(), [&](const Row& other) { return other.name == row.name; });
  if (old == rows_.end()) {
    rows_.push_back(std::move(row));
  } else {
    *old = std::move(row);
  }
  return *this;
}

OptionSet& OptionSet::flag(std::string name, bool* target, std::string help, bool value) {
  return flag(
      std::move(name), [target, value] { *target = value; }, std::move(help));
}

OptionSet& OptionSet::flag(std::string name, std::function<void()> action, std::string help) {
  auto set = [action = std::move(action)](std::string_view) -> Result<void> { return action(), Result<void>{}; };
  return add({std::move(name), Takes::nothing, {}, std::move(help), std::move(set)});
}

OptionSet& OptionSet::custom(std::string name, std::string placeholder, Setter set, std::string help) {
  return add({std::move(name), Takes::value, std::move(placeholder), std::move(help), std::move(set)});
}

OptionSet& OptionSet::ignore(std::string name) {
  return add({std::move(name), Takes::anything, {}, {}, [](std::string_view) { return Result<void>{}; }});
}

Result<void> OptionSet::parse(std::string_view options) {
  while (!options.empty()) {
    const std::string item = next_item(options);
    if (item.empty()) continue;
    if (auto applied = apply(item); !applied) return applied;
  }
  return {};
}

Result<void> OptionSet::apply(std::string_view item) const {
  const std::size_t equals = item.find('=');
  const std::string_view name = item.substr(0, equals);
  const Row* const row = find(name);
  if (!row) {
    const std::string near = nearest(name);
    return Error{EINVAL, near.empty() ? fmt::format("unknown option '{}'", name)
                                      : fmt::format("unknown option '{}'; did you mean '{}'?", name, near)};
  }
  if (row->takes == Takes::value && equals == item.npos) {
    return Error{EINVAL, fmt::format("option '{0}' needs a value: '{0}={1}'", name, row->placeholder)};
  }
  if (row->takes == Takes::nothing && equals != item.npos) {
    return Error{EINVAL, fmt::format("option '{}' takes no value: '{}' instead of '{}'", name, name, item)};
  }
  auto set = row->set(equals == item.npos ? std::string_view{} : item.substr(equals + 1));
  if (!set) return Error{set.error().code(), fmt::format("option '{}': expected {}", item, set.error().message())};
  return {};
}

const OptionSet::Row* OptionSet::find(std::string_view name) const {
  const auto exact = std::find_if(rows_.begin(), rows_.end(), [&](const Row& row) { return row.name == name; });
  if (exact != rows_.end()) return &*exact;
  const auto prefix = std::find_if(rows_.begin(), rows_.end(), [&](const Row& row) {
    return is_prefix(row.name) && name.starts_with(without_star(row.name));
  });
  return prefix != rows_.end() ? &*prefix : nullptr;
}

std::string OptionSet::nearest(std::string_view name) const {
  const Row* best = nullptr;
  std::size_t best_distance = 0;
  for (const Row& row : rows_) {
    if (row.takes == Takes::anything) continue;
    const std::size_t away = distance(name, row.name);
    if (best && away >= best_distance) continue;
    best = &row;
    best_distance = away;
  }
  if (!best) return {};
  return best->takes == Takes::value ? best->name + "=" + best->placeholder : best->name;
}

std::string OptionSet::help() const {
  std::vector<std::pair<std::string, std::string_view>> lines;
  std::size_t width = 0;
  for (const Row& row : rows_) {
    if (row.takes == Takes::anything) continue;
    lines.emplace_back(row.takes == Takes::value ? row.name + "=" + row.placeholder : row.name, row.help);
    width = std::max(width, lines.back().first.size());
  }
  std::string text;
  for (const auto& [option, help] : lines) text += fmt::format("  {:<{}}  {}\n", option, width, help);
  return text;
}

Result<std::uint64_t> parse_unsigned_option(std::string_view text, std::uint64_t max) {
  const bool hexadecimal = text.starts_with("0x");
  const auto value = number<std::uint64_t>(text.substr(hexadecimal ? 2 : 0), hexadecimal ? 16 : 10);
  if (!value || *value > max) return Error{EINVAL, fmt::format("a number from 0 to {}", max)};
  return *value;
}

Result<std::int64_t> parse_signed_option(std::string_view text, std::int64_t min, std::int64_t max) {
  const auto value = number<std::int64_t>(text);
  if (!value || *value < min || *value > max) return Error{EINVAL, fmt::format("a number from {} to {}", min, max)};
  return *value;
}

Result<std::uint64_t> parse_bytes_option(std::string_view text, std::uint64_t max) {
  constexpr std::string_view units = "KMGT";
  const std::size_t unit = text.empty() ? units.npos : units.find(static_cast<char>(text.back() & ~0x20));
  const unsigned shift = unit == units.npos ? 0 : 10 * (static_cast<unsigned>(unit) + 1);
  const auto value = number<std::uint64_t>(text.substr(0, text.size() - (shift ? 1 : 0)));
  if (!value || *value > max >> shift) {
    return Error{EINVAL, fmt::format("a number of bytes up to {}, like 4096, 64K, 1M or 2G", max)};
  }
  return *value << shift;
}

Result<std::uint64_t> parse_octal_option(std::string_view text) {
  const auto value = number<std::uint64_t>(text, 8);
  if (!value || *value > 07777) return Error{EINVAL, "an octal number from 0 to 7777, like 022"};
  return *value;
}

Result<std::chrono::nanoseconds> parse_seconds_option(std::string_view text, std::chrono::nanoseconds max) {
  constexpr long double nano = 1e9L;
  const auto seconds = number<long double>(text);
  // Written so that NaN fails as well.
  if (!seconds || !(*seconds >= 0 && *seconds * nano <= static_cast<long double>(max.count()))) {
    return Error{EINVAL, fmt::format("a number of seconds up to {}, like 1 or 0.25", max.count() / 1'000'000'000)};
  }
  return std::chrono::nanoseconds(std::llrint(*seconds * nano));
}

Result<bool> parse_bool_option(std::string_view text) {
  for (const std::string_view yes : {"yes", "true", "on", "1"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"no", "false", "off", "0"}) {
    if (text == no) return false;
  }
  return Error{EINVAL, "yes or no"};
}

Result<std::filesystem::path> parse_path_option(std::string_view text) {
  if (text.empty()) return Error{EINVAL, "a path"};
  std::error_code error;
  auto path = std::filesystem::absolute(text, error);
  if (error) return Error{error.value(), fmt::format("a path that can be made absolute: {}", error.message())};
  return path;
}

}  // namespace fuselage
