#pragma once

#include <cstdint>
#include <vector>

#include "quboprune/constraint.h"
#include "quboprune/qubo.h"

namespace quboprune {

/// For each variable the value that it has in every optimal solution, as far as its own coefficient outweighs
/// all that its couplings could say (or, under a count, all that those of any other variable could): else -1.
/// Fixed variables stay as they are, and under groups and exact sums of costs nothing is decided. O(size of
/// the description).
///
/// Very large coefficients so leave the problem before a search on a grid, or a bound, is blinded by them.
std::vector<std::int8_t> dominated(const Qubo& qubo, const Constraint& constraint);

}  // namespace quboprune
