#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "quboprune/error.h"
#include "quboprune/solver.h"
#include "solvers/knapsack_tabu.h"
#include "solvers/reduced_problem.h"
#include "solvers/small_problems.h"

namespace quboprune {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(EdgeCases, ALimitThatLimitsNothingIsNone) {
  for (const bool coupled : {false, true}) {
    Qubo qubo(3);
    for (int i = 0; i < 3; ++i) qubo.add_linear(i, i < 2 ? -1 - i : 3);
    if (coupled) qubo.add_pair(1, 2, -4);
    for (const double capacity : {3.0, 2147483648.0, 1e30, kInfinity}) {
      const SolverResult result = solve(qubo, {Constraint::Kind::at_most, capacity, {}, {}}, {.seconds = 1});
      EXPECT_EQ(result.pool.front().energy, coupled ? -4 : -3) << capacity;
      EXPECT_TRUE(result.optimal);
    }
    const SolverResult dear = solve(qubo, {Constraint::Kind::at_most, 1e300, {1, 2, 3}, {}}, {.seconds = 1});
    EXPECT_EQ(dear.pool.front().energy, coupled ? -4 : -3);
  }
}

TEST(EdgeCases, TimeWithoutEndIsEndedByMoves) {
  for (const bool whole : {true, false}) {
    const Qubo qubo = random_qubo(150, 4, whole);
    const Constraint constraint{Constraint::Kind::exactly, 50, {}, {}};
    const auto solved = [&](double seconds) {
      return solve(qubo, constraint, {.seconds = seconds, .max_moves = 20000});
    };
    const SolverResult endless = solved(kInfinity);
    EXPECT_EQ(endless.reason, "moves");
    EXPECT_EQ(endless.pool.front().energy, solved(1000).pool.front().energy);
  }
}

/// Whichever worker reaches it, in its turn or not.
TEST(EdgeCases, AReachedTargetIsTheReason) {
  const Qubo qubo = random_qubo(300, 6, true);
  const Constraint constraint{Constraint::Kind::exactly, 100, {}, {}};
  const double best = solve(qubo, constraint, {.seconds = 100, .max_moves = 300000}).pool.front().energy;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const SolverResult result =
        solve(qubo, constraint, {.seconds = 100, .seed = seed, .threads = 4, .target_energy = best});
    EXPECT_EQ(result.reason, "target") << seed;
    EXPECT_LE(result.pool.front().energy, best);
  }
}

/// Whatever a worker throws, also what the caller's function throws in it, comes out of solve().
TEST(EdgeCases, ExceptionsOfWorkersComeOut) {
  const Qubo qubo = random_qubo(200, 3, true);
  for (const int threads : {1, 2, 3}) {
    Control control;
    control.progress = [](std::string_view, double, double, double) { throw std::runtime_error("told"); };
    EXPECT_THROW(solve(qubo, {}, {.seconds = 5, .threads = threads}, control), std::runtime_error);
    Constraint odd{Constraint::Kind::exactly, 1e9 + 1, {}, {}};
    for (int i = 0; i < 200; ++i) odd.costs.push_back(1e7 + 2 * i);
    EXPECT_THROW(solve(qubo, odd, {.seconds = 1, .threads = threads}), InputError) << "all costs are even";
  }
}

/// One coefficient is so large that, beside it, the grid of the search and double's rounding hide the others.
TEST(EdgeCases, ADominatedVariableHidesNothing) {
  for (const int count : {0, 7}) {
    Qubo small = random_qubo(16, 5, false);
    Qubo qubo = small;
    qubo.add_linear(0, -1e10);
    Constraint constraint{count > 0 ? Constraint::Kind::exactly : Constraint::Kind::none,
                          static_cast<double>(count),
                          {},
                          std::vector<std::int8_t>(16, -1)};
    Constraint with = constraint;
    with.fixed[0] = 1;
    const SolverResult result = solve(qubo, constraint, {.seconds = 3, .bound = true});
    EXPECT_EQ(result.pool.front().x[0], 1);
    EXPECT_TRUE(result.optimal);
    EXPECT_EQ(result.persistent[0], 1);
    EXPECT_NEAR(small.energy(result.pool.front().x), brute_force(small, with), 1e-5)
        << "double holds so much of 1e10";
  }
}

