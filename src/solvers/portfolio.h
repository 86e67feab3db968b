#pragma once

#include <string>

#include "quboprune/solver.h"
#include "solvers/evolve.h"

namespace quboprune {

/// What a search method gives back before the result is checked and sorted in double precision.
struct Searched {
  Evolution evolution;
  std::string method;
};

/// The names of the searches.
std::vector<std::string> portfolio_names();

/// Picks the search for the problem's structure and constraint ("auto"), or the named one, and runs it.
///
/// Dense and not too large: tabu search on packed integer rows. Otherwise, and for low-rank terms too large
/// to multiply out: annealing on the structure as it is; so are groups with counts of their own. Costs: tabu
/// search of the knapsack kind.
Searched search(const Qubo& qubo, const Constraint& constraint, const SolverOptions& options,
                Deadline& deadline);

}  // namespace quboprune
