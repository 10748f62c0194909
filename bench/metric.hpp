// What is measured: operations of a client on a mount of the trivial file system.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>

namespace bench {

/// Does one step and answers how many operations that were.
using Step = std::function<std::uint64_t()>;

struct Metric {
  std::string_view name;
  std::string_view description;
  /// Prepares client number `client` on the mount at `root`; throws when it cannot. What the step needs open, it keeps.
  Step (*prepare)(const std::filesystem::path& root, int client);
  bool cold = false;       ///< One step on a mount that nobody has used before.
  bool full_only = false;  ///< Takes too long for a quick run.
};

std::span<const Metric> metrics();

}  // namespace bench
