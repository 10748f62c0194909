// Programs of the high level, of whichever interface they are.
#pragma once

#include "capi/v2/high_api.hpp"

namespace fuselage::capi2 {

/// The operations as a program gives them.
struct Table {
  const void* op;
  std::size_t size;
  void* user_data;
  int version;  ///< See fuse_fs.
};

/// Null after a message.
struct fuse* new_fuse(fuse_chan* channel, fuse_args* args, const Table& table);

/// Options, mount, background, signals. Null after a message; nothing is left mounted then.
struct fuse* setup(int argc, char* argv[], const Table& table, char** mountpoint, int* multithreaded, int* fd);

/// A whole program: its exit code.
int main_of(int argc, char* argv[], const Table& table);

}  // namespace fuselage::capi2
