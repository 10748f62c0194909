#include "cli/types.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "filesystems/memory/memory.hpp"

namespace fuselage::cli {
namespace {

// For a file system whose constructor takes options that can add themselves to a command line.
template <class FileSystem, class Options>
int run_with_options(int argc, char** argv, RunDefaults defaults) {
  Options options;
  std::optional<FileSystem> file_system;
  defaults.options = [&options](OptionSet& table) { options.add_to(table); };
  return run([&] { return FileSystemRef(file_system.emplace(options)); }, argc, argv, std::move(defaults));
}

constexpr std::array all = {
    Type{"memory", "files in memory, gone with the mount", run_with_options<memory::Memory, memory::Options>},
};

}  // namespace

std::span<const Type> types() { return all; }

const Type* find_type(std::string_view name) {
  const auto at = std::find_if(all.begin(), all.end(), [&](const Type& type) { return type.name == name; });
  return at != all.end() ? &*at : nullptr;
}

}  // namespace fuselage::cli
