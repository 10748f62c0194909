// What the tool can do. Each answers an exit code: 0, 1 it failed (the message is on stderr), 2 wrong usage.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace fuselage::cli {

struct MountOrder {
  std::string type;
  std::string mountpoint;
  std::string source = {};                ///< First column of the mount table; the type if empty.
  std::vector<std::string> options = {};  ///< As behind -o.
  bool foreground = false;
  bool debug = false;
  bool single_thread = false;
  bool help = false;  ///< Only tell what can be said about this type.
};
int mount(const MountOrder& order);

/// What mount(8) calls for `mount -t fuselage`: `mount.fuselage SOURCE MOUNTPOINT [-sfnv] [-o OPTIONS] [-t TYPE]`.
int mount_helper(int argc, char** argv);

int unmount(const std::filesystem::path& mountpoint, bool lazy);

int list(bool json);

/// 1 if mounting is impossible here.
int doctor(bool json);

int demo();

struct RunOrder {
  std::vector<std::string> command;
  bool stats = false;  ///< Tell at the end what was asked for and how long it took.
  bool trace = false;  ///< Tell each request.
};
/// Runs an existing program of libfuse on our library, and proves that it does. The program's exit code; 1 if it has
/// another library.
int run_program(const RunOrder& order);

}  // namespace fuselage::cli
