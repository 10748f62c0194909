// The threads of a process, as /proc names them.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace fuselage::test {

/// Their directories in /proc; of those only whose names begin with `name`.
inline std::vector<std::filesystem::path> threads_named(const std::string& process, std::string_view name) {
  std::vector<std::filesystem::path> found;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + process + "/task")) {
    std::string comm;
    std::getline(std::ifstream(task.path() / "comm"), comm);
    if (comm.starts_with(name)) found.push_back(task.path());
  }
  return found;
}

}  // namespace fuselage::test
