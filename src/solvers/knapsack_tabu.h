#pragma once

#include <vector>

#include "quboprune/random.h"
#include "quboprune/solver.h"
#include "solvers/improver.h"
#include "solvers/tabu_list.h"

namespace quboprune {

/// Costs as integers. Whole costs and decimals of up to six places, over their greatest common divisor, are
/// exact up to 2^31 in sum. Others are rounded down, under "at most", on a grid of 2^30 steps to the
/// capacity: a selection may overrun the true capacity by as little, which take() checks. Under an exact
/// total those, and such with too many sums for a table, are rounded to an eighth of their mean.
struct IntegerCosts {
  IntegerCosts(const Constraint& constraint, std::size_t variables);
  std::vector<std::int32_t> costs;
  std::int64_t capacity = 0;
  double unit = 0;       ///< the costs' common unit, 0 if they have none
  bool rounded = false;  ///< 1 doesn't stand for `unit`, and not exactly for anything
};

/// All couplings in 32 bits, matrix.stride() a row: what a scan over swaps reads.
std::vector<std::int32_t> wide_couplings(const DenseMatrix& matrix);

/// Tabu search under sum c_i x_i <= C or = C. Each move is the best admissible one among additions that fit,
/// swaps that fit (their coupling counted), and removals; C is never exceeded. Swaps are looked at from all
/// removals while those are few, else from the best and the most relieving ones. An exact total is kept by
/// swaps of equal costs, and met anew after each shake by a table of all sums. Where costs are rounded for
/// that, local optima are changed a little to meet the total in fact (real_total.h).
/// Source: the neighbourhoods of quadratic-knapsack tabu searches (Chen and Hao 2017); ours otherwise.
class KnapsackTabu : public Improver {
 public:
  /// `couplings` as from wide_couplings(matrix): shared by all threads.
  KnapsackTabu(const DenseMatrix& matrix, const std::vector<std::int32_t>& couplings,
               const Constraint& constraint);
  Found improve(const Task& task, const Deadline& deadline) override;

 private:
  struct Move {
    std::size_t out = DenseState::kNone, in = DenseState::kNone;
    std::int64_t gain = DenseState::kNoGain;
  };
  bool make_feasible();
  void relieve(std::int64_t capacity);
  void fill();
  void drop_at_random(std::int64_t capacity);
  bool shake();
  bool fill_exactly();
  void best_swaps(Move& best);
  void list_additions();
  Move best_move();
  void apply(const Move& move);
  void list_removals();
  bool rounds_total() const { return equality_ && costs_.rounded; }
  void take(Found& found, const Deadline& deadline);
  double meet_rounded_total(Mask& x, const Deadline& deadline);
  double within_budget(Mask& x) const;

  const Constraint& constraint_;
  IntegerCosts costs_;
  DenseState state_;
  TabuList tabu_;
  Rng rng_{1};
  std::int64_t spent_ = 0, patience_ = 0;
  bool equality_ = false;
  const std::vector<std::int32_t>& couplings_;
  std::vector<std::size_t> removals_;
  std::vector<std::int32_t> additions_;  ///< per variable its field, kNotNow unless it may be added
};

}  // namespace quboprune
