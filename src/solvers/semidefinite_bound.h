#pragma once

#include <vector>

#include "solvers/reduced_problem.h"

namespace quboprune {

/// What a bound is asked for: a problem without a constraint, restricted to `items`, whose linear terms (one
/// per variable of the problem, others unused) and constant take account of what is decided already.
struct FreePart {
  const ReducedProblem& problem;
  const std::vector<std::size_t>& items;
  const std::vector<double>& linear;
  double constant = 0;
};

/// A lower bound from the semidefinite relaxation in spins (the one of Goemans and Williamson):
///
///     min 1/2 s'Cs >= -1/2 sum y_i - (n+1)/2 d   wherever   C + diag(y) + d I is positive semidefinite.
///
/// Unit vectors in about sqrt(2n) dimensions are improved one at a time, `sweeps` times at most; the lengths
/// of their fields are y; d is raised until a Cholesky factorisation goes through, which is the proof (with
/// a margin for its rounding), however far the vectors got.
/// Source: the mixing method of Wang, Chang and Kolter 2017; dual certificate by Cholesky.
double semidefinite_bound(const FreePart& part, int sweeps);

}  // namespace quboprune
