#pragma once

#include <span>
#include <vector>

#include "quboprune/mask.h"
#include "quboprune/mask_search.h"
#include "quboprune/random.h"
#include "quboprune/tensor_train.h"

namespace quboprune {

/// Makes masks obey a MaskConstraint and the fixed values.
class Feasible {
 public:
  /// Throws InputError if sizes don't fit or nothing can obey.
  Feasible(int n, const MaskConstraint& constraint, const std::vector<std::int8_t>& fixed);

  int size() const { return n_; }
  MaskConstraint::Kind kind() const { return constraint_.kind; }
  bool free(int i) const;
  /// Whether x obeys everything but the repair function.
  bool obeys(const Mask& x) const;
  /// at_most: costs[i], or a little where that is 0; otherwise 1.
  double cost(int i) const;
  /// at_most: the sum of costs[i] over the kept i; otherwise 0.
  double cost(const Mask& x) const;
  /// Whether a mask of such a cost() obeys the capacity.
  bool within(double cost) const;
  /// Changes x as little as it can so that it obeys, then asks the repair function. Ones are dropped and
  /// added in the order of `worth` (n: how much each wants to be kept), per unit of cost; an empty worth
  /// means at random. False where that fails.
  bool make(Mask& x, std::span<const double> worth, Rng& rng) const;
  /// The same rule for a tensor train: costs are rounded to at most `bins` bins, make() puts them right.
  /// No rule at all where the automaton would have too many states.
  CountRule rule(int bins) const;

 private:
  std::vector<int> order(const Mask& x, int bit, std::span<const double> worth, Rng& rng) const;
  void fit_count(Mask& x, std::span<const double> worth, Rng& rng) const;
  void fit_costs(Mask& x, std::span<const double> worth, Rng& rng) const;

  int n_;
  MaskConstraint constraint_;
  std::vector<std::int8_t> fixed_;
};

}  // namespace quboprune
