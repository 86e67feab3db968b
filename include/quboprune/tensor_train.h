#pragma once

#include <cstddef>
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
/// and so does a gradient; a sample costs O(n · r²). Memory: 16·r + 8 bytes a state, r rounded up to a
/// multiple of 8.
/// Source: the train and its use, PROTES (Batsheva et al., arXiv 2301.12162); the automaton is ours.
class TensorTrain {
 public:
  /// Samples are drawn so many at a time; fewer take as long.
  static constexpr int kTogether = 8;

  /// All cores equal: uniform over the obeying masks if rank is 1 or theta is 0.
  /// Throws InputError if the rule can't be obeyed or its sizes don't fit.
  TensorTrain(CountRule rule, int rank);

  int size() const { return static_cast<int>(rule_.weights.size()); }
  int rank() const { return static_cast<int>(rank_); }

  /// theta[((i·2 + b)·r + row)·r + column], between -40 and 40; call prepare() after changing it.
  std::span<double> parameters() { return theta_; }
  std::span<const double> parameters() const { return theta_; }

  /// Recomputes the cores and interfaces from the parameters.
  void prepare();

  bool obeys(const Mask& x) const;
  /// log P(x); -infinity for a mask that breaks the rule.
  double log_likelihood(const Mask& x) const;
  std::vector<Mask> sample(int count, Rng& rng) const;
  /// Gradient of the mean of log P over `masks` (all must obey the rule) by theta, and that mean.
  double gradient(std::span<const Mask> masks, std::span<double> result);

 private:
  /// For each state, a vector of the rank times 2^exponent; its entries add up to between 1 and 2, at
  /// the ends to r.
  struct Interfaces {
    std::vector<double> vectors;  ///< states x width
    std::vector<int> exponents;   ///< far below any sum where nothing is reachable
  };

  bool allowed(int i, int bit) const;
  bool reachable(int i, int count) const;
  /// States are numbered position by position, and there by their count.
  std::size_t state(int i, int count) const;
  std::size_t core(int i, int bit) const;
  Interfaces empty_interfaces() const;
  void fill_cores();
  void carry(int i, int to, Interfaces& interfaces) const;
  void look_ahead(int i, int bit, const int* counts, double* after, int* exponents) const;
  void sample_together(std::span<Mask> masks, Rng& rng) const;
  void take_partition_uses(std::span<double> uses);
  double add_mask_uses(const Mask& x, double weight, std::span<double> uses, std::span<double> room) const;

  CountRule rule_;
  std::size_t rank_, width_;  ///< of a vector: the rank, and the rank with what is padded by zeros
  std::vector<double> theta_;
  std::vector<double> rows_, columns_;  ///< the cores, (i·2 + b) x r x width; in columns_ each is transposed
  std::vector<int> least_, most_;       ///< n+1; reachable counts before position i
  std::vector<std::size_t> first_;      ///< n+2; the number of the first state there
  Interfaces right_;                    ///< of what follows, for the count used by x_1..x_i
  Interfaces left_;                     ///< of what comes before; filled by a gradient
  double log_partition_ = 0;
  int partition_exponent_ = 0;  ///< Z = sum · 2^exponent
  double partition_sum_ = 1;
};

}  // namespace quboprune
