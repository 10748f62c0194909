// What fuselage wants to be, as numbers of a run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "results.hpp"

namespace bench {

struct Goal {
  std::string text;
  std::string measured;     ///< "1.03", ...; "-" where something that it needs was not measured.
  std::optional<bool> met;  ///< Unset: not measured.

  std::string verdict() const { return !met ? "not measured" : *met ? "met" : "not met"; }
};

std::vector<Goal> goals(const Results& results);

}  // namespace bench
