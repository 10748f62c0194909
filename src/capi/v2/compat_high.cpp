// What programs linked long ago still call, of the high level. Their tables begin like the newest; what their handlers
// take otherwise is seen to where they are called.
#include <cstdlib>
#include <cstring>

#include "capi/v2/compat.hpp"
#include "capi/v2/high_level.hpp"
#include "capi/v2/high_main.hpp"

namespace fuselage::capi2 {
namespace {

constexpr std::size_t size_21 = 25 * sizeof(void (*)());
constexpr int debug_11 = 1 << 1;

// The first interface had no flush: what follows statfs moves by one.
struct Table11 {
  explicit Table11(const void* op) {
    if (op == nullptr) return;
    const auto* const from = static_cast<void (*const*)()>(op);
    std::memcpy(slots, from, 18 * sizeof *from);
    slots[19] = from[18];
    slots[20] = from[19];
    table.op = slots;
  }
  void (*slots[21])() = {};
  Table table{nullptr, sizeof slots, nullptr, 11};
};

struct fuse* new_on_descriptor(int fd, fuse_args* args, const Table& table) {
  return guarded([&] { return new_fuse(kernel_channel(fd), args, table); }, static_cast<struct fuse*>(nullptr));
}

struct fuse* old_setup(int argc, char* argv[], const Table& table, char** mountpoint, int* multithreaded, int* fd) {
  return guarded([&] { return setup(argc, argv, table, mountpoint, multithreaded, fd); },
                 static_cast<struct fuse*>(nullptr));
}

int old_main(int argc, char* argv[], const Table& table) {
  return guarded([&] { return main_of(argc, argv, table); }, 1);
}

}  // namespace
}  // namespace fuselage::capi2

using namespace fuselage::capi2;

extern "C" {

struct fuse* fuse_new_compat25(int fd, fuse_args* args, const void* op, size_t op_size) {
  return new_on_descriptor(fd, args, {op, op_size, nullptr, 25});
}

struct fuse* fuse_new_compat22(int fd, const char* opts, const void* op, size_t op_size) {
  OldArguments arguments(opts);
  return new_on_descriptor(fd, arguments.get(), {op, op_size, nullptr, 22});
}

struct fuse* fuse_new_compat2(int fd, const char* opts, const void* op) {
  OldArguments arguments(opts);
  return new_on_descriptor(fd, arguments.get(), {op, size_21, nullptr, 21});
}

struct fuse* fuse_new_compat1(int fd, int flags, const void* op) {
  OldArguments arguments((flags & debug_11) != 0 ? "debug" : nullptr);
  return new_on_descriptor(fd, arguments.get(), Table11(op).table);
}

struct fuse* fuse_setup_compat25(int argc, char* argv[], const void* op, size_t op_size, char** mountpoint,
                                 int* multithreaded, int* fd) {
  return old_setup(argc, argv, {op, op_size, nullptr, 25}, mountpoint, multithreaded, fd);
}

struct fuse* fuse_setup_compat22(int argc, char* argv[], const void* op, size_t op_size, char** mountpoint,
                                 int* multithreaded, int* fd) {
  return old_setup(argc, argv, {op, op_size, nullptr, 22}, mountpoint, multithreaded, fd);
}

struct fuse* fuse_setup_compat2(int argc, char* argv[], const void* op, char** mountpoint, int* multithreaded,
                                int* fd) {
  return old_setup(argc, argv, {op, size_21, nullptr, 21}, mountpoint, multithreaded, fd);
}

fuse_context* fuse_get_context_compat22(void) { return fuse_get_context(); }

void fuse_teardown_compat22(struct fuse* fuse, int /*fd*/, char* mountpoint) { fuse_teardown(fuse, mountpoint); }

int fuse_main_real_compat25(int argc, char* argv[], const void* op, size_t op_size) {
  return old_main(argc, argv, {op, op_size, nullptr, 25});
}

int fuse_main_real_compat22(int argc, char* argv[], const void* op, size_t op_size) {
  return old_main(argc, argv, {op, op_size, nullptr, 22});
}

int fuse_main_compat2(int argc, char* argv[], const void* op) {
  return old_main(argc, argv, {op, size_21, nullptr, 21});
}

void fuse_main_compat1(int argc, char* argv[], const void* op) { old_main(argc, argv, Table11(op).table); }

}  // extern "C"

FUSELAGE_OLD_VERSION(fuse_new_compat25, fuse_new, "FUSE_2.5")
FUSELAGE_OLD_VERSION(fuse_new_compat22, fuse_new, "FUSE_2.2")
FUSELAGE_OLD_VERSION(fuse_new_compat2, fuse_new, "")
FUSELAGE_OLD_VERSION(fuse_setup_compat25, fuse_setup, "FUSE_2.5")
FUSELAGE_OLD_VERSION(fuse_setup_compat22, fuse_setup, "FUSE_2.2")
FUSELAGE_OLD_VERSION(fuse_setup_compat2, __fuse_setup, "")
FUSELAGE_OLD_VERSION(fuse_teardown_compat22, fuse_teardown, "FUSE_2.2")
FUSELAGE_OLD_VERSION(fuse_teardown_compat22, __fuse_teardown, "")
FUSELAGE_OLD_VERSION(fuse_main_real_compat25, fuse_main_real, "FUSE_2.5")
FUSELAGE_OLD_VERSION(fuse_main_real_compat22, fuse_main_real, "FUSE_2.2")
FUSELAGE_OLD_VERSION(fuse_main_compat2, fuse_main, "")
FUSELAGE_OLD_VERSION(fuse_get_context_compat22, fuse_get_context, "FUSE_2.2")
