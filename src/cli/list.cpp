#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/fuse_mounts.hpp"

namespace fuselage::cli {
namespace {

using nlohmann::ordered_json;

ordered_json to_json(const FuseMount& mount) {
  ordered_json servers = ordered_json::array();
  for (const Server& server : mount.servers) {
    servers.push_back({{"pid", server.pid}, {"command", server.command}, {"transport", server.transport}});
  }
  return {{"mountpoint", mount.entry.mountpoint.string()},
          {"type", mount.entry.type},
          {"source", mount.entry.source},
          {"owner", mount.owner ? ordered_json(*mount.owner) : ordered_json()},
          {"connection", mount.entry.connection()},
          {"waiting", mount.waiting ? ordered_json(*mount.waiting) : ordered_json()},
          {"state", to_text(mount.state)},
          {"servers", std::move(servers)}};
}

using Row = std::array<std::string, 8>;

Row to_row(const FuseMount& mount) {
  std::string servers;
  for (const Server& server : mount.servers) {
    servers += fmt::format("{}{} ({})", servers.empty() ? "" : ", ", server.pid, server.command);
  }
  return {mount.entry.mountpoint.string(),
          mount.entry.type,
          mount.entry.source,
          mount.owner ? std::to_string(*mount.owner) : "?",
          mount.waiting ? std::to_string(*mount.waiting) : "?",
          to_text(mount.state),
          mount.servers.empty() ? "-" : mount.servers.front().transport,
          servers.empty() ? "-" : servers};
}

void print_table(const std::vector<FuseMount>& mounts) {
  std::vector<Row> rows{{"MOUNTPOINT", "TYPE", "SOURCE", "OWNER", "WAITING", "STATE", "TRANSPORT", "SERVED BY"}};
  for (const FuseMount& mount : mounts) rows.push_back(to_row(mount));
  std::array<std::size_t, std::tuple_size_v<Row>> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const Row& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) fmt::print("{:<{}}  ", row[i], widths[i]);
    fmt::print("{}\n", row.back());
  }
}

}  // namespace

int list(bool json) {
  const auto mounts = look_at_fuse_mounts();
  if (!mounts) {
    fmt::print(stderr, "fuselage: {}\n", mounts.error().message());
    return 1;
  }
  if (json) {
    ordered_json all = ordered_json::array();
    for (const FuseMount& mount : *mounts) all.push_back(to_json(mount));
    // Paths may be any bytes; JSON is UTF-8.
    fmt::print("{}\n", all.dump(2, ' ', false, ordered_json::error_handler_t::replace));
  } else {
    print_table(*mounts);
  }
  return 0;
}

}  // namespace fuselage::cli
