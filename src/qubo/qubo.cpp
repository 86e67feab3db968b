#include "quboprune/qubo.h"

#include <algorithm>
#include <cmath>

#include "quboprune/error.h"

namespace quboprune {
namespace {

std::string variable_range(int i, int n) {
  return "variable " + std::to_string(i) + " is outside 0.." + std::to_string(n - 1) +
         ": use indices of the problem's own variables";
}

void require_finite(double value, const char* what) {
  if (!std::isfinite(value))
    throw InputError(std::string(what) + " is not a finite number: correct it or leave it out");
}

double block_energy(const Qubo::DenseBlock& block, const Mask& x) {
  const std::size_t m = block.variables.size();
  std::vector<std::size_t> on;
  for (std::size_t p = 0; p < m; ++p)
    if (x[static_cast<std::size_t>(block.variables[p])] != 0) on.push_back(p);
  double sum = 0;
  for (std::size_t p = 0; p < on.size(); ++p)
    for (std::size_t q = p + 1; q < on.size(); ++q) sum += block.values[on[p] * m + on[q]];
  return sum;
}

double low_rank_energy(const Qubo::LowRank& term, const Mask& x) {
  const std::size_t n = x.size();
  double sum = 0;
  for (int r = 0; r < term.rank; ++r) {
    const float* row = term.factor.data() + static_cast<std::size_t>(r) * n;
    double product = 0;
    for (std::size_t i = 0; i < n; ++i)
      if (x[i] != 0) product += static_cast<double>(row[i]);
    sum += product * product;
  }
  return 0.5 * term.scale * sum;
}

/// With F x = r: s F_i·r, and s/2 |F_i|² more or less as x_i is in r or not.
void add_low_rank_slopes(const Qubo::LowRank& term, const Mask& x, std::vector<double>& slopes) {
  const std::size_t n = x.size();
  for (int r = 0; r < term.rank; ++r) {
    const float* row = term.factor.data() + static_cast<std::size_t>(r) * n;
    double product = 0;
    for (std::size_t i = 0; i < n; ++i)
      if (x[i] != 0) product += static_cast<double>(row[i]);
    for (std::size_t i = 0; i < n; ++i) {
      const auto entry = static_cast<double>(row[i]);
      slopes[i] += term.scale * entry * (product + (x[i] != 0 ? -0.5 : 0.5) * entry);
    }
  }
}

void add_low_rank_dense(const Qubo::LowRank& term, std::size_t n, std::vector<double>& couplings,
                        std::vector<double>& diagonal) {
  for (int r = 0; r < term.rank; ++r) {
    const float* row = term.factor.data() + static_cast<std::size_t>(r) * n;
    for (std::size_t i = 0; i < n; ++i) {
      const double scaled = term.scale * static_cast<double>(row[i]);
      if (scaled == 0) continue;
      diagonal[i] += 0.5 * scaled * static_cast<double>(row[i]);
      for (std::size_t j = i + 1; j < n; ++j) couplings[i * n + j] += scaled * static_cast<double>(row[j]);
    }
  }
}

}  // namespace

Qubo::Qubo(int variables) {
  if (variables < 1)
    throw InputError("a QUBO of " + std::to_string(variables) + " variables: at least 1 is needed");
  linear_.assign(static_cast<std::size_t>(variables), 0.0);
}

void Qubo::add_offset(double value) {
  require_finite(value, "an offset");
  offset_ += value;
}

void Qubo::add_linear(int i, double value) {
  if (i < 0 || i >= size()) throw InputError(variable_range(i, size()));
  require_finite(value, "a linear coefficient");
  linear_[static_cast<std::size_t>(i)] += value;
}

void Qubo::add_pair(int i, int j, double value) {
  if (i < 0 || i >= size()) throw InputError(variable_range(i, size()));
  if (j < 0 || j >= size()) throw InputError(variable_range(j, size()));
  if (i == j)
    throw InputError("a coupling of variable " + std::to_string(i) +
                     " with itself: use its linear coefficient");
  require_finite(value, "a coupling");
  pairs_.push_back({std::min(i, j), std::max(i, j), value});
}

void Qubo::add_dense_block(DenseBlock block) {
  const std::size_t m = block.variables.size();
  if (block.values.size() != m * m)
    throw InputError("a dense block of " + std::to_string(m) + " variables has " +
                     std::to_string(block.values.size()) + " values: it needs the square");
  std::vector<std::uint8_t> seen(linear_.size(), 0);
  for (int i : block.variables) {
    if (i < 0 || i >= size()) throw InputError(variable_range(i, size()));
    if (seen[static_cast<std::size_t>(i)]++ != 0)
      throw InputError("a dense block names variable " + std::to_string(i) + " twice: merge the two");
  }
  double largest = 0;
  for (double value : block.values) {
    require_finite(value, "a coupling of a dense block");
    largest = std::max(largest, std::abs(value));
  }
  for (std::size_t p = 0; p < m; ++p)
    for (std::size_t q = p + 1; q < m; ++q) {
      // Callers may compute both halves separately in float; beyond its rounding it is a mistake.
      if (std::abs(block.values[p * m + q] - block.values[q * m + p]) > 1e-4 * largest)
        throw InputError("a dense block is not symmetric at (" + std::to_string(p) + ", " +
                         std::to_string(q) + "): give b_ij in both places");
      block.values[q * m + p] = block.values[p * m + q];
    }
  dense_blocks_.push_back(std::move(block));
}

void Qubo::add_low_rank(LowRank term) {
  if (term.rank < 0 || term.factor.size() != static_cast<std::size_t>(term.rank) * linear_.size())
    throw InputError("a low-rank term of rank " + std::to_string(term.rank) + " has " +
                     std::to_string(term.factor.size()) + " entries: it needs rank times " +
                     std::to_string(size()));
  require_finite(term.scale, "the scale of a low-rank term");
  for (float value : term.factor) require_finite(static_cast<double>(value), "a low-rank factor's entry");
  if (term.rank > 0) low_rank_.push_back(std::move(term));
}

void Qubo::require_fitting(const Mask& x) const {
  if (x.size() != linear_.size())
    throw InputError("a mask of " + std::to_string(x.size()) + " entries for a QUBO of " +
                     std::to_string(size()) + " variables: the sizes must agree");
}

double Qubo::energy(const Mask& x) const {
  require_fitting(x);
  double sum = offset_;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i] != 0) sum += linear_[i];
  for (const Pair& pair : pairs_)
    if (x[static_cast<std::size_t>(pair.i)] != 0 && x[static_cast<std::size_t>(pair.j)] != 0)
      sum += pair.value;
  for (const DenseBlock& block : dense_blocks_) sum += block_energy(block, x);
  for (const LowRank& term : low_rank_) sum += low_rank_energy(term, x);
  return sum;
}

