// The command line that every program made by `run` has.
#pragma once

#include <fuselage/result.hpp>
#include <fuselage/run.hpp>
#include <string>
#include <variant>

namespace fuselage::app {

inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;

/// What was asked for: everything that is needed to begin.
struct Order {
  std::string name;  ///< Of the program, for messages.
  std::string mountpoint;
  MountOptions mount;
  SessionOptions session;
  bool foreground = false;
  bool statistics = false;              ///< Tell the statistics at the end.
  bool no_default_permissions = false;  ///< Said so; without a word it depends on the file system.
};

/// Reads the command line; the file system's own options take effect on the way. An int: it is dealt with (help, wrong
/// usage), and this is the exit code.
std::variant<Order, int> read_command_line(int argc, char** argv, const RunDefaults& defaults);

/// Does the file system check permissions itself?
bool checks_access(const FileSystemRef& file_system);

/// The base name of `argv[0]`.
std::string program_name(const char* argv0);

}  // namespace fuselage::app
