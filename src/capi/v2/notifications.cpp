// fuse_lowlevel_notify_* and poll handles.
#include <vector>

#include "capi/v2/low_level.hpp"

namespace {

using namespace fuselage;
using namespace fuselage::capi2;

template <class Send>
int notify(fuse_chan* ch, Send&& send) {
  auto* const session = ch != nullptr ? dynamic_cast<ServedSession*>(ch->session.load()) : nullptr;
  if (session == nullptr) return -EINVAL;
  const Result<void> sent = guarded([&] { return send(session->notifier.synchronous()); }, Result<void>(Error{ENOMEM}));
  return sent ? 0 : -sent.error().code();
}

}  // namespace

extern "C" {

int fuse_lowlevel_notify_poll(fuse_pollhandle* ph) {
  if (ph == nullptr) return 0;
  const Result<void> sent = ph->notifier.poll(ph->wake);
  return sent ? 0 : -sent.error().code();
}

void fuse_pollhandle_destroy(fuse_pollhandle* ph) { delete ph; }

int fuse_lowlevel_notify_inval_inode(fuse_chan* ch, fuse_ino_t ino, off_t off, off_t len) {
  return notify(ch, [&](const Notifier& notifier) {
    if (off < 0) return notifier.inval_attributes(Ino{ino});
    return notifier.inval_inode(Ino{ino}, static_cast<std::uint64_t>(off),
                                static_cast<std::uint64_t>(len > 0 ? len : 0));
  });
}

int fuse_lowlevel_notify_inval_entry(fuse_chan* ch, fuse_ino_t parent, const char* name, size_t namelen) {
  return notify(ch, [&](const Notifier& notifier) { return notifier.inval_entry(Ino{parent}, {name, namelen}); });
}

int fuse_lowlevel_notify_delete(fuse_chan* ch, fuse_ino_t parent, fuse_ino_t child, const char* name, size_t namelen) {
  return notify(ch, [&](const Notifier& notifier) {
    return notifier.deleted(Ino{parent}, Ino{child}, {name, namelen});
  });
}

int fuse_lowlevel_notify_store(fuse_chan* ch, fuse_ino_t ino, off_t offset, fuse_bufvec* bufv,
                               fuse_buf_copy_flags flags) {
  return notify(ch, [&](const Notifier& notifier) -> Result<void> {
    std::vector<std::byte> bytes(fuse_buf_size(bufv));
    fuse_bufvec target = FUSE_BUFVEC_INIT(bytes.size());
    target.buf[0].mem = bytes.data();
    const ssize_t size = fuse_buf_copy(&target, bufv, flags);
    if (size < 0) return Error{static_cast<int>(-size)};
    return notifier.store(Ino{ino}, static_cast<std::uint64_t>(offset),
                          Bytes(bytes).first(static_cast<std::size_t>(size)));
  });
}

int fuse_lowlevel_notify_retrieve(fuse_chan* ch, fuse_ino_t ino, size_t size, off_t offset, void* cookie) {
  auto* const session = ch != nullptr ? dynamic_cast<LowLevel*>(ch->session.load()) : nullptr;
  if (session == nullptr) return -EINVAL;
  return notify(ch, [&](const Notifier& notifier) {
    return notifier.retrieve(
        Ino{ino}, {static_cast<std::uint64_t>(offset), size},
        [session, cookie, ino](std::uint64_t at, Bytes bytes) { session->retrieved(cookie, Ino{ino}, at, bytes); });
  });
}

}  // extern "C"
