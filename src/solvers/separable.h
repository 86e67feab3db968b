#pragma once

#include "quboprune/solver.h"

namespace quboprune {

/// No couplings, and nothing but a count of all variables at most: sorting is optimal.
bool is_separable(const Qubo& qubo, const Constraint& constraint);

/// The optimum of such a problem by sorting, proven; decided is what every optimum has (ties aren't).
SolverResult solve_separable(const Qubo& qubo, const Constraint& constraint);

}  // namespace quboprune
