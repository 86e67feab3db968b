#include "solvers/proof.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "solvers/branch_and_bound.h"
#include "solvers/convex_bound.h"
#include "solvers/persistency.h"
#include "solvers/semidefinite_bound.h"

namespace quboprune {
namespace {

/// A bound's step costs n^2 to n^2 log n: few steps where that is much.
int bound_steps(std::size_t n) {
  if (n <= 100) return 400;
  return n <= 500 ? 200 : n <= 1500 ? 20 : 1;
}

constexpr int kStepsBefore = 5;  // the relaxation

/// Each costs a look at the low-rank factors; the gap falls with their number's inverse.
constexpr int kConvexSteps = 2000;

bool closes(const ReducedProblem& problem, double bound, double energy) {
  return bound >= energy - problem.resolution();
}

/// Bounds, and what they decide; the problem shrinks by that.
class Proof {
 public:
  /// `result` holds a feasible solution.
  Proof(const Qubo& qubo, const Constraint& constraint, const Deadline& deadline, SolverResult& result)
      : qubo_(qubo),
        constraint_(constraint),
        deadline_(deadline),
        result_(result),
        problem_(qubo, constraint) {
    result_.persistent.assign(static_cast<std::size_t>(qubo.size()), -1);
    constraint_.fixed.resize(static_cast<std::size_t>(qubo.size()), -1);
  }

  const ReducedProblem& problem() const { return problem_; }
  const std::vector<double>& shares() const { return shares_; }

  void bound() {
    const double energy = result_.pool.front().energy;
    raise_bound(spin_bound(problem_));
    if (!result_.optimal) raise_bound(convex_bound(qubo_, problem_, kConvexSteps, deadline_));
    SplitBound split(problem_);
    // The relaxation is the better one on most problems, but may take all the time.
    if (!result_.optimal)
      raise_bound(split.improve(energy, std::min(kStepsBefore, bound_steps(problem_.size())), deadline_));
    if (!result_.optimal) raise_bound(relaxation_bound());
    if (!result_.optimal) raise_bound(split.improve(energy, bound_steps(problem_.size()), deadline_));
    shares_ = split.shares();
  }

  /// Fixes what is decided; true if something was and there is time to look again.
  bool narrow() {
    const Solution& best = result_.pool.front();
    Persistencies decided = split_persistencies(problem_, shares_, best.energy);
    Mask x;
    for (const std::size_t i : problem_.variable) x.push_back(best.x[i]);
    if (!result_.optimal && std::isfinite(relaxation_seconds_))
      relaxed_persistencies(problem_, x, best.energy, relaxation_seconds_, deadline_, decided);
    bool any = false;
    for (std::size_t p = 0; p < decided.size(); ++p) {
      if (decided[p] < 0) continue;
      any = true;
      const std::size_t i = problem_.variable[p];
      result_.persistent[i] = constraint_.fixed[i] = decided[p];
    }
    if (!any) return false;
    if (nothing_is_left()) {
      result_.optimal = true;
      result_.bound = best.energy;
      return false;
    }
    problem_ = ReducedProblem(qubo_, constraint_);
    shares_ = SplitBound(problem_).shares();
    return !result_.optimal && !deadline_.expired();
  }

 private:
  /// What every optimum has in common leaves no choice, and the best solution has it.
  bool nothing_is_left() const {
    const Mask& x = result_.pool.front().x;
    double ones = 0;
    double zeros = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (constraint_.fixed[i] < 0) continue;
      if (constraint_.fixed[i] != x[i]) return false;
      (x[i] != 0 ? ones : zeros) += 1;
    }
    const auto n = static_cast<double>(x.size());
    const bool counted = constraint_.kind == Constraint::Kind::exactly && constraint_.costs.empty();
    return ones + zeros == n ||
           (counted && (ones == constraint_.capacity || zeros == n - constraint_.capacity));
  }

  void raise_bound(double bound) {
    const double energy = result_.pool.front().energy;
    result_.bound = std::max(result_.bound, std::min(bound, energy));
    result_.optimal = closes(problem_, result_.bound, energy);
    if (result_.optimal) result_.bound = energy;
  }

  /// The semidefinite bound is by far the better one where there is time for it.
  double relaxation_bound() {
    const double begin = deadline_.elapsed();
    relaxation_seconds_ = std::numeric_limits<double>::infinity();
    if (!problem_.costs.empty() || begin + semidefinite_seconds(problem_.size()) > deadline_.seconds())
      return -std::numeric_limits<double>::infinity();
    std::vector<std::size_t> all(problem_.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    const double bound = semidefinite_bound(
        {problem_, all, problem_.linear, problem_.offset, counts_of(problem_, all, Mask(problem_.size(), 0))},
        400, &deadline_);
    relaxation_seconds_ = deadline_.elapsed() - begin;
    return safe_bound(problem_, bound);
  }

  const Qubo& qubo_;
  Constraint constraint_;
  const Deadline& deadline_;
  SolverResult& result_;
  ReducedProblem problem_;
  std::vector<double> shares_;
  double relaxation_seconds_ = 0;
};

}  // namespace

void prove(const Qubo& qubo, const Constraint& constraint, bool exact, std::int64_t max_nodes,
           const Deadline& deadline, SolverResult& result) {
  // One step's time at 20 ns a coupling, measured: a bound that can't be had in time isn't begun.
  const double step_seconds = 2e-8 * static_cast<double>(qubo.size()) * qubo.size();
  if (qubo.size() > kLargestBound || deadline.elapsed() + step_seconds > deadline.seconds()) return;
  Proof proof(qubo, constraint, deadline, result);
  proof.bound();
  while (proof.narrow()) proof.bound();
  if (result.optimal) result.reason = "optimal";
  const bool small = static_cast<int>(proof.problem().size()) <= kProvedUnasked;
  if (result.optimal || (!small && !exact)) return;
  ExactResult found =
      branch_and_bound(proof.problem(), proof.shares(), result.pool.front().energy, max_nodes, deadline);
  if (!found.x.empty()) {
    Mask x = proof.problem().expand(found.x);
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
