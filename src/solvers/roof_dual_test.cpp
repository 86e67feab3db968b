#include "solvers/roof_dual.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "quboprune/random.h"
#include "quboprune/solver.h"
#include "solvers/small_problems.h"

namespace quboprune {
namespace {

/// Each variable coupled with some others: what the roof dual is for.
Qubo sparse_qubo(int n, int degree, std::uint64_t seed, bool whole) {
  Rng rng(seed);
  const auto draw = [&] { return whole ? static_cast<double>(rng.below(21)) - 10 : rng.uniform() - 0.5; };
  Qubo qubo(n);
  qubo.add_offset(whole ? 3 : 0.1);
  for (int i = 0; i < n; ++i) qubo.add_linear(i, draw());
  for (int k = 0; k < n * degree / 2; ++k) {
    const int i = static_cast<int>(rng.below(static_cast<std::uint32_t>(n)));
    const int j = static_cast<int>(rng.below(static_cast<std::uint32_t>(n)));
    if (i != j) qubo.add_pair(std::min(i, j), std::max(i, j), draw());
  }
  return qubo;
}

TEST(RoofDual, IsThatOfHammerHansenAndSimeone) {
  Qubo qubo(2);  // -x - y + 2xy: both relaxed variables at one half say no more than -1, which is the minimum
  qubo.add_linear(0, -1);
  qubo.add_linear(1, -1);
  qubo.add_pair(0, 1, 2);
  const RoofDual roof = roof_dual(qubo, {});
  EXPECT_EQ(roof.bound, -1);
  EXPECT_EQ(roof.persistent, (std::vector<std::int8_t>{-1, -1}));
  Qubo triangle(3);  // a frustrated one: the least is -1, the roof dual -3/2, whole energies above it
  for (int i = 0; i < 3; ++i) {
    triangle.add_linear(i, -1);
    triangle.add_pair(i, (i + 1) % 3, 1);
  }
  EXPECT_EQ(roof_dual(triangle, {}).bound, -1);
  triangle.add_offset(0.25);
  EXPECT_NEAR(roof_dual(triangle, {}).bound, -1.25, 1e-12);
}

TEST(RoofDual, IsBelowAllEnergiesAndWhatItDecidesIsSoInEveryOptimum) {
  int decided = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const bool whole = seed % 2 == 0;
    const Qubo qubo = sparse_qubo(12, 2 + static_cast<int>(seed % 4), seed, whole);
    Constraint constraint;
    if (seed % 3 == 0) {
      constraint.fixed.assign(12, -1);
      constraint.fixed[2] = 1;
      constraint.fixed[7] = 0;
    }
    const RoofDual roof = roof_dual(qubo, constraint);
    const double best = brute_force(qubo, constraint);
    EXPECT_LE(roof.bound, best);
    for (const Solution& solution : all_solutions(qubo, constraint)) {
      if (solution.energy > best + 1e-12) continue;  // sums of some forty numbers of at most 10
      for (std::size_t i = 0; i < 12; ++i)
        EXPECT_TRUE(roof.persistent[i] < 0 || roof.persistent[i] == solution.x[i]) << seed << " " << i;
    }
    for (const std::int8_t value : roof.persistent) decided += value >= 0 ? 1 : 0;
  }
  EXPECT_GT(decided, 300);  // of 720
}

TEST(RoofDual, SaysNothingUnderAConstraint) {
  const Qubo qubo = sparse_qubo(12, 2, 1, true);
  for (const Constraint& constraint : constraints_for(12)) {
    if (constraint.kind == Constraint::Kind::none && constraint.groups.empty()) continue;
    const RoofDual roof = roof_dual(qubo, constraint);
    EXPECT_FALSE(std::isfinite(roof.bound));
    EXPECT_EQ(roof.persistent, std::vector<std::int8_t>(12, -1));
  }
}

TEST(RoofDual, ProvesLargeSparseProblems) {
  const SolverResult result = solve(sparse_qubo(3000, 2, 5, true), {}, {.seconds = 20, .bound = true});
  EXPECT_TRUE(result.optimal);
  EXPECT_EQ(result.bound, result.pool.front().energy);
  EXPECT_GT(std::ranges::count_if(result.persistent, [](auto value) { return value >= 0; }), 2500);
}

}  // namespace
}  // namespace quboprune
