#include "llfuse/options.hpp"

namespace llfuse {
namespace {

using fuselage::Capability;
using fuselage::CapabilitySet;

// What these operations cannot do, and what would change when and how often they are asked.
constexpr CapabilitySet foreign = CapabilitySet(Capability::HANDLE_KILLPRIV_V2)  // `write` is not told what to clear
                                  | Capability::AUTO_INVAL_DATA | Capability::CACHE_SYMLINKS | Capability::READDIRPLUS |
                                  Capability::READDIRPLUS_AUTO;

}  // namespace

fuselage::Result<void> parse(const Options& options, fuselage::MountOptions& mount, fuselage::SessionOptions& session) {
  session.disable.add(foreign);
  fuselage::OptionSet table;
  fuselage::add_mount_options(table, mount);
  fuselage::add_session_options(table, session);
  const auto off = [&session](CapabilitySet what) {
    return [&session, what] {
      session.enable.remove(what);
      session.disable.add(what);
    };
  };
  // What libfuse 2 takes and the library calls otherwise, or does anyway, or has measured to be of no use.
  table.flag("debug", &session.trace, "log a line for each message")
      .flag("sync_read", off(Capability::ASYNC_READ), "one read at a time")
      .flag("no_remote_posix_lock", off(Capability::POSIX_LOCKS), "record locks are the kernel's business")
      .flag("no_remote_flock", off(Capability::FLOCK_LOCKS), "flock is the kernel's business")
      .flag("no_remote_lock", off(CapabilitySet(Capability::POSIX_LOCKS) | Capability::FLOCK_LOCKS),
            "locks are the kernel's business");
  for (const char* name : {"big_writes", "large_read", "nonempty", "async_read", "splice_read", "no_splice_read",
                           "splice_write", "no_splice_write", "splice_move", "no_splice_move"}) {
    table.flag(
        name, [] {}, "accepted without effect");
  }
  for (const std::string& option : options) {
    if (auto parsed = table.parse(option); !parsed) return parsed;
  }
  return {};
}

}  // namespace llfuse
