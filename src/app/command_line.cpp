#include "app/command_line.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fuselage/session.hpp>
#include <vector>

namespace fuselage::app {
namespace {

// What the letters on the command line say; `-o` has the rest.
struct Letters {
  std::string mountpoint;
  std::vector<std::string> options;
  bool foreground = false;
  bool debug = false;
  bool single_thread = false;
};

// What belongs to the program as a whole.
void add_program_options(OptionSet& table, Order& order) {
  const auto refuse = [&order] {
    order.mount.default_permissions = false;
    order.no_default_permissions = true;
  };
  table.flag("no_default_permissions", refuse, "not default_permissions, which is on unless the file system checks")
      .flag("statistics", &order.statistics, "tell at the end what was done");
}

std::string options_help(const RunDefaults& defaults) {
  Order ignored;
  const auto section = [](std::string_view title, auto&& add) {
    OptionSet table;
    add(table);
    const std::string lines = table.help();
    return lines.empty() ? lines : fmt::format("\n{}:\n{}", title, lines);
  };
  std::string text;
  if (defaults.options) text += section("Options for -o, of this file system", defaults.options);
  text += section("Options for -o, how to serve", [&](OptionSet& table) {
    add_program_options(table, ignored);
    add_session_options(table, ignored.session);
  });
  text += section("Options for -o, how to mount", [&](OptionSet& table) { add_mount_options(table, ignored.mount); });
  return text + "\nExit codes: 0 unmounted, or ended by a signal; 1 it could not start, or broke; 2 wrong usage.";
}

// An int: the exit code of a program that has nothing more to do.
std::variant<Letters, int> read_letters(const std::string& name, int argc, char** argv, const RunDefaults& defaults) {
  Letters letters;
  CLI::App program(defaults.description, name);
  program.set_help_flag("-h,--help", "Show this and exit");
  const std::string own_version = defaults.version.empty() ? "" : fmt::format("{} {}, ", name, defaults.version);
  program.set_version_flag("-V,--version", fmt::format("{}fuselage {}", own_version, FUSELAGE_VERSION),
                           "Show the version and exit");
  program.add_flag("-f,--foreground", letters.foreground, "Stay in the foreground");
  program.add_flag("-d,--debug", letters.debug, "Show every message; implies -f");
  program.add_flag("-s,--single-thread", letters.single_thread, "Run every handler on one thread");
  program.add_option("-o", letters.options, "Options, separated by commas; may be repeated")
      ->type_name("OPTION[=VALUE],...")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  program.add_option("MOUNTPOINT", letters.mountpoint, "Where to mount, or /dev/fd/N: a /dev/fuse that is mounted")
      ->type_name("")
      ->required();
  program.footer([&defaults] { return options_help(defaults); });
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return program.exit(help);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "{}: {}; see '{} --help'\n", name, error.what(), name);
    return exit_usage;
  }
  return letters;
}

Result<void> read_options(Order& order, const Letters& letters, const RunDefaults& defaults) {
  OptionSet table;
  add_mount_options(table, order.mount);
  add_session_options(table, order.session);
  add_program_options(table, order);
  if (defaults.options) defaults.options(table);  // last, so that a file system may redefine an option
  for (const std::string& options : letters.options) {
    if (auto parsed = table.parse(options); !parsed) return parsed;
  }
  return {};
}

}  // namespace

std::variant<Order, int> read_command_line(int argc, char** argv, const RunDefaults& defaults) {
  Order order;
  order.name = !defaults.name.empty() ? defaults.name : program_name(argc > 0 ? argv[0] : nullptr);
  const auto letters = read_letters(order.name, argc, argv, defaults);
  if (const int* code = std::get_if<int>(&letters)) return *code;
  const auto& given = std::get<Letters>(letters);

  order.mountpoint = given.mountpoint;
  order.mount = defaults.mount;
  if (order.mount.fsname.empty()) order.mount.fsname = order.name;
  if (order.mount.subtype.empty()) order.mount.subtype = order.name;
  order.session = defaults.session;
  if (const auto parsed = read_options(order, given, defaults); !parsed) {
    fmt::print(stderr, "{}: {}\n", order.name, parsed.error().message());
    return exit_usage;
  }
  order.foreground = given.foreground || given.debug;
  if (given.debug) order.session.trace = true;
  if (given.single_thread) order.session.max_threads = 1;
  if (order.mount.allow_root) order.session.only_root_and = ::getuid();
  return order;
}

bool checks_access(const FileSystemRef& file_system) {
  return file_system.operations().contains_any(operations::access);
}

std::string program_name(const char* argv0) {
  const std::string name = argv0 != nullptr ? std::filesystem::path(argv0).filename().string() : std::string();
  return name.empty() ? "fuselage" : name;
}

}  // namespace fuselage::app
