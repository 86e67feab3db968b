#include "solvers/convex_relaxation.h"

#include <algorithm>
#include <cmath>

#include "core/index.h"
#include "solvers/low_rank_factors.h"

namespace quboprune {
namespace {

/// The nearest point of 0 <= x <= 1, fixed values and sum of costs · x (at most, or exactly) the capacity.
class Projection {
 public:
  Projection(const Constraint& constraint, std::size_t n)
      : constraint_(constraint), low_(n, 0.0), high_(n, 1.0) {
    for (std::size_t i = 0; i < constraint.fixed.size(); ++i)
      if (constraint.fixed[i] >= 0) low_[i] = high_[i] = constraint.fixed[i];
  }

  void operator()(std::vector<double>& x) const {
    if (constraint_.kind != Constraint::Kind::none) {
      const bool enough =
          constraint_.kind == Constraint::Kind::at_most && spent(x, 0) <= constraint_.capacity;
      if (!enough) shift(x, multiplier(x));
    }
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::clamp(x[i], low_[i], high_[i]);
  }

 private:
  double cost(std::size_t i) const { return constraint_.costs.empty() ? 1 : constraint_.costs[i]; }
  double spent(const std::vector<double>& x, double price) const {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
      sum += cost(i) * std::clamp(x[i] - price * cost(i), low_[i], high_[i]);
    return sum;
  }
  void shift(std::vector<double>& x, double price) const {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] -= price * cost(i);
  }
  /// The price at which the capacity is spent, by halving.
  double multiplier(const std::vector<double>& x) const {
    double low = 0, high = 0;  // prices at which all, and nothing, is wanted
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (!(cost(i) > 0)) continue;
      low = std::min(low, (x[i] - 1) / cost(i));
      high = std::max(high, x[i] / cost(i));
    }
    constexpr int kHalvings = 50;
    for (int k = 0; k < kHalvings; ++k) {
      const double middle = 0.5 * (low + high);
      (spent(x, middle) > constraint_.capacity ? low : high) = middle;
    }
    return 0.5 * (low + high);
  }

  const Constraint& constraint_;
  std::vector<double> low_, high_;
};

/// An estimate from below of the largest eigenvalue of F'F.
double curvature(const LowRankFactors& factors, std::size_t n) {
  constexpr int kSteps = 15;
  std::vector<double> x(n);
  for (std::size_t i = 0; i < n; ++i)
    x[i] = 1 + 0.5 * std::sin(static_cast<double>(i));  // in no special place
  double largest = 0;
  for (int k = 0; k < kSteps; ++k) {
    const double size = std::sqrt(sum_of_squares(x));
    if (!(size > 0)) return largest;
    for (double& value : x) value /= size;
    const std::vector<double> product = factors.times(x);
    largest = sum_of_squares(product);
    x.assign(n, 0.0);
    factors.add_transposed(product, x);
  }
  return largest;
}

}  // namespace

std::vector<double> relaxed_minimum(const Qubo& qubo, const Constraint& constraint, int steps, double share,
                                    const Deadline& deadline) {
  const double begun = deadline.elapsed();
  const double until = begun + share * std::max(0.0, deadline.seconds() - begun);
  constexpr double kSettled = 1e-5;  // no variable moves by more
  const std::size_t n = at_index(qubo.size());
  const LowRankFactors factors(qubo);
  const Projection project(constraint, n);
  double bend = curvature(factors, n);
  std::vector<double> x(n, 0.5);
  project(x);
  std::vector<double> y = x, product = factors.times(x), at_y = product;  // at_y: F y
  double momentum = 1;
  for (int k = 0; k < steps && bend > 0 && !deadline.expired() && deadline.elapsed() < until; ++k) {
    std::vector<double> gradient(qubo.linear().begin(), qubo.linear().end());
    factors.add_transposed(at_y, gradient);
    std::vector<double> next = y;
    for (std::size_t i = 0; i < n; ++i) next[i] -= gradient[i] / bend;
    project(next);
    const std::vector<double> next_product = factors.times(next);
    double moved = 0, curved = 0, uphill = 0, largest = 0;
    for (std::size_t r = 0; r < at_y.size(); ++r) curved += std::pow(next_product[r] - at_y[r], 2);
    for (std::size_t i = 0; i < n; ++i) {
      moved += std::pow(next[i] - y[i], 2);
      uphill += gradient[i] * (next[i] - x[i]);
      largest = std::max(largest, std::abs(next[i] - x[i]));
    }
    if (curved > bend * moved * (1 + 1e-9)) {  // the estimate was too low for this direction
      bend *= 1.5;
      continue;
    }
    if (uphill > 0) momentum = 1;
    const double before = momentum;
    momentum = 0.5 * (1 + std::sqrt(1 + 4 * before * before));
    const double further = uphill > 0 ? 0 : (before - 1) / momentum;
    for (std::size_t i = 0; i < n; ++i) y[i] = next[i] + further * (next[i] - x[i]);
    for (std::size_t r = 0; r < at_y.size(); ++r)
      at_y[r] = next_product[r] + further * (next_product[r] - product[r]);
    x = std::move(next);
    product = next_product;
    if (largest < kSettled && k > 10) break;
  }
  return x;
}

}  // namespace quboprune
