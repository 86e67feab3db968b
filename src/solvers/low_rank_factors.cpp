#include "solvers/low_rank_factors.h"

#include <cmath>

#include "core/index.h"

namespace quboprune {

LowRankFactors::LowRankFactors(const Qubo& qubo) : n_(at_index(qubo.size())) {
  for (const auto& term : qubo.low_rank()) {
    const double root = std::sqrt(term.scale);
    for (const float value : term.factor) values_.push_back(root * static_cast<double>(value));
  }
}

std::vector<double> LowRankFactors::times(const std::vector<double>& x) const {
  std::vector<double> result;
  for (std::size_t r = 0; r < rows(); ++r) {
    const double* row = values_.data() + r * n_;
    double sum = 0;
    for (std::size_t i = 0; i < n_; ++i) sum += row[i] * x[i];
    result.push_back(sum);
  }
  return result;
}

void LowRankFactors::add_transposed(const std::vector<double>& y, std::vector<double>& to) const {
  for (std::size_t r = 0; r < rows(); ++r) {
    const double* row = values_.data() + r * n_;
    for (std::size_t i = 0; i < n_; ++i) to[i] += y[r] * row[i];
  }
}

double sum_of_squares(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return sum;
}

}  // namespace quboprune