TEST(EdgeCases, AnOffsetProvesNothing) {
  Qubo qubo = random_qubo(40, 6, false);
  Qubo moved = qubo;
  moved.add_offset(1e12);
  // 1e-15 of the offset for rounding, times four: in tenths of the coefficients, which are up to 1/2.
  EXPECT_LT(ReducedProblem(moved, {}).resolution(), 0.01);
  const double alone = solve(qubo, {}, {.seconds = 3, .bound = true}).pool.front().energy;
  qubo.add_offset(1e12);
  const SolverResult result = solve(qubo, {}, {.seconds = 3, .bound = true});
  EXPECT_NEAR(result.pool.front().energy - 1e12, alone, 1e-3) << "double holds so much of 1e12";
}

TEST(EdgeCases, ThePoolHoldsAllSolutionsWhereThereAreNoMore) {
  for (const double capacity : {1.0, 2.0}) {
    const Qubo qubo = random_qubo(5, 9, true);
    const Constraint constraint{Constraint::Kind::exactly, capacity, {}, {}};
    const auto all = all_solutions(qubo, constraint);
    const SolverResult result = solve(qubo, constraint, {.seconds = 1, .pool_size = 20});
    EXPECT_EQ(result.pool.size(), all.size());
  }
}

TEST(EdgeCases, DecimalAndLargeCostsAreSpentExactly) {
  const Qubo qubo = random_qubo(4, 2, true);
  for (const double unit : {0.1, 0.125, 1.0, 1e9}) {
    const Constraint constraint{
        Constraint::Kind::exactly, 6 * unit, {unit, 2 * unit, 3 * unit, 4 * unit}, {}};
    const SolverResult result = solve(qubo, constraint, {.seconds = 1});
    const Constraint whole{Constraint::Kind::exactly, 6, {1, 2, 3, 4}, {}};
    EXPECT_EQ(result.pool.front().energy, brute_force(qubo, whole)) << unit;
  }
  const Constraint odd{Constraint::Kind::exactly, 5, {2, 4, 6, 2}, {}};
  EXPECT_THROW(solve(qubo, odd, {.seconds = 1}), InputError);
}

TEST(IntegerCosts, WhatFitsExactlyFits) {
  // Their sum exceeds 31 bits, but for a common divisor.
  const Constraint macs{Constraint::Kind::at_most,
                        6 * 9216.0 * 65536,
                        {9216.0 * 65536, 2 * 9216.0 * 65536, 3 * 9216.0 * 65536},
                        {}};
  const IntegerCosts costs(macs, 3);
  EXPECT_EQ(costs.costs, (std::vector<std::int32_t>{1, 2, 3}));
  EXPECT_EQ(costs.capacity, 6);
  const IntegerCosts rounded({Constraint::Kind::at_most, 2, {std::sqrt(2), 1, 1}, {}}, 3);
  EXPECT_EQ(rounded.unit, 0);
  EXPECT_LE(static_cast<double>(rounded.costs[0]) / static_cast<double>(rounded.capacity), std::sqrt(2) / 2);
}

TEST(EdgeCases, WhatACountDecidesNeedsNoSearch) {
  const Qubo qubo = random_qubo(200, 1, false);
  for (const double count : {0.0, 200.0}) {
    const SolverResult result = solve(qubo, {Constraint::Kind::exactly, count, {}, {}}, {.seconds = 60});
    EXPECT_TRUE(result.optimal);
    EXPECT_EQ(result.moves, 0);
    EXPECT_EQ(kept_count(result.pool.front().x), count);
    EXPECT_EQ(result.bound, result.pool.front().energy);
  }
}

TEST(EdgeCases, ThePoolHoldsWhatNoOptimumHas) {
  Qubo qubo(3);  // each variable is worth having whatever the others do
  for (int i = 0; i < 3; ++i) qubo.add_linear(i, -(1 << i));
  qubo.add_pair(0, 1, 0.5);
  const SolverResult result = solve(qubo, {}, {.seconds = 1, .pool_size = 8});
  EXPECT_TRUE(result.optimal);
  ASSERT_EQ(result.pool.size(), 8U);
  EXPECT_EQ(result.pool[0].energy, -6.5);
  EXPECT_EQ(result.pool[1].energy, -6);
  EXPECT_EQ(result.pool[7].energy, 0);
}

