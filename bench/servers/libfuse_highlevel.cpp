// The trivial file system on the high level of libfuse 3: the peer of the path level.
#define FUSE_USE_VERSION 314
#include <fuse3/fuse.h>

#include "store.hpp"

namespace {

using bench::Store;

Store& store() {
  static Store only;
  return only;
}

// The node behind a path of at most two names; 0: there is none.
std::uint64_t resolve(const char* path) {
  std::string_view rest(path);
  std::uint64_t ino = Store::root;
  while (rest.size() > 1 && ino != 0) {
    rest.remove_prefix(1);
    const std::string_view name = rest.substr(0, rest.find('/'));
    ino = store().lookup(ino, name).ino;
    rest.remove_prefix(name.size());
  }
  return ino;
}
const char* last_name(const char* path) { return std::strrchr(path, '/') + 1; }

void* init(::fuse_conn_info* connection, ::fuse_config* config) {
  connection->max_write = 1 << 20;
  connection->max_background = 64;
  connection->congestion_threshold = 48;
  config->hard_remove = 1;  // what was closed a moment ago would be renamed instead
  config->entry_timeout = config->attr_timeout = Store::timeout_seconds;
  return nullptr;
}
int getattr(const char* path, struct ::stat* out, ::fuse_file_info*) {
  const std::uint64_t ino = resolve(path);
  if (ino == 0) return -ENOENT;
  *out = Store::attributes(ino);
  return 0;
}
int truncate(const char*, ::off_t, ::fuse_file_info*) { return 0; }
int read(const char*, char* out, std::size_t size, ::off_t offset, ::fuse_file_info*) {
  const auto bytes = store().read(static_cast<std::uint64_t>(offset), size);
  std::memcpy(out, bytes.data(), bytes.size());
  return static_cast<int>(bytes.size());
}
int write(const char*, const char* bytes, std::size_t size, ::off_t offset, ::fuse_file_info*) {
  return static_cast<int>(store().write(static_cast<std::uint64_t>(offset), bytes, size));
}
int create(const char* path, ::mode_t, ::fuse_file_info*) {
  store().create(last_name(path));
  return 0;
}
int unlink(const char* path) { return store().unlink(last_name(path)) ? 0 : -ENOENT; }
int readdir(const char* path, void* buffer, ::fuse_fill_dir_t fill, ::off_t offset, ::fuse_file_info*,
            ::fuse_readdir_flags flags) {
  const auto plus = (flags & FUSE_READDIR_PLUS) != 0 ? FUSE_FILL_DIR_PLUS : ::fuse_fill_dir_flags{};
  Store::list(resolve(path), static_cast<std::uint64_t>(offset),
              [&](std::string_view name, std::uint64_t ino, std::uint64_t next) {
                const struct ::stat attributes = Store::attributes(ino);
                return fill(buffer, std::string(name).c_str(), &attributes, static_cast<::off_t>(next), plus) == 0;
              });
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  store();
  ::fuse_operations operations{};
  operations.init = init;
  operations.getattr = getattr;
  operations.truncate = truncate;
  operations.read = read;
  operations.write = write;
  operations.create = create;
  operations.unlink = unlink;
  operations.readdir = readdir;
  return ::fuse_main(argc, argv, &operations, nullptr);
}
