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

}  // namespace fuselage::cli
