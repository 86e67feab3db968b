#include "solvers/real_total.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "quboprune/error.h"
#include "solvers/elite_pool.h"
#include "solvers/small_problems.h"

namespace quboprune {
namespace {

double spent_on(const std::vector<double>& costs, const Mask& x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] != 0 ? costs[i] : 0;
  return sum;
}

/// Costs without a common unit, and the total of a selection of a third of them.
Constraint planted(int n, std::uint64_t seed) {
  Rng rng(seed);
  Constraint constraint{Constraint::Kind::exactly, 0, {}, {}};
  for (int i = 0; i < n; ++i) {
    constraint.costs.push_back(0.1 + rng.uniform());
    if (i % 3 == 0) constraint.capacity += constraint.costs.back();
  }
  return constraint;
}

RealTotal wanted_of(const Constraint& constraint, double more = 0) {
  const auto one_each = [](std::span<const std::size_t> flipped) {
    return static_cast<double>(flipped.size());
  };
  return {constraint.costs, constraint.capacity + more, cost_tolerance(constraint),
          std::vector<double>(constraint.costs.size(), 1.0), one_each};
}

/// Few enough for all selections to be looked at: the planted one is the only one, whatever the start.
TEST(RealTotal, FindsTheOnlySelection) {
  const Constraint constraint = planted(24, 1);
  const Control control;
  const Deadline deadline(60, control);
  for (std::uint64_t seed = 1; seed < 4; ++seed) {
    Rng rng(seed);
    Mask x(24), planted(24);
    for (std::size_t i = 0; i < 24; ++i) planted[i] = i % 3 == 0 ? 1 : 0;
    for (auto& value : x) value = static_cast<std::uint8_t>(rng.below(2));
    const int far = hamming_distance(x, planted);
    EXPECT_EQ(meet_total(wanted_of(constraint), x, rng, deadline), far) << "one for each flip";
    EXPECT_EQ(x, planted);
  }
  Rng rng(1);
  Mask x(24, 0);
  EXPECT_EQ(meet_total(wanted_of(constraint, 1e-8), x, rng, deadline),
            std::numeric_limits<double>::infinity());
}

TEST(RealTotal, MeetsATotalOfManyCosts) {
  for (const int n : {41, 60, 100, 1000}) {
    const Constraint constraint = planted(n, 2);
    const Control control;
    const Deadline deadline(60, control);
    Rng rng(3);
    Mask x(static_cast<std::size_t>(n), 1);
    const Mask given = x;
    const double change = meet_total(wanted_of(constraint), x, rng, deadline);
    EXPECT_EQ(change, hamming_distance(x, given)) << n;
    EXPECT_TRUE(feasible(constraint, x)) << n;
  }
}

/// With all solutions at hand: the best one is found and proved, also with fixed variables.
TEST(RealTotal, SolveFindsTheBestOfASmallProblem) {
  for (const bool fixed : {false, true}) {
    const Qubo qubo = random_qubo(18, 7, false);
    Constraint constraint = planted(18, 3);
    // Six costs that occur twice, so that several selections meet the total.
    for (std::size_t i = 0; i < 12; i += 2) constraint.costs[i] = constraint.costs[i + 1];
    constraint.capacity = 0;
    for (std::size_t i = 0; i < 18; i += 3) constraint.capacity += constraint.costs[i];
    if (fixed) {
      constraint.fixed.assign(18, -1);
      constraint.fixed[0] = 1;
      constraint.fixed[17] = 0;
    }
    const SolverResult result = solve(qubo, constraint, {.seconds = 5});
    EXPECT_TRUE(feasible(constraint, result.pool.front().x));
    EXPECT_NEAR(result.pool.front().energy, brute_force(qubo, constraint), 1e-9);
    EXPECT_TRUE(result.optimal);
  }
}

/// Whole costs whose table of sums would be too large take the same way.
TEST(RealTotal, SolveTakesLargeWholeCosts) {
  const Qubo qubo = random_qubo(200, 9, true);
  Constraint constraint{Constraint::Kind::exactly, 0, {}, {}};
  Rng rng(4);
  for (int i = 0; i < 200; ++i) {
    constraint.costs.push_back(1e6 + rng.below(7'000'000));
    if (i % 3 == 0) constraint.capacity += constraint.costs.back();
  }
  const SolverResult result = solve(qubo, constraint, {.seconds = 1});
  EXPECT_EQ(spent_on(constraint.costs, result.pool.front().x), constraint.capacity);
}

/// Many fixed ones whose costs all round up, and a small rest.
TEST(RealTotal, RoundingOfFixedOnesLeavesTheRestItsRoom) {
  const Qubo qubo = random_qubo(60, 2, true);
  Constraint constraint{Constraint::Kind::exactly, 0, {}, std::vector<std::int8_t>(60, -1)};
  Rng rng(8);
  for (std::size_t i = 0; i < 60; ++i) {
    constraint.costs.push_back(i < 25 ? 1.07 + 1e-9 * rng.uniform() : 0.9 + 0.1 * rng.uniform());
    if (i < 25) constraint.fixed[i] = 1;
    if (i < 27) constraint.capacity += constraint.costs.back();
  }
  const SolverResult result = solve(qubo, constraint, {.seconds = 2});
  EXPECT_TRUE(feasible(constraint, result.pool.front().x));
}

/// By rounding a hair below a multiple of the costs' unit.
TEST(RealTotal, ATotalMayBeOffByItsTolerance) {
  const Qubo qubo = random_qubo(30, 4, true);
  Constraint constraint{Constraint::Kind::exactly, 99.999999995, {}, {}};
  for (int i = 0; i < 30; ++i) constraint.costs.push_back(1 + i);
  EXPECT_EQ(spent_on(constraint.costs, solve(qubo, constraint, {.seconds = 0.5}).pool.front().x), 100);
}

TEST(RealTotal, SolveSaysWhereNoSelectionIsFound) {
  const Qubo qubo = random_qubo(20, 9, true);
  Constraint constraint = planted(20, 5);
  constraint.capacity *= 1 + 1e-9;
  EXPECT_THROW(solve(qubo, constraint, {.seconds = 0.2}), InputError);
}

}  // namespace
}  // namespace quboprune
