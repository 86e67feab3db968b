#pragma once

#include "quboprune/random.h"
#include "quboprune/solver.h"
#include "solvers/improver.h"
#include "solvers/tabu_list.h"

namespace quboprune {

/// Tabu search over flips (no constraint, or at most K) or swaps (exactly K) on a DenseMatrix.
///
/// Every move is the best admissible one; what moved may not move again for n/100 + U{1..10} moves. A swap
/// takes the best removal and the best addition by field and adds their coupling afterwards: measured on
/// max-diversity problems, the exact best addition after the removal costs 1.4 times as much per move and
/// finds nothing sooner. Ends after `patience` moves without a new best.
/// Source: Palubeckis 2004 and Glover, Lu, Hao 2010 for the search; the one-pass swap is ours.
class DenseTabu : public Improver {
 public:
  /// `matrix` and `constraint` (no costs) must outlive this.
  DenseTabu(const DenseMatrix& matrix, const Constraint& constraint);
  Found improve(const Task& task, const Deadline& deadline) override;

 private:
  void make_feasible();
  bool move();
  bool swap();
  void held_flip(std::size_t i);
  Mask mask_before() const;
  int tenure() { return base_tenure_ + static_cast<int>(rng_.below(10)); }

  const Constraint& constraint_;
  DenseState state_;
  TabuList tabu_;
  Rng rng_{1};
  std::size_t moved_[2] = {};  ///< by the last move
  int moved_count_ = 0;
  int fewest_ = 0, most_ = 0, base_tenure_ = 1;
  std::int64_t patience_ = 0;
};

}  // namespace quboprune
