// What fuselage wants to be, as numbers of a run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "results.hpp"

namespace bench {

struct Goal {
  std::string text;
  std::string measured = "-";  ///< "1.03", ...; "-" where something that it needs was not measured.
  std::optional<bool> met{};   ///< Unset: not measured.
  std::string floor{};         ///< The same for a server without a library, if that says something.
  bool floor_meets = true;

  std::string verdict() const {
    if (!met) return "not measured";
    return *met ? "met" : floor_meets ? "not met" : "not met, nor by the floor";
  }
};

std::vector<Goal> goals(const Results& results);

}  // namespace bench
