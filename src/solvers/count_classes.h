#pragma once

#include <cstdint>
#include <vector>

#include "quboprune/constraint.h"

namespace quboprune {

/// Variables that are counted together: `fewest` to `most` of the free ones are 1.
struct CountClass {
  std::vector<std::uint32_t> free;
  int fewest = 0, most = 0;
  bool exact() const { return fewest == most; }
};

/// A constraint without costs as a partition of the free variables: a class for each group, and one for the
/// variables that are in none. What fixed ones take is already off the counts.
/// Throws InputError if groups overlap or name no variable of 0..n-1, if no x is feasible, or if a count of
/// all variables stands beside a group whose own count isn't exact: that is no partition.
std::vector<CountClass> count_classes(const Constraint& constraint, std::size_t n);

}  // namespace quboprune
