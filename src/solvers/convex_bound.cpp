#include "solvers/convex_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "solvers/low_rank_factors.h"
#include "solvers/split_bound.h"

namespace quboprune {
namespace {

/// f(x) = offset + a'x + |F x|² / 2 for real x, and its gradient.
class Convex {
 public:
  Convex(const Qubo& qubo, const ReducedProblem& problem)
      : qubo_(qubo),
        factors_(qubo),
        variable_(problem.variable),
        x_(problem.fixed_values.begin(), problem.fixed_values.end()) {}

  void start(const std::vector<double>& x) {
    for (std::size_t p = 0; p < x.size(); ++p) x_[variable_[p]] = x[p];
    products_ = factors_.times(x_);
  }

  double value() const {
    double sum = qubo_.offset() + std::inner_product(x_.begin(), x_.end(), qubo_.linear().begin(), 0.0);
    return sum + sum_of_squares(products_) / 2;
  }

  /// By the problem's variables.
  std::vector<double> gradient() const {
    std::vector<double> whole(qubo_.linear().begin(), qubo_.linear().end());
    factors_.add_transposed(products_, whole);
    std::vector<double> result;
    for (const std::size_t i : variable_) result.push_back(whole[i]);
    return result;
  }

  /// Goes as far towards s, by the problem's variables, as f falls; `slope`: of f along the way, below 0.
  void move(const std::vector<double>& s, double slope) {
    std::vector<double> way(x_.size(), 0.0);
    for (std::size_t p = 0; p < s.size(); ++p) way[variable_[p]] = s[p] - x_[variable_[p]];
    const std::vector<double> along = factors_.times(way);
    const double bend = sum_of_squares(along);
    const double length = bend > 0 ? std::min(1.0, -slope / bend) : 1.0;
    for (std::size_t i = 0; i < x_.size(); ++i) x_[i] += length * way[i];
    for (std::size_t r = 0; r < along.size(); ++r) products_[r] += length * along[r];
  }

  double at(std::size_t p) const { return x_[variable_[p]]; }

 private:
  const Qubo& qubo_;
  const LowRankFactors factors_;
  const std::vector<std::size_t>& variable_;
  std::vector<double> x_;         // of the whole problem
  std::vector<double> products_;  // F x, row by row
};

}  // namespace

bool is_convex(const Qubo& qubo) {
  return qubo.pairs().empty() && qubo.dense_blocks().empty() && !qubo.low_rank().empty() &&
         std::all_of(qubo.low_rank().begin(), qubo.low_rank().end(),
                     [](const Qubo::LowRank& term) { return term.scale >= 0; });
}

double convex_bound(const Qubo& qubo, const ReducedProblem& problem, int steps, const Deadline& deadline) {
  double best = -std::numeric_limits<double>::infinity();
  if (!is_convex(qubo) || problem.size() == 0) return best;
  std::vector<std::size_t> all(problem.size()), order;
  std::iota(all.begin(), all.end(), std::size_t{0});
  const auto towards = [&](const std::vector<double>& values, std::vector<double>& place) {
    return relaxed_choice(problem, values.data(), all, problem.capacity, order, place.data());
  };
  std::vector<double> s(problem.size(), 0.0);
  if (!std::isfinite(towards(problem.linear, s))) return best;
  Convex f(qubo, problem);
  f.start(s);
  for (int k = 0; k < steps && !deadline.expired(); ++k) {
    const std::vector<double> gradient = f.gradient();
    double slope = towards(gradient, s);
    for (std::size_t p = 0; p < s.size(); ++p) slope -= gradient[p] * f.at(p);
    const double value = f.value();
    best = std::max(best, value + slope);
    if (!(slope < -problem.resolution()) || safe_bound(problem, best) >= value) break;
    f.move(s, slope);
  }
  return safe_bound(problem, best);
}

double spin_bound(const ReducedProblem& problem) {
  const std::size_t n = problem.size();
  double bound = problem.offset;
  for (std::size_t i = 0; i < n; ++i) {
    double field = problem.linear[i] / 2;
    bound += problem.linear[i] / 2;
    for (std::size_t j = 0; j < n; ++j) {
      if (j == i) continue;
      const double quarter = problem.coupling(i, j) / 4;
      field += quarter;
      bound += (quarter - std::abs(quarter)) / 2;  // each pair is met twice
    }
    bound -= std::abs(field);
  }
  return safe_bound(problem, bound);
}

}  // namespace quboprune
