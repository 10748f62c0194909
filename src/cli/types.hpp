// The file systems that come with the tool.
#pragma once

#include <fuselage/run.hpp>
#include <span>
#include <string_view>

namespace fuselage::cli {

/// A file system that `fuselage mount` and mount(8) know by name.
struct Type {
  std::string_view name;
  std::string_view summary;
  /// Makes and serves it, as `run` does.
  int (*run)(int argc, char** argv, RunDefaults defaults);
};

/// All there are.
std::span<const Type> types();

/// Null if there is none of this name.
const Type* find_type(std::string_view name);

}  // namespace fuselage::cli
