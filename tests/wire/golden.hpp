// Golden messages: one file each, hexadecimal bytes with a comment behind `#` saying which field they are. Lines
// `key: value` before them say what the message is:
//
//   kind     request, reply or notification
//   minors   the oldest and the newest protocol minor (or the only one) at which it looks like this
//   flags    the INIT flags that were negotiated, 0 when left out
//   opcode   of the request that a reply answers
//   text     its description
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace fuselage::wire {

struct Golden {
  std::string name;  ///< of the file, without its extension
  std::map<std::string, std::string> keys;
  std::vector<std::byte> bytes;  ///< exactly as large as the message, so that a sanitizer sees any read past it

  std::vector<unsigned> minors() const {
    std::istringstream words(keys.at("minors"));
    std::vector<unsigned> result;
    for (unsigned minor = 0; words >> minor;) result.push_back(minor);
    return result;
  }
  std::uint64_t flags() const { return keys.contains("flags") ? std::stoull(keys.at("flags"), nullptr, 0) : 0; }
};

inline Golden load_golden(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  Golden golden{path.stem().string(), {}, {}};
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with('#')) continue;
    if (golden.bytes.empty() && colon != std::string::npos && line.find('#') > colon) {
      golden.keys[line.substr(0, colon)] = line.substr(colon + 2);
      continue;
    }
    std::istringstream words(line.substr(0, line.find('#')));
    for (std::string word; words >> word;) golden.bytes.push_back(std::byte(std::stoul(word, nullptr, 16)));
  }
  golden.bytes.shrink_to_fit();
  return golden;
}

inline Golden golden(const std::string& name) {
  return load_golden(std::filesystem::path(GOLDEN_DIRECTORY) / (name + ".hex"));
}

/// Every file of a kind.
inline std::vector<Golden> all_golden(const std::string& kind) {
  std::vector<Golden> all;
  for (const auto& entry : std::filesystem::directory_iterator(GOLDEN_DIRECTORY)) {
    Golden one = load_golden(entry.path());
    if (one.keys.at("kind") == kind) all.push_back(std::move(one));
  }
  return all;
}

inline void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.name; }

}  // namespace fuselage::wire
