#include "solvers/portfolio.h"

#include <algorithm>

#include "solvers/dense_tabu.h"
#include "solvers/knapsack_tabu.h"

namespace quboprune {
namespace {

EvolveOptions evolve_options(const Qubo& qubo, const Constraint& constraint, const SolverOptions& options) {
  EvolveOptions evolve;
  evolve.variables = static_cast<std::size_t>(qubo.size());
  evolve.seed = options.seed;
  evolve.threads = options.threads;
  evolve.max_moves = options.max_moves;
  evolve.keep = static_cast<std::size_t>(options.pool_size);
  evolve.keep_distance = options.pool_distance;
  evolve.target = options.target_energy;
  evolve.start = options.start;
  if (constraint.kind != Constraint::Kind::none) {
    double total = 0;
    for (double cost : constraint.costs) total += cost;
    if (constraint.costs.empty()) total = qubo.size();
    evolve.density = total > 0 ? std::clamp(constraint.capacity / total, 0.0, 1.0) : 0.5;
  }
  return evolve;
}

}  // namespace

Searched search(const Qubo& qubo, const Constraint& constraint, const SolverOptions& options,
                Deadline& deadline) {
  const EvolveOptions evolve_with = evolve_options(qubo, constraint, options);
  const DenseMatrix matrix(qubo);
  if (!constraint.costs.empty() && constraint.kind != Constraint::Kind::none) {
    auto make = [&] { return std::make_unique<KnapsackTabu>(matrix, constraint); };
    return {evolve(make, evolve_with, deadline), "tabu"};
  }
  auto make = [&] { return std::make_unique<DenseTabu>(matrix, constraint); };
  return {evolve(make, evolve_with, deadline), "tabu"};
}

}  // namespace quboprune
