// fuse_reply_* and fuse_req_*.
#include <algorithm>
#include <cstring>
#include <vector>

#include "capi/v2/convert.hpp"
#include "capi/v2/low_level.hpp"
#include "capi/v2/request.hpp"

namespace {

using namespace fuselage;
using namespace fuselage::capi2;

int answer(fuse_req_t req, Answer given) {
  req->reply(std::move(given));
  return 0;
}

// No memory for an answer is an answer too.
template <class Make>
int answer_with(fuse_req_t req, Make&& make) noexcept {
  try {
    return answer(req, make());
  } catch (...) {
    return answer(req, Error{ENOMEM});
  }
}

// The bytes need only last until the function returns, the answer goes out later: into the request's own memory while
// its handler runs, else along with the answer.
template <class Fill>
Data copied(fuse_req_t req, std::size_t size, Fill fill) {
  if (req->state.load(std::memory_order_acquire) == fuse_req::State::in_handler) {
    const std::span<std::byte> buffer = req->context->reply_buffer(size);
    if (buffer.size() >= size) return Data::borrow(Bytes(buffer.first(fill(buffer.first(size)))));
  }
  std::vector<std::byte> content(size);
  content.resize(fill(std::span(content)));
  return Data::own(std::move(content));
}

Data joined(fuse_req_t req, const iovec* parts, std::size_t count) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < count; ++i) size += parts[i].iov_len;
  return copied(req, size, [&](std::span<std::byte> to) {
    for (std::size_t i = 0, at = 0; i < count; at += parts[i++].iov_len) {
      std::memcpy(to.data() + at, parts[i].iov_base, parts[i].iov_len);
    }
    return size;
  });
}

std::vector<IoctlRange> ranges(const iovec* parts, std::size_t count) {
  std::vector<IoctlRange> out;
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back({reinterpret_cast<std::uintptr_t>(parts[i].iov_base), parts[i].iov_len});
  }
  return out;
}

}  // namespace

extern "C" {

int fuse_reply_err(fuse_req_t req, int err) {
  if (err == 0) return answer(req, Done{});
  if (err > 0 && err <= highest_errno) return answer(req, Error{err});
  complain("fuse_reply_err wants a positive errno, not {}", err);
  return answer(req, Error{ERANGE});
}

void fuse_reply_none(fuse_req_t req) { answer(req, Done{}); }

int fuse_reply_entry(fuse_req_t req, const fuse_entry_param* e) {
  // Where the kernel cannot remember that there is no such name, 0 says ENOENT; all kernels that are served here can.
  return answer(req, entry_of(*e));
}

int fuse_reply_create(fuse_req_t req, const fuse_entry_param* e, const fuse_file_info* fi) {
  return answer(req, Created{entry_of(*e), opened_of(*fi)});
}

int fuse_reply_attr(fuse_req_t req, const struct stat* attr, double attr_timeout) {
  Attributes attributes = attributes_of(*attr);
  attributes.timeout = seconds(attr_timeout);
  return answer(req, attributes);
}

int fuse_reply_readlink(fuse_req_t req, const char* link) {
  return answer_with(req, [&] { return Answer(std::string(link)); });
}

int fuse_reply_open(fuse_req_t req, const fuse_file_info* fi) { return answer(req, opened_of(*fi)); }

int fuse_reply_write(fuse_req_t req, size_t count) { return answer(req, Size{count}); }

int fuse_reply_buf(fuse_req_t req, const char* buf, size_t size) {
  const iovec part{const_cast<char*>(buf), size};
  return answer_with(req, [&] { return Answer(joined(req, &part, size == 0 ? 0 : 1)); });
}

int fuse_reply_iov(fuse_req_t req, const iovec* iov, int count) {
  return answer_with(req, [&] { return Answer(joined(req, iov, static_cast<std::size_t>(std::max(count, 0)))); });
}

int fuse_reply_data(fuse_req_t req, fuse_bufvec* bufv, fuse_buf_copy_flags flags) {
  return answer_with(req, [&]() -> Answer {
    ssize_t failure = 0;
    Data data = copied(req, fuse_buf_size(bufv), [&](std::span<std::byte> to) {
      fuse_bufvec target = FUSE_BUFVEC_INIT(to.size());
      target.buf[0].mem = to.data();
      const ssize_t got = fuse_buf_copy(&target, bufv, flags);
      failure = std::min<ssize_t>(got, 0);
      return static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    });
    if (failure != 0) return Error{static_cast<int>(-failure)};
    return data;
  });
}

int fuse_reply_statfs(fuse_req_t req, const struct statvfs* stbuf) { return answer(req, statfs_of(*stbuf)); }

int fuse_reply_xattr(fuse_req_t req, size_t count) { return answer(req, Size{count}); }

int fuse_reply_lock(fuse_req_t req, const struct flock* lock) { return answer(req, lock_of(*lock)); }

int fuse_reply_bmap(fuse_req_t req, uint64_t idx) { return answer(req, Block{idx}); }

int fuse_reply_ioctl_retry(fuse_req_t req, const iovec* in_iov, size_t in_count, const iovec* out_iov,
                           size_t out_count) {
  return answer_with(req, [&] {
    IoctlReply reply;
    reply.retry = true;
    reply.input_ranges = ranges(in_iov, in_count);
    reply.output_ranges = ranges(out_iov, out_count);
    return Answer(std::move(reply));
  });
}

int fuse_reply_ioctl(fuse_req_t req, int result, const void* buf, size_t size) {
  const iovec part{const_cast<void*>(buf), size};
  return fuse_reply_ioctl_iov(req, result, &part, size == 0 ? 0 : 1);
}

int fuse_reply_ioctl_iov(fuse_req_t req, int result, const iovec* iov, int count) {
  return answer_with(req, [&] {
    IoctlReply reply;
    reply.result = result;
    reply.output = joined(req, iov, static_cast<std::size_t>(std::max(count, 0)));
    return Answer(std::move(reply));
  });
}

int fuse_reply_poll(fuse_req_t req, unsigned revents) { return answer(req, Events{revents}); }

void* fuse_req_userdata(fuse_req_t req) { return req->session->user_data(); }

const fuse_ctx* fuse_req_ctx(fuse_req_t req) { return &req->ctx; }

int fuse_req_getgroups(fuse_req_t req, int size, gid_t list[]) {
  return guarded(
      [&] {
        const std::vector<gid_t> groups = req->context->supplementary_groups();
        const auto room = static_cast<std::size_t>(std::max(size, 0));
        std::copy_n(groups.begin(), std::min(groups.size(), room), list);
        return static_cast<int>(groups.size());
      },
      -ENOMEM);
}

void fuse_req_interrupt_func(fuse_req_t req, fuse_interrupt_func_t func, void* data) { req->on_interrupt(func, data); }

int fuse_req_interrupted(fuse_req_t req) { return req->interrupt.happened() || req->context->interrupted() ? 1 : 0; }

}  // extern "C"
