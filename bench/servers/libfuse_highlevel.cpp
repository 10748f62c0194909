// The trivial file system on the high level of libfuse, 3 or 2: the peer of the path level.
#ifdef BENCH_LIBFUSE2
#define FUSE_USE_VERSION 29
#include <fuse/fuse.h>
#else
#define FUSE_USE_VERSION 314
#include <fuse3/fuse.h>
#endif

#include "paths.hpp"

namespace {

using bench::last_name;
using bench::resolve;
using bench::store;
using bench::Store;

int attributes_of(const char* path, struct ::stat* out) {
  const std::uint64_t ino = resolve(path);
  if (ino == 0) return -ENOENT;
  *out = Store::attributes(ino);
  return 0;
}

int move_in_store(const char* path, const char* new_path) {
  return store().rename(last_name(path), last_name(new_path)) ? 0 : -ENOENT;
}

// Calls `fill(name, attributes, next)`, which is true when there is no more room.
template <class Fill>
int list(const char* path, ::off_t offset, Fill fill) {
  Store::list(resolve(path), static_cast<std::uint64_t>(offset),
              [&](std::string_view name, std::uint64_t ino, std::uint64_t next) {
                const struct ::stat attributes = Store::attributes(ino);
                return !fill(std::string(name).c_str(), &attributes, static_cast<::off_t>(next));
              });
  return 0;
}

#ifdef BENCH_LIBFUSE2

// Timeouts and hard_remove are options of the command line there.
void* init(::fuse_conn_info* connection) {
  connection->max_background = 64;
  connection->congestion_threshold = 48;
  return nullptr;
}
int getattr(const char* path, struct ::stat* out) { return attributes_of(path, out); }
int truncate(const char*, ::off_t) { return 0; }
int move(const char* path, const char* new_path) { return move_in_store(path, new_path); }
int readdir(const char* path, void* buffer, ::fuse_fill_dir_t fill, ::off_t offset, ::fuse_file_info*) {
  return list(path, offset, [&](const char* name, const struct ::stat* attributes, ::off_t next) {
    return fill(buffer, name, attributes, next) != 0;
  });
}

#else

void* init(::fuse_conn_info* connection, ::fuse_config* config) {
  connection->max_write = 1 << 20;
  connection->max_background = 64;
  connection->congestion_threshold = 48;
  config->hard_remove = 1;  // what was closed a moment ago would be renamed instead
  config->entry_timeout = config->attr_timeout = Store::timeout_seconds;
  return nullptr;
}
int getattr(const char* path, struct ::stat* out, ::fuse_file_info*) { return attributes_of(path, out); }
int truncate(const char*, ::off_t, ::fuse_file_info*) { return 0; }
int move(const char* path, const char* new_path, unsigned) { return move_in_store(path, new_path); }
int readdir(const char* path, void* buffer, ::fuse_fill_dir_t fill, ::off_t offset, ::fuse_file_info*,
            ::fuse_readdir_flags flags) {
  const auto plus = (flags & FUSE_READDIR_PLUS) != 0 ? FUSE_FILL_DIR_PLUS : ::fuse_fill_dir_flags{};
  return list(path, offset, [&](const char* name, const struct ::stat* attributes, ::off_t next) {
    return fill(buffer, name, attributes, next, plus) != 0;
  });
}

#endif

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
  operations.rename = move;
  operations.readdir = readdir;
  return ::fuse_main(argc, argv, &operations, nullptr);
}
