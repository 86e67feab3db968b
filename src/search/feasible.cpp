#include "search/feasible.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/shuffle.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// Twice 200 MB at rank 5. Beyond it the train goes without the rule, and make() does all the work.
constexpr double kLargestAutomaton = 4e6;

}  // namespace

Feasible::Feasible(int n, const MaskConstraint& constraint, const std::vector<std::int8_t>& fixed)
    : n_(n), constraint_(constraint), fixed_(fixed) {
  const auto size = static_cast<std::size_t>(n);
  if (n < 1) throw InputError("mask search: there are no variables; give at least one");
  if (!fixed.empty() && fixed.size() != size)
    throw InputError("mask search: " + std::to_string(fixed.size()) + " fixed values for " +
                     std::to_string(n) + " variables; give one each or none");
  if (kind() == MaskConstraint::Kind::at_most) {
    if (constraint.costs.size() != size)
      throw InputError("mask search: " + std::to_string(constraint.costs.size()) + " costs for " +
                       std::to_string(n) + " variables; give one each");
    for (const double c : constraint.costs)
      if (!(c >= 0) || !std::isfinite(c))
        throw InputError("mask search: a cost is negative or not finite; give costs of 0 or more");
    double least = 0;
    for (int i = 0; i < n; ++i)
      if (!free(i) && fixed_[static_cast<std::size_t>(i)] == 1)
        least += constraint.costs[static_cast<std::size_t>(i)];
    // A mask that costs the capacity itself, added up in another order, is within it.
    constraint_.capacity += 1e-12 * std::abs(constraint.capacity);
    if (least > constraint_.capacity || constraint.lowest > constraint_.capacity)
      throw InputError("mask search: no mask costs at most the capacity; raise the capacity");
  }
  if (kind() == MaskConstraint::Kind::exactly) {
    int ones = 0, open = 0;
    for (int i = 0; i < n; ++i) {
      open += free(i);
      ones += !free(i) && fixed_[static_cast<std::size_t>(i)] == 1;
    }
    if (constraint.count < ones || constraint.count > ones + open)
      throw InputError("mask search: no mask keeps exactly " + std::to_string(constraint.count) + " of " +
                       std::to_string(n) + "; the fixed values allow " + std::to_string(ones) + " to " +
                       std::to_string(ones + open));
  }
}

bool Feasible::free(int i) const {
  return fixed_.empty() || fixed_[static_cast<std::size_t>(i)] < 0;
}

double Feasible::cost(int i) const {
  if (kind() != MaskConstraint::Kind::at_most) return 1;
  return std::max(constraint_.costs[static_cast<std::size_t>(i)], 1e-9 * constraint_.capacity + 1e-300);
}

bool Feasible::within(double cost) const {
  return kind() != MaskConstraint::Kind::at_most ||
         (cost <= constraint_.capacity && cost >= constraint_.lowest);
}

double Feasible::cost(const Mask& x) const {
  if (kind() != MaskConstraint::Kind::at_most) return 0;
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] ? constraint_.costs[i] : 0;
  return sum;
}

bool Feasible::obeys(const Mask& x) const {
  if (static_cast<int>(x.size()) != n_) return false;
  for (std::size_t i = 0; i < fixed_.size(); ++i)
    if (fixed_[i] >= 0 && x[i] != fixed_[i]) return false;
  if (kind() == MaskConstraint::Kind::exactly) return kept_count(x) == constraint_.count;
  if (kind() == MaskConstraint::Kind::none) return true;
  return within(cost(x));
}

/// The free variables with value `bit`: those that should change first, first.
std::vector<int> Feasible::order(const Mask& x, int bit, std::span<const double> worth, Rng& rng) const {
  std::vector<int> chosen;
  for (int i = 0; i < n_; ++i)
    if (free(i) && x[static_cast<std::size_t>(i)] == bit) chosen.push_back(i);
  shuffle(chosen, rng);
  if (worth.empty()) return chosen;
  const bool costs = kind() == MaskConstraint::Kind::at_most;
  const auto rate = [&](int i) {
    const auto at = static_cast<std::size_t>(i);
    // A worthless variable isn't better for being cheap: only positive worth is divided.
    return costs && worth[at] > 0 ? worth[at] / (constraint_.costs[at] + 1e-12) : worth[at];
  };
  std::stable_sort(chosen.begin(), chosen.end(),
                   [&](int a, int b) { return bit ? rate(a) < rate(b) : rate(a) > rate(b); });
  return chosen;
}