std::vector<double> Qubo::slopes(const Mask& x) const {
  require_fitting(x);
  std::vector<double> result(linear_.begin(), linear_.end());
  const auto index = [](int i) { return static_cast<std::size_t>(i); };
  for (const Pair& pair : pairs_) {
    if (x[index(pair.j)] != 0) result[index(pair.i)] += pair.value;
    if (x[index(pair.i)] != 0) result[index(pair.j)] += pair.value;
  }
  for (const DenseBlock& block : dense_blocks_) {
    const std::size_t m = block.variables.size();
    for (std::size_t p = 0; p < m; ++p) {
      for (std::size_t q = 0; q < m; ++q) {
        if (p != q && x[index(block.variables[q])] != 0)
          result[index(block.variables[p])] += block.values[p * m + q];
      }
    }
  }
  for (const LowRank& term : low_rank_) add_low_rank_slopes(term, x, result);
  return result;
}

void Qubo::to_dense(std::vector<double>& couplings, std::vector<double>& diagonal) const {
  const std::size_t n = linear_.size();
  couplings.assign(n * n, 0.0);
  diagonal.assign(linear_.begin(), linear_.end());
  for_each_coupling([&](int i, int j, double value) {
    couplings[static_cast<std::size_t>(std::min(i, j)) * n + static_cast<std::size_t>(std::max(i, j))] +=
        value;
  });
  for (const LowRank& term : low_rank_) add_low_rank_dense(term, n, couplings, diagonal);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) couplings[j * n + i] = couplings[i * n + j];
}

}  // namespace quboprune