TEST(EdgeCases, NonsenseIsRefused) {
  const Qubo qubo = random_qubo(4, 1, true);
  EXPECT_THROW(solve(qubo, {Constraint::Kind::none, 0, {}, {2, 0, 0, 0}}, {}), InputError);
  EXPECT_THROW(solve(qubo, {Constraint::Kind::at_most, -kInfinity, {}, {}}, {.seconds = 0.1}), InputError);
  Qubo huge(4);
  huge.add_low_rank({1, 1e250, std::vector<float>(4, 3e38F)});
  EXPECT_THROW(solve(huge, {Constraint::Kind::exactly, 2, {}, {}}, {.seconds = 0.1}), InputError);
  EXPECT_THROW(solve(qubo, {}, {.pool_distance = 0}), InputError);
  EXPECT_THROW(solve(qubo, {}, {.threads = 100000}), InputError);
  EXPECT_THROW(solve(qubo, {}, {.max_moves = -1}), InputError);
}

/// Costs over twelve decades, and values and costs whose products leave double's range: bounds and what they
/// decide still hold.
TEST(EdgeCases, BoundsHoldWhateverTheCostsScale) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Rng rng(seed);
    const Qubo small = random_qubo(9, seed, false);
    const bool vast = seed % 3 == 0;
    Qubo qubo(9);
    for (int i = 0; i < 9; ++i)
      qubo.add_linear(i, (vast ? 1e80 : 1) * small.linear()[static_cast<std::size_t>(i)]);
    for (const Qubo::Pair& pair : small.pairs())
      qubo.add_pair(pair.i, pair.j, (vast ? 1e80 : 1) * pair.value);
    Constraint constraint{seed % 2 == 0 ? Constraint::Kind::exactly : Constraint::Kind::at_most, 0, {}, {}};
    for (int i = 0; i < 9; ++i) {
      constraint.costs.push_back((vast ? 1e90 : 7e6) * std::pow(10, -12 * rng.uniform()));
      if (rng.below(2) == 0) constraint.capacity += constraint.costs.back();
    }
    const SolverResult result = solve(qubo, constraint, {.seconds = 0.2, .bound = true});
    const std::vector<Solution> all = all_solutions(qubo, constraint);
    const Solution best = *std::ranges::min_element(all, {}, &Solution::energy);
    const double rounding = 1e-9 * (vast ? 1e80 : 1);
    EXPECT_LE(result.bound, best.energy + rounding) << seed;
    if (result.optimal) {
      EXPECT_NEAR(result.pool.front().energy, best.energy, rounding) << seed;
    }
    for (const Solution& solution : all) {
      if (solution.energy > best.energy + rounding) continue;
      for (std::size_t i = 0; i < result.persistent.size(); ++i)
        EXPECT_TRUE(result.persistent[i] < 0 || result.persistent[i] == solution.x[i]) << seed << ", " << i;
    }
  }
}

TEST(EdgeCases, NothingMayBeSpent) {
  Qubo qubo = random_qubo(8, 3, true);
  for (int i = 0; i < 8; ++i) qubo.add_linear(i, -300);
  for (const auto kind : {Constraint::Kind::exactly, Constraint::Kind::at_most}) {
    const Constraint constraint{kind, 0, {1e-19, 1e17, 0, 3, 0, 1e-300, 2, 1}, {}};
    EXPECT_EQ(solve(qubo, constraint, {.seconds = 0.2}).pool.front().x, (Mask{0, 0, 1, 0, 1, 0, 0, 0}));
  }
  const Constraint spent{
      Constraint::Kind::at_most, 0, std::vector<double>(8, 1e-10), {-1, 1, -1, -1, -1, -1, -1, -1}};
  EXPECT_THROW(solve(qubo, spent, {.seconds = 0.2}), InputError) << "one that costs something is fixed to 1";
  const Constraint tiny{Constraint::Kind::at_most, 1e-300, std::vector<double>(8, 1e-300), {}};
  EXPECT_THROW(solve(qubo, tiny, {.seconds = 0.2}), InputError);
}

}  // namespace
}  // namespace quboprune
