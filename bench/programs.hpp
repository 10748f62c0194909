// Beyond single operations: a daemon with nothing to do, memory, and real programs on the memory file system.
#pragma once

#include <filesystem>

#include "results.hpp"

namespace bench {

/// Mounts below `scratch`.
void measure_idle(Results& results, const std::filesystem::path& scratch);

/// The resident memory of servers at the level of paths, before and after a client has asked for a million files.
void measure_nodes(Results& results, const std::filesystem::path& scratch);

/// Unpacking, git status, grep and compiling, on fuselage's memory file system and on tmpfs.
void measure_programs(Results& results, const std::filesystem::path& scratch);

}  // namespace bench
