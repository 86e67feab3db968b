#pragma once

#include <cstddef>
#include <vector>

#include "quboprune/qubo.h"

namespace quboprune {

/// The rows F of all low-rank terms of positive scale, times the roots of their scales: the terms together
/// are |F x|² / 2, also for real x.
class LowRankFactors {
 public:
  explicit LowRankFactors(const Qubo& qubo);

  std::size_t rows() const { return values_.size() / n_; }
  /// F x.
  std::vector<double> times(const std::vector<double>& x) const;
  /// Adds F' y.
  void add_transposed(const std::vector<double>& y, std::vector<double>& to) const;

 private:
  std::size_t n_;
  std::vector<double> values_;  // row by row
};

double sum_of_squares(const std::vector<double>& values);

}  // namespace quboprune
