// Which FUSE mounts there are, who serves them, and how they are.
#pragma once

#include <fuselage/result.hpp>
#include <optional>
#include <string>
#include <vector>

#include "mount/table.hpp"

namespace fuselage::cli {

/// A process that holds the /dev/fuse of a connection open.
struct Server {
  int pid = 0;
  std::string command;
  std::string transport;  ///< "io_uring" or "device", as its threads are named; libfuse's are recognised too.
};

struct FuseMount {
  enum class State {
    served,   ///< Somebody holds its device, or it answered.
    silent,   ///< It did not answer in time.
    dead,     ///< Its server is gone: unmount it.
    unknown,  ///< This user may not ask it.
  };
  mounting::MountEntry entry;
  std::optional<unsigned> owner;  ///< Who mounted it.
  std::vector<Server> servers;    ///< As far as this user may look, and the kernel tells (since Linux 6.17).
  std::optional<int> waiting;     ///< Requests without an answer, where fusectl is mounted.
  State state = State::unknown;
};

const char* to_text(FuseMount::State state);

Result<std::vector<FuseMount>> look_at_fuse_mounts();

}  // namespace fuselage::cli
