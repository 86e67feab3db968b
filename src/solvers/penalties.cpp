#include "solvers/penalties.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/index.h"

namespace quboprune {
namespace {

constexpr double kLow = 1.5;  ///< times what is needed: above it, and not so far that a search can't cross
constexpr double kTooLarge = 1e3;  ///< times the largest coefficient that is left

/// What setting each variable to 1 can bring at most.
std::vector<double> most_brought(const Qubo& qubo) {
  std::vector<double> most(qubo.linear().begin(), qubo.linear().end());
  for (double& value : most) value = -value;
  qubo.for_each_coupling([&](int i, int j, double b) {
    most[at_index(i)] -= std::min(0.0, b);
    most[at_index(j)] -= std::min(0.0, b);
  });
  return most;
}

}  // namespace

std::optional<Qubo> with_low_penalties(const Qubo& qubo, const std::vector<std::int8_t>& fixed) {
  if (!qubo.low_rank().empty()) return std::nullopt;
  double largest = 0, other = 0;  // positive coupling; what is no penalty
  for (const double value : qubo.linear()) other = std::max(other, std::abs(value));
  qubo.for_each_coupling([&](int, int, double b) {
    largest = std::max(largest, b);
    other = std::max(other, -b);
  });
  if (largest <= kTooLarge * other) return std::nullopt;
  std::vector<double> most = most_brought(qubo);
  for (std::size_t i = 0; i < fixed.size(); ++i)
    if (fixed[i] == 1) most[i] = std::numeric_limits<double>::infinity();  // can't be dropped
  const auto lowered = [&](int i, int j, double b) {
    const double needed = std::min(most[at_index(i)], most[at_index(j)]);
    return std::min(b, std::max(kLow * needed, other));  // not below the others, where any above 0 would do
  };
  double left = other;
  qubo.for_each_coupling([&](int i, int j, double b) { left = std::max(left, lowered(i, j, b)); });
  if (largest <= kTooLarge * left) return std::nullopt;
  Qubo result(qubo.size());
  result.add_offset(qubo.offset());
  for (int i = 0; i < qubo.size(); ++i) result.add_linear(i, qubo.linear()[at_index(i)]);
  for (const auto& pair : qubo.pairs()) result.add_pair(pair.i, pair.j, lowered(pair.i, pair.j, pair.value));
  for (Qubo::DenseBlock block : qubo.dense_blocks()) {
    const std::size_t m = block.variables.size();
    for (std::size_t a = 0; a < m; ++a)
      for (std::size_t b = 0; b < m; ++b)
        if (a != b)
          block.values[a * m + b] = lowered(block.variables[a], block.variables[b], block.values[a * m + b]);
    result.add_dense_block(std::move(block));
  }
  return result;
}

}  // namespace quboprune
