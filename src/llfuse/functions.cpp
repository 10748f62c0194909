#include <atomic>
#include <fuselage/llfuse.hpp>
#include <stdexcept>
#include <system_error>

#include "llfuse/bridge.hpp"

namespace llfuse {
namespace {

// The one file system of the process. It is not destroyed at exit: who ends without `close` leaves it mounted.
struct Mounted {
  explicit Mounted(std::unique_ptr<Operations> owned, Operations& ops, const std::string& mountpoint,
                   const Options& options)
      : duck(std::move(owned)), bridge(ops), session(bridge, mountpoint, options) {
    bridge.on_failure = [this] { session.stop(); };
  }

  std::unique_ptr<Operations> duck;
  Bridge bridge;
  Session session;
};

std::atomic<Mounted*> mounted{nullptr};

void mount(std::unique_ptr<Operations> owned, Operations& ops, const std::string& mountpoint, const Options& options) {
  if (mounted.load() != nullptr) throw std::runtime_error("a file system is mounted already: call close first");
  mounted.store(new Mounted(std::move(owned), ops, mountpoint, options));
}

Mounted& required() {
  Mounted* const now = mounted.load();
  if (now == nullptr) throw std::runtime_error("nothing is mounted: call init first");
  return *now;
}

}  // namespace

void init(Operations& ops, const std::string& mountpoint, const Options& options) {
  mount(nullptr, ops, mountpoint, options);
}

void detail::init(std::unique_ptr<Operations> ops, const std::string& mountpoint, const Options& options) {
  Operations& reference = *ops;
  mount(std::move(ops), reference, mountpoint, options);
}

std::optional<int> main(unsigned workers, bool handle_signals) {
  Mounted& now = required();
  std::optional<int> signal;
  try {
    signal = now.session.main(workers, handle_signals);
  } catch (...) {
    now.bridge.rethrow();  // what made it fail, if a handler did
    throw;
  }
  now.bridge.rethrow();
  return signal;
}

void stop() noexcept {
  if (Mounted* const now = mounted.load()) now->session.stop();
}

void close(bool unmount) {
  const std::unique_ptr<Mounted> now(&required());
  mounted.store(nullptr);
  now->session.close(unmount);
  now->bridge.rethrow();
}

void invalidate_inode(std::uint64_t inode, bool attr_only) {
  const fuselage::Notifier notifier = required().session.notifier();
  const fuselage::Ino ino{inode};
  [[maybe_unused]] const auto told = attr_only ? notifier.inval_attributes(ino) : notifier.inval_inode(ino);
}

void invalidate_entry(std::uint64_t inode_p, std::string_view name) {
  [[maybe_unused]] const auto told = required().session.notifier().inval_entry(fuselage::Ino{inode_p}, name);
}

void notify_store(std::uint64_t inode, std::uint64_t offset, fuselage::Bytes data) {
  const Session& session = required().session;
  if (offset > INT64_MAX) throw std::overflow_error("the offset does not fit into get_off_t_bits() bits");
  const auto stored = session.notifier().synchronous().store(fuselage::Ino{inode}, offset, data);
  if (!stored) throw std::system_error(stored.error().code(), std::generic_category(), "notify_store");
}

}  // namespace llfuse
