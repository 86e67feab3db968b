#pragma once

#include "solvers/improver.h"
#include "solvers/reduced_problem.h"

namespace quboprune {

/// Is E convex as it is written: nothing but linear terms and low-rank ones of positive scale?
bool is_convex(const Qubo& qubo);

/// A lower bound on a convex E from its minimum over 0 <= x <= 1 under the relaxed constraint: a Frank-Wolfe
/// walk, whose duality gap f(x) + min over s of f'(x)(s - x) is below that minimum wherever it has got to.
/// Steps cost O(rank · n), no couplings are multiplied out but those that `problem` holds. -infinity where E
/// isn't convex. Source: Frank and Wolfe 1956; the bound Jaggi, ICML 2013.
double convex_bound(const Qubo& qubo, const ReducedProblem& problem, int steps, const Deadline& deadline);

/// -sum |J_ij| - sum |h_i| in spins: what no choice of signs can get below. Costs one look at the couplings.
double spin_bound(const ReducedProblem& problem);

}  // namespace quboprune
