#pragma once

#include <utility>
#include <vector>

#include "multiples/even_counts.h"

namespace quboprune {

/// One choice for each part of EvenCounts so that a cost fits: starts with everything kept, moves by steps
/// from one choice to the next. Costs are the true ones.
class StepSearch {
 public:
  /// choices: by part, ascending numbers of groups. Holds references to all but `kind`.
  StepSearch(const CostModel& cost, Cost kind, const EvenCounts& counts,
             const std::vector<std::vector<CountChoice>>& choices);

  /// Steps down, each time the one that loses least worth for what it saves (as far as that is needed), until
  /// the cost is allowed. False if it never is.
  bool lower_to(double allowed);
  /// Steps up, and a step up paid for by one down elsewhere, that gain worth (or cost, at the same worth) and
  /// are allowed; then whatever is still allowed, whether it gains or not.
  void improve(double allowed);

  double cost() const { return cost_now_; }
  const std::vector<std::size_t>& chosen() const { return chosen_; }

 private:
  double worth(std::size_t part, std::size_t choice) const { return choices_[part][choice].worth; }
  void move(std::size_t part, std::size_t choice);
  void set(std::size_t part, std::size_t choice);
  double cost_with(std::size_t part, std::size_t choice);
  bool raise(double allowed, bool must_gain);
  bool exchange(double allowed);

  const CostModel& model_;
  Cost kind_;
  const EvenCounts& counts_;
  const std::vector<std::vector<CountChoice>>& choices_;
  std::vector<std::vector<std::pair<int, int>>> axes_of_;  // by bundle: axis, indices of each group
  std::vector<std::size_t> chosen_;                        // by part
  std::vector<double> sizes_;                              // by axis
  double cost_now_ = 0;
};

}  // namespace quboprune
