#pragma once

#include "quboprune/solver.h"
#include "solvers/improver.h"

namespace quboprune {

/// Largest problem (free variables) whose optimality is tried to be proved unasked.
inline constexpr int kProvedUnasked = 100;
/// Largest problem for which a bound is computed: the couplings are multiplied out in double.
inline constexpr int kLargestBound = 8000;

/// Adds to `result` (whose pool holds a feasible solution) a proven lower bound, the variables that bounds
/// decide and, by branch and bound where what they leave is small or `exact` is asked for, the proof that the
/// best is optimal, or a better one.
/// Ends at the deadline with what it has.
void prove(const Qubo& qubo, const Constraint& constraint, bool exact, std::int64_t max_nodes,
           const Deadline& deadline, SolverResult& result);

}  // namespace quboprune
