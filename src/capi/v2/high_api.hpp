// The high level as this face's own sources see it.
#pragma once

// Which interface it is comes first.
// clang-format off
#include "capi/v2/api.hpp"
#include <fuse.h>
// clang-format on

/// A file system as layers and the library call it: the program's, or a layer on top of it. Null operations answer what
/// their absence means.
struct fuse_fs {
  fuse_operations ops{};
  void* user_data = nullptr;
  /// Of which interface `ops` is: 29, or the older ones whose handlers take other arguments: 25, 22, 21, 11.
  int version = 29;
};

namespace fuselage::capi2 {

/// A table of `op_size` bytes of an interface. Null after a message.
fuse_fs* new_fs(const void* op, std::size_t op_size, void* user_data, int version);

/// Frees a file system whose init() was not called, so that its destroy() must not be.
void discard(fuse_fs* fs);

/// The layer `name` on top of `below`, which it takes over; its options are taken out of `args`. Null after a message.
fuse_fs* push_module(const char* name, fuse_args* args, fuse_fs* below);

/// The options of the built-in layers, on stderr.
void help_of_modules();
/// Is this an option of a built-in layer?
bool is_module_option(const char* option);

}  // namespace fuselage::capi2
