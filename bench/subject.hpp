// What is measured against what: servers of the trivial file system.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace bench {

struct Subject {
  std::string name;
  std::string transport;             ///< "device", "ring"; "none": the kernel's own file system.
  std::string floor;                 ///< The subject without a library over the same transport; else empty.
  std::vector<std::string> command;  ///< A program beside the bench and its arguments; the mount point follows.
  std::string without = {};          ///< A metric that its level cannot serve like the others.
};

/// All of them, in the order in which they are shown.
std::vector<Subject> subjects();

/// Why a subject cannot be measured here; empty when it can.
std::string obstacle(const Subject& subject);

/// A running server and its mount, unmounted and ended at the end of the scope. Only one thread may make servers.
class Server {
 public:
  /// Mounts on `mountpoint`, which must exist, and waits until it is served; throws with what the server said when it
  /// does not come up. `pinned`: to the first CPU.
  Server(const Subject& subject, std::filesystem::path mountpoint, bool pinned);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  const std::filesystem::path& mountpoint() const { return mountpoint_; }
  /// 0: there is no process.
  ::pid_t pid() const { return pid_; }

 private:
  void start(const Subject& subject, bool pinned);
  void wait_until_mounted();
  void end() noexcept;

  std::filesystem::path mountpoint_;
  ::pid_t pid_ = 0;
  int output_ = -1;
};

/// Binds the calling thread, and what it starts, to the first CPU that it may use.
void pin();

}  // namespace bench