void Feasible::fit_count(Mask& x, std::span<const double> worth, Rng& rng) const {
  const int wrong = kept_count(x) - constraint_.count;
  if (wrong == 0) return;
  const std::vector<int> candidates = order(x, wrong > 0 ? 1 : 0, worth, rng);
  for (int k = 0; k < std::abs(wrong); ++k)
    x[static_cast<std::size_t>(candidates[static_cast<std::size_t>(k)])] ^= 1U;
}

void Feasible::fit_costs(Mask& x, std::span<const double> worth, Rng& rng) const {
  double sum = cost(x);
  if (sum > constraint_.capacity)
    for (const int i : order(x, 1, worth, rng)) {
      if (sum <= constraint_.capacity) break;
      x[static_cast<std::size_t>(i)] = 0;
      sum -= constraint_.costs[static_cast<std::size_t>(i)];
    }
  if (sum < constraint_.lowest)
    for (const int i : order(x, 0, worth, rng)) {
      if (sum >= constraint_.lowest) break;
      const double more = sum + constraint_.costs[static_cast<std::size_t>(i)];
      if (more > constraint_.capacity) continue;
      x[static_cast<std::size_t>(i)] = 1;
      sum = more;
    }
}

bool Feasible::make(Mask& x, std::span<const double> worth, Rng& rng) const {
  for (std::size_t i = 0; i < fixed_.size(); ++i)
    if (fixed_[i] >= 0) x[i] = static_cast<std::uint8_t>(fixed_[i]);
  if (kind() == MaskConstraint::Kind::exactly) fit_count(x, worth, rng);
  if (kind() == MaskConstraint::Kind::at_most) fit_costs(x, worth, rng);
  if (constraint_.repair && !constraint_.repair(x)) return false;
  return obeys(x);
}

CountRule Feasible::rule(int bins) const {
  CountRule rule{std::vector<int>(static_cast<std::size_t>(n_), 0), 0, 0, fixed_};
  const double states = kind() == MaskConstraint::Kind::exactly
                            ? static_cast<double>(constraint_.count) * (n_ - constraint_.count)
                            : static_cast<double>(n_) * bins;
  if (states > kLargestAutomaton) return rule;
  if (kind() == MaskConstraint::Kind::exactly) {
    std::fill(rule.weights.begin(), rule.weights.end(), 1);
    rule.lowest = rule.highest = constraint_.count;
  } else if (kind() == MaskConstraint::Kind::at_most && constraint_.capacity > 0) {
    const double unit = std::max(constraint_.capacity / bins, 1e-300);
    int least = 0, most = 0;
    for (std::size_t i = 0; i < rule.weights.size(); ++i) {
      // Beyond two capacities a variable never fits: cut there, so that it fits an int.
      rule.weights[i] = static_cast<int>(std::lround(std::min(constraint_.costs[i] / unit, 2.0 * bins)));
      least += !free(static_cast<int>(i)) && fixed_[i] == 1 ? rule.weights[i] : 0;
      most += free(static_cast<int>(i)) || fixed_[i] == 1 ? rule.weights[i] : 0;
    }
    const double lowest = std::max(0.0, constraint_.lowest / unit);
    rule.highest = std::max(bins, least);
    // Room for the largest item below the top: rounding must not leave the rule empty.
    const int largest = *std::max_element(rule.weights.begin(), rule.weights.end());
    rule.lowest = std::max(0, std::min({static_cast<int>(lowest), most, rule.highest - largest}));
  }
  return rule;
}

}  // namespace quboprune
