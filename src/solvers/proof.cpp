#include "solvers/proof.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "solvers/branch_and_bound.h"
#include "solvers/semidefinite_bound.h"

namespace quboprune {
namespace {

/// A bound's step costs n^2 to n^2 log n: few steps where that is much.
int bound_steps(std::size_t n) {
  if (n <= 100) return 400;
  return n <= 500 ? 200 : n <= 1500 ? 20 : 1;
}

/// Without a constraint the semidefinite bound is by far the better one where there is time for it: the
/// factorisation's n^3/3 operations, hardly ever tried twice, at 6e8 a second.
double relaxation_bound(const ReducedProblem& problem, const Deadline& deadline) {
  const auto n = static_cast<double>(problem.size());
  const double none = -std::numeric_limits<double>::infinity();
  if (problem.kind != Constraint::Kind::none || deadline.elapsed() + 6e-10 * n * n * n > deadline.seconds())
    return none;
  std::vector<std::size_t> all(problem.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return safe_bound(problem, semidefinite_bound({problem, all, problem.linear, problem.offset}, 400));
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
  result.bound = std::min(relaxation_bound(problem, deadline), energy);
  SplitBound split(problem);
  if (!closes(problem, result.bound, energy)) {
    const double known = result.bound;
    result.bound =
        std::min(energy, std::max(known, split.improve(energy, bound_steps(problem.size()), deadline)));
  }
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
