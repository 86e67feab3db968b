#pragma once

#include "solvers/improver.h"
#include "solvers/split_bound.h"

namespace quboprune {

/// What an exact search found out about a ReducedProblem.
struct ExactResult {
  Mask x;                 ///< a solution better than the one known; empty if there is none
  double energy = 0;      ///< the lowest known
  bool complete = false;  ///< the whole tree was searched: `energy` is the optimum
  std::int64_t nodes = 0;
};

/// Depth-first branch and bound with the split bound at every node (the shares are the root's) and the
/// variables fixed that the bound decides. `known` is the energy of a feasible solution. Ends early at the
/// deadline or after `max_nodes`.
ExactResult branch_and_bound(const ReducedProblem& problem, const std::vector<double>& shares, double known,
                             std::int64_t max_nodes, const Deadline& deadline);

}  // namespace quboprune
