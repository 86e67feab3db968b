#pragma once

#include <cstdint>
#include <vector>

#include "solvers/improver.h"
#include "solvers/split_bound.h"

namespace quboprune {

/// Which variables of a problem are proved: -1 open, else the value that every solution of energy `known` or
/// less gives it. Proof: with the other value a lower bound exceeds `known`, by more than rounding.
using Persistencies = std::vector<std::int8_t>;

/// From the split bound's shares, O(n^2) for all variables together: with x_i decided, i enters or leaves the
/// choice of every other variable too.
Persistencies split_persistencies(const ReducedProblem& problem, const std::vector<double>& shares,
                                  double known);

/// From one semidefinite bound a variable, with the value that it doesn't have in `x` (feasible, of energy
/// `known`); without costs. What one has proved serves the next, those that `x` could spare least come first.
/// Looks only at variables that are open in `decided`, and adds to it. Ends before the deadline; a bound is
/// expected to take `seconds`.
void relaxed_persistencies(const ReducedProblem& problem, const Mask& x, double known, double seconds,
                           const Deadline& deadline, Persistencies& decided);

/// Whether a bound proves that nothing as good as `known` is left.
bool exceeds(const ReducedProblem& problem, double bound, double known);

}  // namespace quboprune
