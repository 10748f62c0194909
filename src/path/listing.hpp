// The names of a directory on their way from a file system that gives them all at once.
#pragma once

#include <fuselage/attributes.hpp>
#include <memory>
#include <string>
#include <vector>

namespace fuselage::path {

/// A listing as it was when the directory was read from its start. Entry N is followed by offset N + 1.
struct Listing {
  struct Item {
    std::string name;
    ::mode_t type = 0;
    Ino ino{};
    std::unique_ptr<Attributes> attributes;  ///< Null if only type and number are known.
  };
  std::vector<Item> items;
};

}  // namespace fuselage::path
