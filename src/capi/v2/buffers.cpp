// fuse_buf_*: from memory and files to memory and files.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include "capi/v2/api.hpp"

namespace {

bool is_file(const fuse_buf& buf) { return (buf.flags & FUSE_BUF_IS_FD) != 0; }
bool seeks(const fuse_buf& buf) { return (buf.flags & FUSE_BUF_FD_SEEK) != 0; }
bool retries(const fuse_buf& buf) { return (buf.flags & FUSE_BUF_FD_RETRY) != 0; }

const fuse_buf* current(const fuse_bufvec& vector) {
  return vector.idx < vector.count ? &vector.buf[vector.idx] : nullptr;
}

bool advance(fuse_bufvec& vector, std::size_t length) {
  vector.off += length;
  if (vector.off == current(vector)->size) {
    ++vector.idx;
    vector.off = 0;
  }
  return current(vector) != nullptr;
}

// Moves up to `length` bytes between a file and memory. How many, or -errno when none.
template <class Piece>
ssize_t transfer(const fuse_buf& file, std::size_t offset, std::size_t length, Piece piece) {
  std::size_t done = 0;
  while (done < length) {
    const ssize_t moved = piece(file.pos + static_cast<off_t>(offset + done), done, length - done);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0) return done != 0 ? static_cast<ssize_t>(done) : -errno;
    done += static_cast<std::size_t>(moved);
    if (moved == 0 || !retries(file)) break;
  }
  return static_cast<ssize_t>(done);
}

ssize_t read_file(const fuse_buf& from, std::size_t offset, char* to, std::size_t length) {
  return transfer(from, offset, length, [&](off_t at, std::size_t done, std::size_t rest) {
    return seeks(from) ? ::pread(from.fd, to + done, rest, at) : ::read(from.fd, to + done, rest);
  });
}

ssize_t write_file(const fuse_buf& to, std::size_t offset, const char* from, std::size_t length) {
  return transfer(to, offset, length, [&](off_t at, std::size_t done, std::size_t rest) {
    return seeks(to) ? ::pwrite(to.fd, from + done, rest, at) : ::write(to.fd, from + done, rest);
  });
}

ssize_t through_memory(const fuse_buf& to, std::size_t to_offset, const fuse_buf& from, std::size_t from_offset,
                       std::size_t length) {
  std::vector<char> piece(std::min<std::size_t>(length, 128 * 1024));
  std::size_t copied = 0;
  while (copied < length) {
    const std::size_t wanted = std::min(piece.size(), length - copied);
    const ssize_t got = read_file(from, from_offset + copied, piece.data(), wanted);
    if (got <= 0) return copied != 0 ? static_cast<ssize_t>(copied) : got;
    const ssize_t put = write_file(to, to_offset + copied, piece.data(), static_cast<std::size_t>(got));
    if (put < 0) return copied != 0 ? static_cast<ssize_t>(copied) : put;
    copied += static_cast<std::size_t>(put);
    if (put < got || static_cast<std::size_t>(got) < wanted) break;
  }
  return static_cast<ssize_t>(copied);
}

// Between descriptors without passing through here: possible if one is a pipe.
ssize_t by_splice(const fuse_buf& to, std::size_t to_offset, const fuse_buf& from, std::size_t from_offset,
                  std::size_t length, fuse_buf_copy_flags flags) {
  unsigned how = (flags & FUSE_BUF_SPLICE_MOVE) != 0 ? SPLICE_F_MOVE : 0;
  if ((flags & FUSE_BUF_SPLICE_NONBLOCK) != 0) how |= SPLICE_F_NONBLOCK;
  std::size_t copied = 0;
  while (copied < length) {
    off_t in = from.pos + static_cast<off_t>(from_offset + copied);
    off_t out = to.pos + static_cast<off_t>(to_offset + copied);
    const ssize_t moved =
        ::splice(from.fd, seeks(from) ? &in : nullptr, to.fd, seeks(to) ? &out : nullptr, length - copied, how);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0) return copied != 0 ? static_cast<ssize_t>(copied) : -errno;
    copied += static_cast<std::size_t>(moved);
    if (moved == 0 || (!retries(from) && !retries(to))) break;
  }
  return static_cast<ssize_t>(copied);
}

ssize_t copy_one(const fuse_buf& to, std::size_t to_offset, const fuse_buf& from, std::size_t from_offset,
                 std::size_t length, fuse_buf_copy_flags flags) {
  if (!is_file(to) && !is_file(from)) {
    char* const target = static_cast<char*>(to.mem) + to_offset;
    const char* const source = static_cast<const char*>(from.mem) + from_offset;
    if (target != source) std::memmove(target, source, length);
    return static_cast<ssize_t>(length);
  }
  if (!is_file(from)) return write_file(to, to_offset, static_cast<const char*>(from.mem) + from_offset, length);
  if (!is_file(to)) return read_file(from, from_offset, static_cast<char*>(to.mem) + to_offset, length);
  if ((flags & FUSE_BUF_NO_SPLICE) == 0) {
    const ssize_t moved = by_splice(to, to_offset, from, from_offset, length, flags);
    // EINVAL: neither is a pipe.
    if (moved != -EINVAL || (flags & FUSE_BUF_FORCE_SPLICE) != 0) return moved;
  }
  return through_memory(to, to_offset, from, from_offset, length);
}

}  // namespace

extern "C" {

size_t fuse_buf_size(const fuse_bufvec* bufv) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < bufv->count; ++i) {
    if (__builtin_add_overflow(size, bufv->buf[i].size, &size)) return SIZE_MAX;
  }
  return size;
}

ssize_t fuse_buf_copy(fuse_bufvec* dst, fuse_bufvec* src, fuse_buf_copy_flags flags) {
  if (dst == src) return static_cast<ssize_t>(fuse_buf_size(dst));
  std::size_t copied = 0;
  for (;;) {
    const fuse_buf* const from = current(*src);
    const fuse_buf* const to = current(*dst);
    if (from == nullptr || to == nullptr) break;
    const std::size_t length = std::min(from->size - src->off, to->size - dst->off);
    const ssize_t moved = fuselage::capi2::guarded(
        [&] { return copy_one(*to, dst->off, *from, src->off, length, flags); }, ssize_t{-ENOMEM});
    if (moved < 0) return copied != 0 ? static_cast<ssize_t>(copied) : moved;
    copied += static_cast<std::size_t>(moved);
    const bool source_left = advance(*src, static_cast<std::size_t>(moved));
    const bool target_left = advance(*dst, static_cast<std::size_t>(moved));
    if (static_cast<std::size_t>(moved) < length || !source_left || !target_left) break;
  }
  return static_cast<ssize_t>(copied);
}

}  // extern "C"
