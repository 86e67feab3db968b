#include "solvers/proof.h"

#include <algorithm>
#include <cmath>

#include "solvers/branch_and_bound.h"

namespace quboprune {
namespace {

/// A bound's step costs n^2 to n^2 log n: few steps where that is much.
int bound_steps(std::size_t n) {
  if (n <= 100) return 400;
  return n <= 500 ? 200 : n <= 1500 ? 20 : 1;
}

bool closes(const ReducedProblem& problem, double bound, double energy) {
  return problem.whole ? bound > energy - 0.5 : bound >= energy - 1e-9 * std::max(1.0, std::abs(energy));
}

}  // namespace

void prove(const Qubo& qubo, const Constraint& constraint, bool exact, std::int64_t max_nodes,
           const Deadline& deadline, SolverResult& result) {
  // One step's time at 20 ns a coupling, measured: a bound that can't be had in time isn't begun.
  const double step_seconds = 2e-8 * static_cast<double>(qubo.size()) * qubo.size();
  if (qubo.size() > kLargestBound || deadline.elapsed() + step_seconds > deadline.seconds()) return;
  const ReducedProblem problem(qubo, constraint);
  double& energy = result.pool.front().energy;
  SplitBound split(problem);
  result.bound = std::min(split.improve(energy, bound_steps(problem.size()), deadline), energy);
  result.optimal = closes(problem, result.bound, energy);
  const bool small = static_cast<int>(problem.size()) <= kProvedUnasked;
  if (result.optimal || (!small && !exact)) return;
  ExactResult found = branch_and_bound(problem, split.shares(), energy, max_nodes, deadline);
  if (!found.x.empty()) {
    Mask x = problem.expand(found.x);
    const double better = qubo.energy(x);
    result.pool.insert(result.pool.begin(), {std::move(x), better});
  }
  result.optimal = found.complete;
  if (found.complete) {
    result.bound = result.pool.front().energy;
    result.reason = "optimal";
    result.method += "+branch-and-bound";
  }
}

}  // namespace quboprune
