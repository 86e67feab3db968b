#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "quboprune/mask.h"

namespace quboprune {

/// A quadratic function of n binary variables, always to be minimised:
///
///     E(x) = offset + sum_i a_i x_i + sum_{i<j} b_ij x_i x_j + sum_r (s_r / 2) |F_r x|^2
///
/// The couplings b are given as single pairs or as dense blocks over a few variables (a layer's
/// similarity matrix); low-rank factors F_r [rank, n] are never multiplied out. x_i^2 = x_i is kept in
/// mind throughout: the diagonal of a low-rank term is part of its energy.
class Qubo {
 public:
  struct Pair {
    int i = 0, j = 0;  ///< i < j
    double value = 0;
  };
  /// values: m x m, row-major, symmetric, diagonal ignored; values[p*m+q] couples variables[p] and [q].
  struct DenseBlock {
    std::vector<int> variables;
    std::vector<double> values;
  };
  /// factor: rank x n, row-major. Adds scale/2 * |factor x|^2; scale may be negative.
  struct LowRank {
    int rank = 0;
    double scale = 1;
    std::vector<float> factor;
  };

  /// Throws InputError for fewer than 1. So do the functions below for a variable outside 0..n-1, a number
  /// that isn't finite, and sizes that don't fit each other.
  explicit Qubo(int variables);

  int size() const { return static_cast<int>(linear_.size()); }
  void add_offset(double value);
  void add_linear(int i, double value);
  /// i != j; the order doesn't matter, repeated pairs add up.
  void add_pair(int i, int j, double value);
  /// Room for so many pairs in all, so that a large problem is built without copying.
  void reserve_pairs(std::size_t count) { pairs_.reserve(count); }
  void add_dense_block(DenseBlock block);
  void add_low_rank(LowRank term);

  double offset() const { return offset_; }
  std::span<const double> linear() const { return linear_; }
  std::span<const Pair> pairs() const { return pairs_; }
  std::span<const DenseBlock> dense_blocks() const { return dense_blocks_; }
  std::span<const LowRank> low_rank() const { return low_rank_; }

  /// Are there pairs (of whatever value), blocks or low-rank terms?
  bool has_couplings() const { return !pairs_.empty() || !dense_blocks_.empty() || !low_rank_.empty(); }
  /// Calls use(i, j, value) for each coupling of pairs and blocks, a block's b_ij once. Several may be of the
  /// same two variables, some of value 0. Those of low-rank terms aren't among them.
  template <typename Use>
  void for_each_coupling(Use&& use) const {
    for (const Pair& pair : pairs_) use(pair.i, pair.j, pair.value);
    for (const DenseBlock& block : dense_blocks_) {
      const std::size_t m = block.variables.size();
      for (std::size_t p = 0; p < m; ++p)
        for (std::size_t q = p + 1; q < m; ++q)
          use(block.variables[p], block.variables[q], block.values[p * m + q]);
    }
  }

  /// E(x) of n entries, from scratch: O(size of the description).
  double energy(const Mask& x) const;
  /// For each variable alone, the others as they are: E(with it) - E(without it). O(size of the description).
  std::vector<double> slopes(const Mask& x) const;
  /// The whole coupling matrix, n x n row-major, symmetric, zero diagonal, with the low-rank terms
  /// multiplied out; their diagonal is in `diagonal` (n), together with linear().
  void to_dense(std::vector<double>& couplings, std::vector<double>& diagonal) const;

 private:
  void require_fitting(const Mask& x) const;

  double offset_ = 0;
  std::vector<double> linear_;
  std::vector<Pair> pairs_;
  std::vector<DenseBlock> dense_blocks_;
  std::vector<LowRank> low_rank_;
};

}  // namespace quboprune
