#include "solvers/dominated.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/index.h"

namespace quboprune {
namespace {

/// What a variable adds to the energy lies between these, whatever the others are.
struct Range {
  double low, high;
};

std::vector<Range> ranges_of(const Qubo& qubo) {
  std::vector<Range> ranges;
  for (const double value : qubo.linear()) ranges.push_back({value, value});
  const auto add = [&](int i, double coupling) {
    ranges[at_index(i)].low += std::min(0.0, coupling);
    ranges[at_index(i)].high += std::max(0.0, coupling);
  };
  qubo.for_each_coupling([&](int i, int j, double value) {
    add(i, value);
    add(j, value);
  });
  for (const Qubo::LowRank& term : qubo.low_rank()) {
    const std::size_t n = ranges.size();
    for (std::size_t r = 0; r < at_index(term.rank); ++r) {
      const float* row = term.factor.data() + r * n;
      double sum = 0;
      for (std::size_t i = 0; i < n; ++i) sum += std::abs(static_cast<double>(row[i]));
      for (std::size_t i = 0; i < n; ++i) {
        const double own = std::abs(static_cast<double>(row[i]));
        const double most = std::abs(term.scale) * own * (sum - 0.5 * own);
        ranges[i].low -= most;
        ranges[i].high += most;
      }
    }
  }
  for (Range& range : ranges) {  // what rounding may have done
    const double slack = 1e-12 * (std::abs(range.low) + std::abs(range.high));
    range.low -= slack;
    range.high += slack;
  }
  return ranges;
}

/// With exactly so many ones a variable can only change places with another.
void decide_by_swaps(const std::vector<Range>& ranges, const std::vector<std::size_t>& free,
                     std::vector<std::int8_t>& values) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  // The two lowest and highest: a variable isn't compared with itself.
  double lowest[2] = {kInfinity, kInfinity}, highest[2] = {-kInfinity, -kInfinity};
  for (const std::size_t i : free) {
    double low = ranges[i].low, high = ranges[i].high;
    for (double& kept : lowest)
      if (low < kept) std::swap(low, kept);
    for (double& kept : highest)
      if (high > kept) std::swap(high, kept);
  }
  for (const std::size_t i : free) {
    if (ranges[i].high < (ranges[i].low == lowest[0] ? lowest[1] : lowest[0])) values[i] = 1;
    if (ranges[i].low > (ranges[i].high == highest[0] ? highest[1] : highest[0])) values[i] = 0;
  }
}

}  // namespace

std::vector<std::int8_t> dominated(const Qubo& qubo, const Constraint& constraint) {
  const auto n = at_index(qubo.size());
  std::vector<std::int8_t> values(n, -1);
  const bool exactly = constraint.kind == Constraint::Kind::exactly;
  if (!constraint.groups.empty() || (exactly && !constraint.costs.empty())) return values;
  std::vector<std::size_t> free;
  double ones = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (constraint.fixed.empty() || constraint.fixed[i] < 0)
      free.push_back(i);
    else
      ones += constraint.fixed[i];
  }
  const std::vector<Range> ranges = ranges_of(qubo);
  if (exactly) {
    const double room = constraint.capacity - ones;
    if (room >= 1 && room <= static_cast<double>(free.size()) - 1) decide_by_swaps(ranges, free, values);
    return values;
  }
  for (const std::size_t i : free) {
    if (ranges[i].low > 0) values[i] = 0;
    if (ranges[i].high < 0 && constraint.kind == Constraint::Kind::none) values[i] = 1;
  }
  return values;
}

}  // namespace quboprune
