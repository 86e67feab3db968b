#pragma once

#include <vector>

#include "solvers/improver.h"
#include "solvers/reduced_problem.h"

namespace quboprune {

/// A lower bound by splitting every coupling in two shares, b_ij = d_ij + d_ji, and letting every variable
/// i choose on its own whom it would like beside it:
///
///     E >= min_x sum_i x_i (a_i + min_y sum_j d_ij y_j),  x and y in the relaxed constraint.
///
/// Subgradient steps improve the shares. With a capacity its limit is the bound of Caprara, Pisinger and Toth
/// 1999 for the quadratic knapsack problem. Without a constraint it is weaker than the roof dual: that a
/// positive coupling has to be paid where both are 1 is seen only as far as its shares leave it.
class SplitBound {
 public:
  explicit SplitBound(const ReducedProblem& problem);

  /// Up to `iterations` steps towards `known` (the energy of some feasible solution), with the best shares
  /// kept. Returns the bound; rounding errors are taken off, and whole problems rounded up.
  double improve(double known, int iterations, const Deadline& deadline);
  const std::vector<double>& shares() const { return best_shares_; }

 private:
  double evaluate();
  void step(double length);
  double slope() const;

  const ReducedProblem& problem_;
  std::vector<double> shares_, best_shares_;
  std::vector<double> inner_;  ///< y, one row a variable
  std::vector<double> outer_;  ///< x
  double bound_;
};

/// min sum v_i y_i over the `items`, 0 <= y <= 1, under the problem's constraint with `capacity` in place of
/// its own; `order` is scratch. Fills fraction[i] of the items unless it is null. Returns +infinity if an
/// exact capacity can't be met, or a capacity is negative.
double relaxed_choice(const ReducedProblem& problem, const double* values,
                      const std::vector<std::size_t>& items, double capacity, std::vector<std::size_t>& order,
                      double* fraction);

/// `value` lowered by what rounding may have added to a sum over `problem`; rounded up to a whole number
/// where all energies are whole.
double safe_bound(const ReducedProblem& problem, double value);

}  // namespace quboprune
