#pragma once

#include <vector>

#include "solvers/improver.h"
#include "solvers/reduced_problem.h"

namespace quboprune {

/// What a bound is asked for: a problem restricted to `items`, whose linear terms (one per variable of the
/// problem, others unused) and constant take account of what is decided already.
struct FreePart {
  const ReducedProblem& problem;
  const std::vector<std::size_t>& items;
  const std::vector<double>& linear;
  double constant = 0;
  /// How many of which items are 1, as far as a solution obeys that; costs may be left out.
  std::vector<CountClass> counts{};
};

/// The counts that `problem` leaves for `items` when the variables outside of them are as in `x`: of all
/// variables or of its classes; none for costs. A count that can't be met any more stays as it is: the bound
/// holds all the same.
std::vector<CountClass> counts_of(const ReducedProblem& problem, const std::vector<std::size_t>& items,
                                  const Mask& x);

/// A lower bound from the semidefinite relaxation in spins (the one of Goemans and Williamson):
///
///     min 1/2 s'Cs >= -1/2 sum y_i - (n+1)/2 d   wherever   C + diag(y) + d I is positive semidefinite.
///
/// Unit vectors in about sqrt(2n) dimensions are improved one at a time, `sweeps` times at most; the lengths
/// of their fields are y; d is raised until a Cholesky factorisation goes through, which is the proof (with
/// a margin for its rounding), however far the vectors got.
///
/// A count of f to m enters as a multiplier, whose sign says which end it holds to, and as
/// l (sum x - f) (sum x - m), which isn't above zero on any solution: an augmented Lagrangian. For a range
/// that doesn't hold this is worse than nothing: the better of with and without is taken.
/// Source: the mixing method of Wang, Chang and Kolter 2017; dual certificate by Cholesky; the counts are
/// ours.
///
/// Sweeps end in time for the factorisation where there is a `deadline`.
double semidefinite_bound(const FreePart& part, int sweeps, const Deadline* deadline = nullptr);

/// About how long that takes at least: the factorisation's n^3/3 operations, hardly ever tried twice, at 6e8
/// a second.
inline double semidefinite_seconds(std::size_t variables) {
  const auto n = static_cast<double>(variables);
  return 6e-10 * n * n * n;
}

}  // namespace quboprune
