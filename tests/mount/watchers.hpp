// The watcher processes of this test program.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace fuselage::test {

/// The ids of the running auto_unmount watchers in our mount namespace, which no other program shares.
inline std::vector<pid_t> watchers() {
  namespace fs = std::filesystem;
  std::error_code error;
  const auto ours = fs::read_symlink("/proc/self/ns/mnt");
  std::vector<pid_t> found;
  for (const auto& process : fs::directory_iterator("/proc")) {
    std::string name;
    std::ifstream(process.path() / "comm") >> name;
    // A zombie has no namespace any more.
    if (name == "fuselage-umount" && fs::read_symlink(process.path() / "ns/mnt", error) == ours) {
      found.push_back(std::stoi(process.path().filename()));
    }
  }
  return found;
}

}  // namespace fuselage::test
