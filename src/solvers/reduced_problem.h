#pragma once

#include <cmath>
#include <vector>

#include "quboprune/qubo.h"
#include "quboprune/solver.h"
#include "solvers/count_classes.h"

namespace quboprune {

/// A QUBO with its fixed variables put in and its couplings multiplied out, for bounds and exact search.
struct ReducedProblem {
  ReducedProblem(const Qubo& qubo, const Constraint& constraint);

  std::size_t size() const { return linear.size(); }
  double coupling(std::size_t i, std::size_t j) const { return couplings[i * size() + j]; }
  /// What rounding may have done to an energy or a bound, whatever the unit: in many sums of the free
  /// variables' numbers, and in the sum of all numbers that the fixed ones' share and a known energy are made
  /// of, which may nearly cancel.
  double rounding() const { return 1e-12 * magnitude + 2e-15 * whole_magnitude; }
  /// Energies that differ by less can't be told apart.
  double resolution() const { return whole ? 0.5 : 4 * rounding(); }
  /// Stands for the value of what is never in a feasible solution: finite, so that sums stay free of
  /// infinities.
  double prohibitive() const { return 4 * magnitude; }
  /// A solution of this as one of the whole problem.
  Mask expand(const Mask& x) const;

  std::vector<std::size_t> variable;  ///< place in the whole problem
  Mask fixed_values;                  ///< of the whole problem, 0 where free
  double offset = 0;
  std::vector<double> linear, couplings;
  Constraint::Kind kind = Constraint::Kind::none;
  double capacity = 0;        ///< what the fixed ones leave, in units of the largest cost
  std::vector<double> costs;  ///< in the same units; empty: 1 each
  /// How far a sum of costs may be above the capacity, or off an exact one, in a solution; and, a little
  /// more, in what a bound relaxes to.
  double tolerance = 0, slack = 0;
  std::vector<CountClass> classes;  ///< with groups only: the counts, in places of this problem
  bool whole = false;               ///< all numbers whole: energies of different value differ by 1 at least
  double magnitude = 0;             ///< sum of all absolute values but the offset's
  double whole_magnitude = 0;       ///< the same of the whole problem, with its offset

 private:
  void scale_costs(const Constraint& constraint);
  void add_classes(const Constraint& constraint, std::size_t n);
};

}  // namespace quboprune
