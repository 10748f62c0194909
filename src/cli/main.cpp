#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>

#include "cli/commands.hpp"
#include "cli/types.hpp"

namespace fuselage::cli {
namespace {

std::string types_help() {
  std::string text = "Types:\n";
  for (const Type& type : types()) text += fmt::format("  {:<12}{}\n", type.name, type.summary);
  return text + "The options of one type: fuselage mount TYPE --help";
}

CLI::App* add_command(CLI::App& tool, const char* name, const char* what, std::function<void()> act) {
  CLI::App* const command = tool.add_subcommand(name, what);
  command->set_version_flag("-V,--version", "fuselage " FUSELAGE_VERSION, "Show the version and exit");
  command->callback(std::move(act));
  return command;
}

void add_mount(CLI::App& tool, MountOrder& order, int& code) {
  CLI::App* const command = add_command(tool, "mount", "Mount one of the file systems that come along", [&] {
    if (order.help && order.type.empty()) throw CLI::CallForHelp();
    if (order.type.empty()) throw CLI::RequiredError("TYPE");
    if (order.mountpoint.empty() && !order.help) throw CLI::RequiredError("MOUNTPOINT");
    code = mount(order);
  });
  command->set_help_flag();  // behind a type, help is about that type
  command->add_flag("-h,--help", order.help, "Show this, or behind TYPE its options, and exit");
  command->add_flag("-f,--foreground", order.foreground, "Stay in the foreground");
  command->add_flag("-d,--debug", order.debug, "Show every message; implies -f");
  command->add_flag("-s,--single-thread", order.single_thread, "Run every handler on one thread");
  command->add_option("-o", order.options, "Options, separated by commas; may be repeated")
      ->type_name("OPTION[=VALUE],...")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("TYPE", order.type, "Which file system")->type_name("");
  command->add_option("MOUNTPOINT", order.mountpoint, "Where to mount")->type_name("");
  command->footer(types_help);
}

void add_run(CLI::App& tool, RunOrder& order, int& code) {
  CLI::App* const command = add_command(tool, "run", "Run an existing FUSE program on this library",
                                        [&order, &code] { code = run_program(order); });
  command->add_flag("--stats", order.stats, "At its end, tell what was asked for and how long it took");
  command->add_flag("--trace", order.trace, "Tell each request");
  command->add_option("PROGRAM", order.command, "The program and its arguments, behind --")->type_name("")->required();
}

int run_tool(int argc, char** argv) {
  CLI::App tool("File systems as ordinary programs", "fuselage");
  tool.set_version_flag("-V,--version", "fuselage " FUSELAGE_VERSION, "Show the version and exit");
  int code = 0;
  MountOrder order;
  add_mount(tool, order, code);
  RunOrder run_order;
  add_run(tool, run_order, code);

  std::string mountpoint;
  bool lazy = false;
  auto* command = add_command(tool, "unmount", "Unmount a FUSE file system", [&] { code = unmount(mountpoint, lazy); });
  command->add_option("MOUNTPOINT", mountpoint, "What to unmount")->type_name("")->required();
  command->add_flag("-l,--lazy", lazy, "Take it out of the name space at once, busy or not");

  bool json = false;
  command = add_command(tool, "list", "List the FUSE mounts and who serves them", [&] { code = list(json); });
  command->add_flag("--json", json, "For programs");
  command = add_command(tool, "doctor", "Tell what is missing here and how to fix it", [&] { code = doctor(json); });
  command->add_flag("--json", json, "For programs");
  add_command(tool, "demo", "Mount a file system in memory and show it working", [&] { code = demo(); });

  try {
    tool.parse(argc, argv);
    // Not by require_subcommand, which would speak of a missing command where an unknown one was given.
    if (tool.get_subcommands().empty()) throw CLI::RequiredError("COMMAND");
  } catch (const CLI::CallForHelp&) {
    const auto used = tool.get_subcommands();
    fmt::print("{}", used.empty() ? tool.help() : used.front()->help("fuselage"));
  } catch (const CLI::Success& other) {
    return tool.exit(other);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "fuselage: {}; see 'fuselage --help'\n", error.what());
    return 2;
  }
  return code;
}

}  // namespace
}  // namespace fuselage::cli

int main(int argc, char** argv) try {
  const std::string name = argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "";
  if (name.starts_with("mount.fuselage")) return fuselage::cli::mount_helper(argc, argv);
  return fuselage::cli::run_tool(argc, argv);
} catch (const std::exception& error) {
  std::fprintf(stderr, "fuselage: %s\n", error.what());
  return 1;
}
