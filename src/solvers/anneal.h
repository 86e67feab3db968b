#pragma once

#include <array>
#include <vector>

#include "quboprune/random.h"
#include "quboprune/solver.h"
#include "solvers/count_classes.h"
#include "solvers/improver.h"
#include "solvers/sparse_model.h"

namespace quboprune {

/// Simulated annealing over flips (no constraint), flips and swaps (at most K) or swaps (exactly K), class by
/// class where several groups are counted.
/// Temperatures fall linearly from a part of the gains' standard deviation at a random selection, not from
/// the smallest coupling; a bred start is reheated to a smaller part only. The best state of the end phase
/// and a final descent are kept. Model: SparseModel or StructuredModel. Source: Kirkpatrick et al. 1983;
/// Myklebust 2015 for max-cut.
template <typename Model>
class Anneal : public Improver {
 public:
  struct Schedule {
    int sweeps = 1000;     ///< per fresh task, proposals per free variable
    double hottest = 0.5;  ///< times the spread of the gains
    double reheat = 0.2;   ///< the same for bred starts
    double coldest = 0.05;
  };

  Anneal(const StructuredProblem& problem, const Constraint& constraint, Schedule schedule);
  Found improve(const Task& task, const Deadline& deadline) override;

 private:
  /// Variables counted together, with those that are 1 and 0 listed where swaps need them.
  struct Class : CountClass {
    std::vector<std::uint32_t> ones, zeros;
    int kept = 0;
    bool may_flip(bool on) const { return on ? kept > fewest : kept < most; }
  };

  void start_from(const Task& task);
  double spread();
  void sweep(double temperature);
  void sweep_flips(Class& counted, double temperature);
  void sweep_swaps(Class& counted, double temperature);
  void descend(const Deadline& deadline);
  bool descend_by_flips(Class& counted, const Deadline& deadline);
  bool descend_by_swaps(Class& counted, const Deadline& deadline);
  void flip(Class& counted, std::size_t i) {
    counted.kept += model_.x()[i] != 0 ? -1 : 1;
    model_.flip(i);
    ++flips_;
  }
  void list_sides(Class& counted);

  const Constraint& constraint_;
  Model model_;
  Schedule schedule_;
  Rng rng_{1};
  std::array<float, 4096> dice_{};
  std::vector<Class> classes_;
  double spread_ = 1;
  std::int64_t flips_ = 0;
};

}  // namespace quboprune
