#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/commands.hpp"
#include "cli/types.hpp"
#include "mount/table.hpp"

namespace fuselage::cli {
namespace {

std::string known_types() {
  std::string text;
  for (const Type& type : types()) text += fmt::format("{}{}", text.empty() ? "" : ", ", type.name);
  return text;
}

// "memory" of "mount.fuselage.memory" and "fuselage.memory"; empty if there is no such part.
std::string subtype_of(std::string_view name) {
  constexpr std::string_view prefix = "fuselage.";
  const auto at = name.find(prefix);
  return at == name.npos ? std::string() : std::string(name.substr(at + prefix.size()));
}

}  // namespace

int mount(const MountOrder& order) {
  const Type* const type = find_type(order.type);
  if (type == nullptr) {
    fmt::print(stderr, "fuselage: there is no file system '{}'; these are there: {}\n", order.type, known_types());
    return 2;
  }
  std::string name = order.help ? fmt::format("fuselage mount {}", type->name) : "fuselage";
  std::vector<std::string> arguments{name};
  for (const std::string& options : order.options) arguments.insert(arguments.end(), {"-o", options});
  if (order.foreground) arguments.emplace_back("-f");
  if (order.debug) arguments.emplace_back("-d");
  if (order.single_thread) arguments.emplace_back("-s");
  if (order.help) arguments.emplace_back("--help");
  arguments.emplace_back("--");
  arguments.push_back(order.mountpoint);
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);

  RunDefaults defaults;
  defaults.name = std::move(name);
  defaults.description = type->summary;
  defaults.mount.fsname = order.source.empty() ? order.type : order.source;
  defaults.mount.subtype = "fuselage";
  return type->run(static_cast<int>(arguments.size()), pointers.data(), std::move(defaults));
}

int mount_helper(int argc, char** argv) {
  MountOrder order;
  std::string type;
  bool fake = false;
  CLI::App program(
      "Mounts a file system of fuselage for mount(8): mount -t fuselage TYPE MOUNTPOINT, or "
      "mount -t fuselage.TYPE NAME MOUNTPOINT",
      "mount.fuselage");
  program.set_version_flag("-V,--version", "fuselage " FUSELAGE_VERSION);
  program.add_option("SOURCE", order.source, "The type, one of: " + known_types())->type_name("")->required();
  program.add_option("MOUNTPOINT", order.mountpoint, "Where to mount")->type_name("")->required();
  program.add_option("-o", order.options, "Options, separated by commas")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  program.add_option("-t", type, "fuselage.TYPE: then SOURCE may be any name");
  program.add_flag("-f", fake, "Do everything but mounting");
  bool ignored = false;
  program.add_flag("-s,-n,-v", ignored, "Accepted; unknown options stay errors");
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return program.exit(help);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "mount.fuselage: {}\n", error.what());
    return 2;
  }
  order.type = subtype_of(type);
  if (order.type.empty()) order.type = subtype_of(std::filesystem::path(argv[0]).filename().string());
  if (order.type.empty()) order.type = order.source;
  if (fake) return find_type(order.type) != nullptr ? 0 : 2;
  return mount(order);
}

int unmount(const std::filesystem::path& mountpoint, bool lazy) {
  const auto failed = [](const std::string& message) {
    fmt::print(stderr, "fuselage: {}\n", message);
    return 1;
  };
  const auto path = mounting::resolve(mountpoint);
  if (!path) return failed(fmt::format("cannot find '{}': {}", mountpoint.string(), path.error().message()));
  const auto mounts = mounting::all_mounts();
  if (!mounts) return failed(mounts.error().message());
  const auto entry = mounting::top_mount(*mounts, *path);
  if (!entry) return failed(fmt::format("'{}' is not a mount point", path->string()));
  if (!entry->is_fuse()) {
    return failed(fmt::format("'{}' is of type {}, not FUSE; use umount", path->string(), entry->type));
  }
  const auto done = mounting::unmount(*path, lazy);
  return done ? 0 : failed(done.error().message());
}

}  // namespace fuselage::cli
