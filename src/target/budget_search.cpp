#include "target/budget_search.h"

#include <algorithm>
#include <cmath>

namespace quboprune {

std::optional<std::size_t> furthest_within(std::span<const TriedBudget> tried, double most) {
  std::optional<std::size_t> furthest;
  for (std::size_t k = 0; k < tried.size(); ++k) {
    if (tried[k].loss <= most && (!furthest || tried[k].removed > tried[*furthest].removed)) furthest = k;
  }
  return furthest;
}

std::optional<double> next_budget(std::span<const TriedBudget> tried, double most) {
  constexpr double kStep = 1e-3;
  const auto furthest = furthest_within(tried, most);
  const double holds = furthest ? tried[*furthest].removed : 0;
  double fails = 1;
  for (const TriedBudget& budget : tried) {
    if (budget.removed > holds) fails = std::min(fails, budget.removed);
  }
  if (fails == 1) return std::nullopt;
  const double next = std::round((holds + fails) / 2 / kStep) / (1 / kStep);  // the double nearest to it
  return next > holds + kStep / 2 && next < fails - kStep / 2 ? std::optional(next) : std::nullopt;
}

}  // namespace quboprune
