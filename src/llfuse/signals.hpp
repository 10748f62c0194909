// The signals that `main` sees to while it runs.
#pragma once

#include <fuselage/llfuse.hpp>

namespace llfuse {

/// While at least one exists: SIGTERM, SIGINT and SIGHUP go to `Session::signalled` of every session that has one,
/// SIGUSR1 does nothing, SIGPIPE is ignored, whatever was set before. That comes back with the end of the last one.
class Signals {
 public:
  explicit Signals(Session& session);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

 private:
  std::size_t place_;
};

}  // namespace llfuse
