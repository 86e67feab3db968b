#include "solvers/split_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace quboprune {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double choose_freely(const double* values, const std::vector<std::size_t>& items, double* fraction) {
  double sum = 0;
  for (const std::size_t i : items) {
    const bool in = values[i] < 0;
    if (in) sum += values[i];
    if (fraction != nullptr) fraction[i] = in ? 1.0 : 0.0;
  }
  return sum;
}

double choose_count(const double* values, const std::vector<std::size_t>& items, bool exactly,
                    double capacity, std::vector<std::size_t>& order, double* fraction) {
  const double slack = 1e-9;
  if (capacity < -slack || (exactly && capacity > static_cast<double>(items.size()) + slack))
    return kInfinity;
  const auto count =
      static_cast<std::size_t>(std::min(static_cast<double>(items.size()), std::floor(capacity + slack)));
  order = items;
  if (count < order.size())
    std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                     [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  double sum = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    const double value = values[order[k]];
    const bool in = k < count && (exactly || value < 0);
    if (in) sum += value;
    if (fraction != nullptr) fraction[order[k]] = in ? 1.0 : 0.0;
  }
  return sum;
}

double choose_by_cost(const ReducedProblem& problem, const double* values,
                      const std::vector<std::size_t>& items, double capacity, std::vector<std::size_t>& order,
                      double* fraction) {
  const std::vector<double>& costs = problem.costs;
  const bool exactly = problem.kind == Constraint::Kind::exactly;
  const double slack = problem.slack;
  if (capacity < -slack) return kInfinity;
  order.clear();
  double sum = 0;
  for (const std::size_t i : items) {
    // Free of cost: taken where it pays.
    const bool free = costs[i] <= 0;
    if (free && values[i] < 0) sum += values[i];
    if (fraction != nullptr) fraction[i] = free && values[i] < 0 ? 1.0 : 0.0;
    if (!free && (exactly || values[i] < 0)) order.push_back(i);
  }
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] * costs[b] < values[b] * costs[a]; });
  double room = capacity + slack;
  for (const std::size_t i : order) {
    // Within the slack an exact capacity is met: what raises the sum isn't due any more.
    const double due = values[i] > 0 ? room - 2 * slack : room;
    if (due <= 0) break;
    const double share = std::min(1.0, due / costs[i]);
    sum += share * values[i];
    room -= share * costs[i];
    if (fraction != nullptr) fraction[i] = share;
    if (share < 1) break;  // what rounding leaves of the room would hold an item of tiny cost that isn't due
  }
  return exactly && room > 3 * slack ? kInfinity : sum;
}

}  // namespace

double relaxed_choice(const ReducedProblem& problem, const double* values,
                      const std::vector<std::size_t>& items, double capacity, std::vector<std::size_t>& order,
                      double* fraction) {
  if (problem.kind == Constraint::Kind::none) return choose_freely(values, items, fraction);
  if (!problem.costs.empty()) return choose_by_cost(problem, values, items, capacity, order, fraction);
  return choose_count(values, items, problem.kind == Constraint::Kind::exactly, capacity, order, fraction);
}

double safe_bound(const ReducedProblem& problem, double value) {
  // Every number enters a sum of at most n^2 terms once per level; 1e-12 of the total is far above the
  // error of double sums of this length (n up to a few thousand).
  const double lowered = value - problem.rounding();
  return problem.whole ? std::ceil(lowered - 1e-6) : lowered;
}

SplitBound::SplitBound(const ReducedProblem& problem)
    : problem_(problem),
      shares_(problem.couplings),
      inner_(shares_.size(), 0.0),
      outer_(problem.size(), 0.0),
      bound_(-kInfinity) {
  for (double& share : shares_) share *= 0.5;
  best_shares_ = shares_;
}

double SplitBound::evaluate() {
  const std::size_t n = problem_.size();
  std::vector<std::size_t> others, order;
  std::vector<double> value(n);
  for (std::size_t i = 0; i < n; ++i) {
    others.clear();
    for (std::size_t j = 0; j < n; ++j)
      if (j != i) others.push_back(j);
    const double left = problem_.capacity - (problem_.costs.empty() ? 1.0 : problem_.costs[i]);
    value[i] =
        problem_.linear[i] + relaxed_choice(problem_, &shares_[i * n], others, left, order, &inner_[i * n]);
    if (!std::isfinite(value[i])) value[i] = problem_.prohibitive();
  }
  std::vector<std::size_t> all(n);
  std::iota(all.begin(), all.end(), std::size_t{0});
  return problem_.offset +
         relaxed_choice(problem_, value.data(), all, problem_.capacity, order, outer_.data());
}

/// The squared length of the subgradient in the shares.
double SplitBound::slope() const {
  const std::size_t n = problem_.size();
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) {
      const double g = outer_[i] * inner_[i * n + j] - outer_[j] * inner_[j * n + i];
      sum += g * g;
    }
  return sum;
}

void SplitBound::step(double length) {
  const std::size_t n = problem_.size();
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) {
      const double g = outer_[i] * inner_[i * n + j] - outer_[j] * inner_[j * n + i];
      if (g == 0) continue;
      shares_[i * n + j] += length * g;
      shares_[j * n + i] = problem_.coupling(i, j) - shares_[i * n + j];
    }
}

double SplitBound::improve(double known, int iterations, const Deadline& deadline) {
  shares_ = best_shares_;
  double pace = 1;
  int stale = 0;
  for (int k = 0; k < iterations && !deadline.expired(); ++k) {
    const double value = evaluate();
    if (!std::isfinite(value)) break;
    if (k == 0 || value > bound_ + 1e-9 * std::abs(bound_)) {
      stale = 0;
      if (value > bound_) {
        bound_ = value;
        best_shares_ = shares_;
      }
    } else if (++stale == 6) {
      pace *= 0.6;
      stale = 0;
      shares_ = best_shares_;
      if (pace < 1e-3) break;
      continue;
    }
    const double squared = slope();
    if (squared == 0 || safe_bound(problem_, bound_) >= known) break;
    step(pace * std::max(known - value, 1e-9 * problem_.magnitude) / squared);
  }
  return safe_bound(problem_, bound_);
}

}  // namespace quboprune
