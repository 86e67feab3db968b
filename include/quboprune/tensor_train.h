#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quboprune/mask.h"
#include "quboprune/random.h"

namespace quboprune {

/// What the masks of a TensorTrain must add up to: lowest <= sum of weights[i] over kept i <= highest.
/// All weights 0 with lowest = highest = 0 is no constraint; all 1 with both K is "exactly K".
struct CountRule {
  std::vector<int> weights;          ///< n, each >= 0
  int lowest = 0, highest = 0;       ///< inclusive
  std::vector<std::int8_t> fixed{};  ///< empty, or n entries: -1 free, 0 or 1 fixed
};

/// A probability distribution over the masks that obey a CountRule, and over no others:
///
///     P(x) = 1[x obeys] · u' A_1[x_1] A_2[x_2] ... A_n[x_n] u / Z,   A_i[b] = exp(theta_i[b]) in R^{r×r}
///
/// with u all ones. The rule is a counting automaton beside the train: interfaces are kept for every
/// position and count, so sampling and likelihood are exact, and every sample obeys by construction.
/// A conserved count is what physicists call a U(1)-symmetric train. Each interface carries its own
/// exponent, so no probability under- or overflows, however long the train.
///
/// Preparing costs O(states · r²) for the reachable (position, count) pairs, K(n-K) of them for "exactly K",
/// and so does a gradient; a sample costs O(n · r²). Memory: 8·(r+1) bytes a state.
/// Source: the train and its use, PROTES (Batsheva et al., arXiv 2301.12162); the automaton is ours.
class TensorTrain {
 public:
  /// All cores equal: uniform over the obeying masks if rank is 1 or theta is 0.
  /// Throws InputError if the rule can't be obeyed or its sizes don't fit.
  TensorTrain(CountRule rule, int rank);

  int size() const { return static_cast<int>(rule_.weights.size()); }
  int rank() const { return rank_; }

  /// theta[((i·2 + b)·r + row)·r + column]; call prepare() after changing it.
  std::span<double> parameters() { return theta_; }
  std::span<const double> parameters() const { return theta_; }

  /// Recomputes the cores and interfaces from the parameters.
  void prepare();

  /// log P(x); -infinity for a mask that breaks the rule.
  double log_likelihood(const Mask& x) const;
  Mask sample(Rng& rng) const;
  /// Gradient of the mean of log P over `masks` (all must obey the rule) by theta, and that mean.
  double gradient(std::span<const Mask> masks, std::span<double> result) const;

 private:
  /// One position's interfaces: for each reachable count, a vector of the rank and its exponent.
  struct Interface {
    int lowest = 0;                 ///< the first count
    std::vector<double> exponents;  ///< natural logarithm of the scale; -infinity where nothing is reachable
    std::vector<double> vectors;    ///< counts x rank, largest entry 1
    int counts() const { return static_cast<int>(exponents.size()); }
    bool has(int count) const { return count >= lowest && count < lowest + counts(); }
  };

  bool allowed(int i, int bit) const;
  const double* core(int i, int bit) const;
  Interface empty_interface(int i) const;
  /// The interface `to`, before (i) or behind (i + 1) variable i, from the one on its other side.
  template <typename Multiply>
  Interface carried(const Interface& from, int i, int to, Multiply multiply) const;
  void fill_right(int i);
  std::vector<Interface> left_interfaces() const;
  void add_partition_gradient(std::span<double> result) const;
  double add_mask_gradient(const Mask& x, double weight, std::span<double> result) const;
  bool obeys(const Mask& x) const;

  CountRule rule_;
  int rank_;
  std::vector<double> theta_, cores_;
  std::vector<Interface> right_;   ///< n+1; right_[i] for the count used by x_1..x_i
  std::vector<int> least_, most_;  ///< n+1; reachable counts before position i
  double log_partition_ = 0;
};

}  // namespace quboprune
