#pragma once

#include "quboprune/target.h"
#include "solvers/sparse_model.h"

namespace quboprune {

/// Adds or removes one variable at a time, each the one that changes E least, until `count` are kept.
void repair_count(const Qubo& qubo, Mask& x, int count, const std::vector<std::int8_t>& fixed);

/// Makes the true cost of masks fit a budget, with an energy to choose by.
class CostFitter {
 public:
  CostFitter(const Qubo& qubo, const ChannelGroups& groups, Cost kind, double allowed,
             std::vector<std::int8_t> fixed);
  CostFitter(const CostFitter&) = delete;  // problem_ refers into qubo_
  CostFitter& operator=(const CostFitter&) = delete;

  /// Removes what costs least energy for its cost while the mask is above the budget, then adds back whatever
  /// still fits, best ratio first. False if it can't be met. Safe from several threads.
  bool fit(Mask& mask) const { return fit(mask, fixed_); }
  /// Takes variables out and in, each with what the budget then asks for, while that lowers the energy: a
  /// small network's few coarse channels leave a linearised cost far from what fits. Nothing in large ones.
  void exchange(Solution& solution) const;

 private:
  bool fit(Mask& mask, const std::vector<std::int8_t>& fixed) const;

  Qubo qubo_;  // whose blocks problem_ refers to
  StructuredProblem problem_;
  const ChannelGroups& groups_;
  Cost kind_;
  double allowed_;
  std::vector<std::int8_t> fixed_;
};

/// solve_at_target for parameters and MACs.
SolverResult fit_cost(const Formulation& f, const ChannelGroups& groups, const Target& target,
                      const std::vector<std::int8_t>& fixed, const SolverOptions& options,
                      const Control& control);

}  // namespace quboprune
