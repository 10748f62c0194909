// The trivial file system on the low level of libfuse 3, as its documentation says: the peer of the inode level.
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <unistd.h>

#include "store.hpp"

namespace {

using bench::Store;

Store& store() {
  static Store only;
  return only;
}

::fuse_entry_param entry_of(Store::Name name) {
  ::fuse_entry_param entry{};
  entry.ino = name.ino;
  entry.attr = Store::attributes(name.ino);
  entry.attr_timeout = Store::timeout_seconds;
  entry.entry_timeout = name.cached ? Store::timeout_seconds : 0;
  return entry;
}

void init(void*, ::fuse_conn_info* connection) {
  connection->max_write = 1 << 20;
  connection->max_background = 64;
  connection->congestion_threshold = 48;
}
void lookup(::fuse_req_t request, ::fuse_ino_t parent, const char* name) {
  const Store::Name found = store().lookup(parent, name);
  if (found.ino == 0) {
    ::fuse_reply_err(request, ENOENT);
    return;
  }
  const auto entry = entry_of(found);
  ::fuse_reply_entry(request, &entry);
}
void getattr(::fuse_req_t request, ::fuse_ino_t ino, ::fuse_file_info*) {
  const struct ::stat attributes = Store::attributes(ino);
  ::fuse_reply_attr(request, &attributes, Store::timeout_seconds);
}
void setattr(::fuse_req_t request, ::fuse_ino_t ino, struct ::stat*, int, ::fuse_file_info*) {
  getattr(request, ino, nullptr);
}
void read(::fuse_req_t request, ::fuse_ino_t, std::size_t size, ::off_t offset, ::fuse_file_info*) {
  const auto bytes = store().read(static_cast<std::uint64_t>(offset), size);
  ::fuse_reply_buf(request, bytes.data(), bytes.size());
}
void write(::fuse_req_t request, ::fuse_ino_t, const char* bytes, std::size_t size, ::off_t offset, ::fuse_file_info*) {
  ::fuse_reply_write(request, store().write(static_cast<std::uint64_t>(offset), bytes, size));
}
void create(::fuse_req_t request, ::fuse_ino_t, const char* name, ::mode_t, ::fuse_file_info* file) {
  const auto entry = entry_of({store().create(name)});
  ::fuse_reply_create(request, &entry, file);
}
void unlink(::fuse_req_t request, ::fuse_ino_t, const char* name) {
  ::fuse_reply_err(request, store().unlink(name) ? 0 : ENOENT);
}
void rename(::fuse_req_t request, ::fuse_ino_t, const char* name, ::fuse_ino_t, const char* new_name, unsigned) {
  ::fuse_reply_err(request, store().rename(name, new_name) ? 0 : ENOENT);
}

void list(::fuse_req_t request, ::fuse_ino_t ino, std::size_t size, ::off_t offset, bool plus) {
  std::vector<char> buffer(size);
  std::size_t used = 0;
  Store::list(
      ino, static_cast<std::uint64_t>(offset), [&](std::string_view name, std::uint64_t found, std::uint64_t next) {
        const std::string text(name);
        const auto at = static_cast<::off_t>(next);
        const auto entry = entry_of({found});
        const std::size_t length =
            plus ? ::fuse_add_direntry_plus(request, buffer.data() + used, size - used, text.c_str(), &entry, at)
                 : ::fuse_add_direntry(request, buffer.data() + used, size - used, text.c_str(), &entry.attr, at);
        if (length > size - used) return false;
        used += length;
        return true;
      });
  ::fuse_reply_buf(request, buffer.data(), used);
}
void readdir(::fuse_req_t request, ::fuse_ino_t ino, std::size_t size, ::off_t offset, ::fuse_file_info*) {
  list(request, ino, size, offset, false);
}
void readdirplus(::fuse_req_t request, ::fuse_ino_t ino, std::size_t size, ::off_t offset, ::fuse_file_info*) {
  list(request, ino, size, offset, true);
}

}  // namespace

int main(int argc, char** argv) {
  store();
  ::fuse_lowlevel_ops operations{};
  operations.init = init;
  operations.lookup = lookup;
  operations.getattr = getattr;
  operations.setattr = setattr;
  operations.read = read;
  operations.write = write;
  operations.create = create;
  operations.unlink = unlink;
  operations.rename = rename;
  operations.readdir = readdir;
  operations.readdirplus = readdirplus;
  ::fuse_args arguments = FUSE_ARGS_INIT(argc, argv);
  ::fuse_cmdline_opts options{};
  if (::fuse_parse_cmdline(&arguments, &options) != 0 || options.mountpoint == nullptr) return 2;
  ::fuse_session* const session = ::fuse_session_new(&arguments, &operations, sizeof operations, nullptr);
  if (session == nullptr || ::fuse_session_mount(session, options.mountpoint) != 0) return 1;
  int result = 0;
  if (options.singlethread != 0) {
    result = ::fuse_session_loop(session);
  } else {
    ::fuse_loop_config* const config = ::fuse_loop_cfg_create();  // with libfuse's own defaults
    result = ::fuse_session_loop_mt(session, config);
    ::fuse_loop_cfg_destroy(config);
  }
  ::fuse_session_unmount(session);
  ::fuse_session_destroy(session);
  return result == 0 ? 0 : 1;
}
