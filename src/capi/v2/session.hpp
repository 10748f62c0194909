// Sessions and channels of the low level.
#pragma once

#include <atomic>
#include <fuselage/manual_session.hpp>
#include <fuselage/mount.hpp>
#include <fuselage/session.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "capi/v2/api.hpp"

/// A way for messages: a descriptor of /dev/fuse, or functions of the program.
struct fuse_chan {
  fuse_chan_ops ops{};                                     ///< All null: the descriptor is read and written.
  int (*receive_24)(fuse_chan*, char*, size_t) = nullptr;  ///< What `ops.receive` of an older interface was.
  int fd = -1;
  std::size_t buffer_size = 0;
  void* data = nullptr;
  std::atomic<fuse_session*> session{nullptr};
  bool only_talk = false;                  ///< Help was asked for: nothing was mounted, and nothing is to be unmounted.
  std::optional<fuselage::Mount> mount{};  ///< If fuse_mount made it; it owns the descriptor then.
  bool in_loop = false;                    ///< A loop reads it: whoever destroys it now only leaves `orphaned`,
  bool orphaned = false;                   ///< and the loop destroys it at its end. Both guarded by `mutex`.
  std::mutex mutex{};

  bool is_kernel() const noexcept { return ops.send == nullptr; }
};

/// A session: of the low level, or of functions that the program gave.
struct fuse_session {
  virtual ~fuse_session() = default;

  virtual void process(const char* message, std::size_t size, fuse_chan* from) = 0;
  /// Serves the channel in the library's own loop. -1 after a message.
  virtual int loop(bool one_thread) = 0;
  /// For signal handlers too.
  virtual void exit(bool now) noexcept = 0;
  virtual bool exited() const noexcept = 0;
  virtual void* user_data() const noexcept = 0;

  fuse_chan* channel = nullptr;
};

namespace fuselage::capi2 {

/// What fuse_lowlevel_new was told.
struct LowLevelOptions {
  int debug = 0;
  int allow_root = 0;
  int atomic_o_trunc = 0;
  int async_read = 1;
  int no_remote_posix_lock = 0;
  int no_remote_flock = 0;
  unsigned max_write = 0;
  unsigned max_readahead = 0;
  unsigned max_background = 0;
  unsigned congestion_threshold = 0;
};

/// Takes the options of the low level out of `args`. False after a message: something else is left, or help was asked
/// for.
bool parse_low_level(fuse_args* args, LowLevelOptions& options);

/// Serves `file_system` for a `fuse_session`: with the library's loop, or message by message as the program brings
/// them.
class ServedSession : public fuse_session, private Carrier {
 public:
  explicit ServedSession(const LowLevelOptions& options) : options_(options) {}
  ~ServedSession() override;

  void process(const char* message, std::size_t size, fuse_chan* from) override;
  int loop(bool one_thread) override;
  void exit(bool now) noexcept override;
  bool exited() const noexcept override { return exited_.load(); }

  const LowLevelOptions& options() const noexcept { return options_; }
  /// Set by the file system's `init`.
  Notifier notifier;

 protected:
  virtual FileSystemRef file_system() = 0;
  /// To be called first in the destructor of the class that has the file system.
  void end() noexcept;
  /// It is no mount but this. Before the first message.
  void serve_device(CharacterDevice device) { character_device_ = std::move(device); }

 private:
  int send(std::span<const ::iovec> message) noexcept override;
  SessionOptions session_options(std::size_t max_write) const;
  ManualSession* manual(fuse_chan* from);

  const LowLevelOptions options_;
  std::optional<CharacterDevice> character_device_;
  std::mutex mutex_;
  std::optional<ManualSession> by_hand_;  // guarded by mutex_ until it is there
  std::atomic<ManualSession*> manual_{nullptr};
  std::optional<Session> session_;
  std::atomic<Session*> running_{nullptr};
  std::atomic<bool> exited_{false};
};

/// Destroys the channel, or leaves that to the loop that reads it.
void destroy(fuse_chan* channel);

}  // namespace fuselage::capi2
