// fuse_chan_*: where messages come from and go to.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "capi/v2/session.hpp"

namespace fuselage::capi2 {

void destroy(fuse_chan* channel) {
  {
    const std::lock_guard lock(channel->mutex);
    if (channel->in_loop) {
      channel->orphaned = true;
      return;
    }
  }
  fuse_session_remove_chan(channel);
  if (channel->ops.destroy != nullptr) {
    channel->ops.destroy(channel);
  } else if (channel->mount) {
    channel->mount->release();  // whoever wants it unmounted says fuse_unmount
  } else if (channel->is_kernel() && channel->fd >= 0) {
    ::close(channel->fd);
  }
  delete channel;
}

namespace {

int receive_from_kernel(fuse_chan& channel, char* buffer, std::size_t size) {
  fuse_session* const session = channel.session.load();
  for (;;) {
    const ssize_t got = ::read(channel.fd, buffer, size);
    const int error = errno;
    if (session != nullptr && session->exited()) return 0;
    if (got > 0) return static_cast<int>(got);
    if (got < 0 && error == ENOENT) continue;  // that request was interrupted before it got here
    if (got == 0 || error == ENODEV || error == ECONNABORTED) {
      if (session != nullptr) session->exit(true);
      return 0;
    }
    if (error != EINTR && error != EAGAIN) complain("reading from the device: {}", Error{error}.message());
    return -error;
  }
}

}  // namespace
}  // namespace fuselage::capi2

using namespace fuselage::capi2;

extern "C" {

fuse_chan* fuse_chan_new(fuse_chan_ops* op, int fd, size_t bufsize, void* data) {
  return guarded(
      [&] {
        auto* const channel = new fuse_chan;
        channel->ops = *op;
        channel->fd = fd;
        channel->buffer_size = bufsize;
        channel->data = data;
        return channel;
      },
      static_cast<fuse_chan*>(nullptr));
}

int fuse_chan_fd(fuse_chan* ch) { return ch->fd; }
size_t fuse_chan_bufsize(fuse_chan* ch) { return ch->buffer_size; }
void* fuse_chan_data(fuse_chan* ch) { return ch->data; }
fuse_session* fuse_chan_session(fuse_chan* ch) { return ch->session.load(); }

int fuse_chan_recv(fuse_chan** ch, char* buf, size_t size) {
  if (!(*ch)->is_kernel()) return (*ch)->ops.receive(ch, buf, size);
  return receive_from_kernel(**ch, buf, size);
}

int fuse_chan_send(fuse_chan* ch, const iovec iov[], size_t count) {
  if (!ch->is_kernel()) return ch->ops.send(ch, iov, count);
  if (count > INT_MAX) return -EINVAL;
  for (;;) {
    if (::writev(ch->fd, iov, static_cast<int>(count)) >= 0) return 0;
    if (errno != EINTR) return -errno;
  }
}

void fuse_chan_destroy(fuse_chan* ch) { destroy(ch); }

}  // extern "C"
