#pragma once

#include "quboprune/qubo.h"
#include "quboprune/solver.h"
#include "solvers/improver.h"

namespace quboprune {

/// True if a search on a grid of whole numbers may be blind to what decides: some coefficient isn't whole.
bool has_real_numbers(const Qubo& qubo);

/// Backward greedy in double precision: from all kept, the cheapest is dropped until the count is met (and,
/// with at most K, while that lowers the energy); then the best removal with the best addition after it,
/// while they pay. On heavy-tailed importances the differences that decide are below the searches' grid,
/// 2^-27 of the largest field. `constraint` counts, without costs or groups, or is none. Empty if time runs
/// out before the count is met.
Mask backward_greedy(const Qubo& qubo, const Constraint& constraint, const Deadline& deadline);

/// Forward greedy under a budget of costs, in double precision: from what is fixed, what lowers the energy
/// most for what it costs is added while something that does so fits. Empty if time runs out before.
Mask greedy_within_budget(const Qubo& qubo, const Constraint& constraint, const Deadline& deadline);

/// From a feasible `x` flips and swaps, in double precision, while one lowers the energy: what the searches'
/// grid can't see. Every swap is tried, not only the best removal with the best addition after it. Any
/// constraint but an exact sum of costs, for which `x` comes back.
Mask polished(const Qubo& qubo, const Constraint& constraint, const Mask& x, const Deadline& deadline);

}  // namespace quboprune
