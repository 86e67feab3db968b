#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "quboprune/error.h"
#include "quboprune/random.h"
#include "quboprune/solver.h"
#include "solvers/small_problems.h"

namespace quboprune {
namespace {

TEST(Solve, FindsTheBestOfSmallProblems) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Qubo qubo = random_qubo(12, seed, false);
    std::vector<Constraint> constraints(5);
    constraints[1] = {Constraint::Kind::exactly, 5, {}, {}};
    constraints[2] = {Constraint::Kind::at_most, 3, {}, {}};
    constraints[3] = {Constraint::Kind::exactly, 6, {}, std::vector<std::int8_t>(12, -1)};
    constraints[3].fixed[2] = 1;
    constraints[3].fixed[7] = 0;
    constraints[4] = {Constraint::Kind::at_most, 11, {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}, {}};
    for (const Constraint& constraint : constraints) {
      const SolverResult result = solve(qubo, constraint, {.seconds = 5, .max_moves = 4000, .seed = seed});
      ASSERT_EQ(result.pool.size(), 1U);
      EXPECT_NEAR(result.pool[0].energy, brute_force(qubo, constraint), 1e-9);
      EXPECT_NEAR(qubo.energy(result.pool[0].x), result.pool[0].energy, 1e-12);
    }
  }
}

/// Sparse and whole; or with every kind of term, whose couplings are real.
Qubo structured_qubo(int n, bool whole) {
  Rng rng(8);
  Qubo qubo(n);
  for (int i = 0; i < n; ++i) {
    qubo.add_linear(i, static_cast<double>(rng.below(9)) - 4);
    for (int e = 0; e < 3; ++e) {
      const int j = static_cast<int>(rng.below(static_cast<std::uint32_t>(n)));
      if (j != i) qubo.add_pair(i, j, static_cast<double>(rng.below(9)) - 4);
    }
  }
  if (whole) return qubo;
  Qubo::DenseBlock block{{0, 5, 2, 7}, std::vector<double>(16, 0.75)};
  for (std::size_t p = 0; p < 4; ++p) block.values[p * 5] = 0;
  qubo.add_dense_block(block);
  for (const double scale : {0.5, -0.25}) {
    Qubo::LowRank term{3, scale, {}};
    for (int k = 0; k < 3 * n; ++k) term.factor.push_back(static_cast<float>(rng.uniform() - 0.5));
    qubo.add_low_rank(term);
  }
  return qubo;
}

TEST(Solve, AnnealingFindsTheBestOfSmallStructuredProblems) {
  for (const bool whole : {true, false}) {
    const Qubo qubo = structured_qubo(12, whole);
    std::vector<Constraint> constraints(4);
    constraints[1] = {Constraint::Kind::exactly, 5, {}, {}};
    constraints[2] = {Constraint::Kind::at_most, 3, {}, {}};
    constraints[3] = {Constraint::Kind::exactly, 6, {}, std::vector<std::int8_t>(12, -1)};
    constraints[3].fixed[2] = 1;
    constraints[3].fixed[7] = 0;
    for (const Constraint& constraint : constraints) {
      const SolverResult result =
          solve(qubo, constraint, {.method = "anneal", .seconds = 5, .max_moves = 20000});
      EXPECT_NEAR(result.pool[0].energy, brute_force(qubo, constraint), 1e-5);
    }
  }
}

std::vector<Constraint> constraints_with_groups() {
  const std::vector<Constraint::Group> exact = {{{0, 3, 5, 8}, 2, 2}, {{1, 2, 4}, 1, 1}};
  const std::vector<Constraint::Group> ranges = {{{0, 1, 2, 3}, 1, 2}, {{4, 5, 6, 7, 8}, 3, 5}};
  std::vector<std::int8_t> fixed(12, -1);
  fixed[3] = 1;
  fixed[4] = 0;
  using Kind = Constraint::Kind;
  return {{Kind::none, 0, {}, {}, exact},
          {Kind::none, 0, {}, fixed, exact},
          {Kind::none, 0, {}, fixed, ranges},
          {Kind::exactly, 6, {}, {}, exact},
          {Kind::at_most, 4, {}, fixed, exact}};
}

/// Whole numbers, all coupled.
Qubo dense(int n, std::uint64_t seed) {
  Rng rng(seed);
  Qubo qubo(n);
  Qubo::DenseBlock block;
  block.values.assign(static_cast<std::size_t>(n) * static_cast<std::size_t>(n), 0);
  for (int i = 0; i < n; ++i) {
    block.variables.push_back(i);
    qubo.add_linear(i, static_cast<int>(rng.below(201)) - 100);
    for (int j = 0; j < i; ++j) {
      const auto at = [&](int a, int b) -> double& {
        return block
            .values[static_cast<std::size_t>(a) * static_cast<std::size_t>(n) + static_cast<std::size_t>(b)];
      };
      at(i, j) = at(j, i) = static_cast<int>(rng.below(201)) - 100;
    }
  }
  qubo.add_dense_block(std::move(block));
  return qubo;
}

TEST(Solve, LargePenaltiesHideNothingElse) {
  std::vector<double> energies;
  for (const double penalty : {1e5, 1e9, 1e13}) {
    Qubo qubo = dense(70, 3);
    for (int i = 0; i + 1 < 70; i += 2) qubo.add_pair(i, i + 1, penalty);
    SolverOptions options;
    options.max_moves = 200'000;
    energies.push_back(solve(qubo, {}, options).pool.front().energy);
  }
  EXPECT_EQ(energies[1], energies[0]);
  EXPECT_NEAR(energies[2], energies[0], 1e-3) << "a double holds no more beside 1e13";
}

TEST(Solve, WhatOnlyTheGridReachesIsNoTarget) {
  Qubo qubo(3);
  qubo.add_pair(0, 1, 888613275.0);
  qubo.add_pair(0, 2, 1.0);
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SolverOptions options{.method = "tabu", .seconds = 1, .seed = seed};
    options.bound = true;
    const SolverResult result = solve(qubo, {}, options);
    EXPECT_EQ(result.pool.front().energy, 0) << seed;
    EXPECT_NE(result.reason, "target");
  }
}

TEST(Solve, EndsWhereNoSwapPays) {
  Rng rng(5);
  const int n = 480, blocks = 16, each = n / blocks, count = 300;
  Qubo qubo(n);
  for (int i = 0; i < n; ++i) qubo.add_linear(i, -std::exp(3 * (rng.uniform() + rng.uniform() - 1)));
  for (int b = 0; b < blocks; ++b)
    for (int i = 0; i < each; ++i)
      for (int j = 0; j < i; ++j)
        qubo.add_pair(b * each + i, b * each + j, 0.3 * rng.uniform() * rng.uniform() * rng.uniform());
  for (const char* method : {"anneal", "tabu"}) {
    SolverOptions options{.method = method};
    options.max_moves = 3000;
    Mask x = solve(qubo, {Constraint::Kind::exactly, count, {}, {}}, options).pool.front().x;
    const double energy = qubo.energy(x);
    for (std::size_t i = 0; i < x.size(); ++i)
      for (std::size_t j = 0; j < x.size() && x[i] != 0; ++j) {
        if (x[j] != 0) continue;
        std::swap(x[i], x[j]);
        EXPECT_GE(qubo.energy(x), energy - 1e-9);
        std::swap(x[i], x[j]);
      }
  }
}

TEST(Solve, AnnealingEndsColdHoweverFewMovesItHas) {
  const Qubo qubo = dense(300, 7);
  Constraint constraint;
  for (int g = 0; g < 30; ++g) {
    Constraint::Group group{{}, 1, 3};
    for (int i = 0; i < 10; ++i) group.variables.push_back(10 * g + i);
    constraint.groups.push_back(group);
  }
  const auto after = [&](std::int64_t moves) {
    SolverOptions options;
    options.max_moves = moves;
    return solve(qubo, constraint, options).pool.front().energy;
  };
  EXPECT_LT(after(5'000), 0.95 * after(500'000));  // both below 0
}

TEST(BestFirst, SortsAndLeavesOutRepetitions) {
  std::vector<Solution> pool{{{1, 0, 1}, 2}, {{0, 1, 1}, 1}, {{1, 0, 1}, 2}, {{1, 1, 0}, 1}};
  best_first(pool);
  ASSERT_EQ(pool.size(), 3U);
  EXPECT_EQ(pool[0].x, (Mask{0, 1, 1}));
  EXPECT_EQ(pool[1].x, (Mask{1, 1, 0}));
  EXPECT_EQ(pool[2].x, (Mask{1, 0, 1}));
}

TEST(Solve, GroupsKeepTheirOwnCounts) {
  for (const bool whole : {true, false}) {
    const Qubo qubo = structured_qubo(12, whole);
    for (const Constraint& constraint : constraints_with_groups()) {
      const double best = brute_force(qubo, constraint);
      const SolverResult searched =
          solve(qubo, constraint, {.method = "anneal", .seconds = 5, .max_moves = 20000});
      EXPECT_NEAR(searched.pool[0].energy, best, 1e-5);
      const SolverResult proven =
          solve(qubo, constraint, {.method = "exact", .seconds = 20, .max_moves = 10});
      EXPECT_TRUE(proven.optimal);
      EXPECT_NEAR(proven.pool[0].energy, best, 1e-9);
      EXPECT_LE(proven.bound, best + 1e-9);
    }
  }
}

TEST(Solve, GroupsThatAreNoPartitionAreRefused) {
  const Qubo qubo = random_qubo(6, 1, false);
  auto solved = [&](const Constraint& constraint) { return solve(qubo, constraint, {.seconds = 0.1}); };
  using Kind = Constraint::Kind;
  EXPECT_THROW(solved({Kind::none, 0, {}, {}, {{{0, 1}, 1, 1}, {{1, 2}, 1, 1}}}), InputError) << "overlap";
  EXPECT_THROW(solved({Kind::none, 0, {}, {}, {{{0, 6}, 1, 1}}}), InputError) << "no such variable";
  EXPECT_THROW(solved({Kind::none, 0, {}, {}, {{{0, 1}, 3, 3}}}), InputError) << "more than there are";
  EXPECT_THROW(solved({Kind::exactly, 1, {}, {}, {{{0, 1}, 2, 2}}}), InputError) << "more than the total";
  EXPECT_THROW(solved({Kind::exactly, 3, {}, {}, {{{0, 1}, 1, 2}}}), InputError) << "a range beside a total";
  EXPECT_THROW(solved({Kind::at_most, 3, {1, 1, 1, 1, 1, 1}, {}, {{{0, 1}, 1, 1}}}), InputError) << "costs";
}

TEST(Solve, TheResultDependsOnTheSeedAndNotOnTheThreads) {
  const Qubo qubo = random_qubo(150, 4, false);
  for (const char* method : {"tabu", "anneal"}) {
    std::vector<SolverResult> results;
    for (const int threads : {1, 2, 3, 1})
      results.push_back(solve(qubo, {Constraint::Kind::exactly, 40, {}, {}},
                              {.method = method,
                               .seconds = 60,
                               .max_moves = 60000,
                               .seed = 5,
                               .threads = threads,
                               .pool_size = 5}));
    for (const SolverResult& result : results) {
      EXPECT_EQ(result.moves, results[0].moves);
      EXPECT_EQ(result.reason, "moves");
      ASSERT_EQ(result.pool.size(), results[0].pool.size());
      for (std::size_t k = 0; k < result.pool.size(); ++k) EXPECT_EQ(result.pool[k].x, results[0].pool[k].x);
    }
  }
}

TEST(Solve, PoolMembersKeepTheirDistanceAndTheConstraint) {
  const SolverResult result =
      solve(random_qubo(60, 2, false), {Constraint::Kind::exactly, 20, {}, {}},
            {.method = "tabu", .seconds = 5, .max_moves = 40000, .pool_size = 6, .pool_distance = 4});
  ASSERT_EQ(result.pool.size(), 6U);
  for (std::size_t a = 0; a < result.pool.size(); ++a) {
    EXPECT_EQ(kept_count(result.pool[a].x), 20);
    EXPECT_GE(result.pool[a].energy, result.pool[a > 0 ? a - 1 : 0].energy);
    for (std::size_t b = 0; b < a; ++b) {
      int distance = 0;
      for (std::size_t i = 0; i < 60; ++i) distance += result.pool[a].x[i] != result.pool[b].x[i] ? 1 : 0;
      EXPECT_GE(distance, 4);
    }
  }
}

TEST(Solve, StopsAtTheTargetAndWhenTold) {
  const Qubo qubo = random_qubo(150, 1, false);
  const SolverResult reached = solve(qubo, {}, {.seconds = 60, .target_energy = 0});
  EXPECT_EQ(reached.reason, "target");
  EXPECT_LE(reached.pool[0].energy, 0);
  std::atomic<bool> stop{true};
  Control control;
  control.stop = &stop;
  EXPECT_EQ(solve(qubo, {}, {.seconds = 60}, control).reason, "stopped");
}

TEST(Solve, AStartIsNeverMadeWorse) {
  const Qubo qubo = random_qubo(150, 6, false);
  const Constraint constraint{Constraint::Kind::exactly, 30, {}, {}};
  const Mask best = solve(qubo, constraint, {.seconds = 20, .max_moves = 100000}).pool[0].x;
  const SolverResult again =
      solve(qubo, constraint, {.seconds = 20, .max_moves = 2, .seed = 2, .start = best});
  EXPECT_LE(again.pool[0].energy, qubo.energy(best) + 1e-9);
}

/// One variable is worth 1e12 times the others': their differences are below the searches' grid.
TEST(Solve, SeesDifferencesBelowItsGrid) {
  Rng rng(3);
  Qubo qubo(150);
  for (int i = 0; i < 150; ++i) qubo.add_linear(i, i == 0 ? -1e12 : -rng.uniform());
  std::vector<double> worth(qubo.linear().begin(), qubo.linear().end());
  std::sort(worth.begin(), worth.end());
  double best = 0;
  for (std::size_t i = 0; i < 40; ++i) best += worth[i];
  const SolverResult result =
      solve(qubo, {Constraint::Kind::exactly, 40, {}, {}}, {.seconds = 10, .max_moves = 20000});
  // The sum's rounding is 1e12 * 2^-52 a term.
  EXPECT_NEAR(result.pool[0].energy, best, 40 * 1e12 * 0x1p-52);
  double rest = 0;
  for (std::size_t i = 1; i < 150; ++i)
    if (result.pool[0].x[i] != 0) rest += qubo.linear()[i];
  double best_rest = 0;
  for (std::size_t i = 1; i < 40; ++i) best_rest += worth[i];
  EXPECT_NEAR(rest, best_rest, 1e-2);
}

TEST(Solve, KeepsExactlyKWhereFixedVariablesFillIt) {
  Rng rng(5);
  Qubo qubo(12);
  for (int i = 0; i < 12; ++i) qubo.add_linear(i, -0.5 - rng.uniform());  // each would be worth adding
  std::vector<std::int8_t> fixed(12, -1);
  fixed[2] = fixed[7] = fixed[9] = 1;
  for (const int count : {3, 4, 12}) {
    const auto solved = solve(qubo, {Constraint::Kind::exactly, static_cast<double>(count), {}, fixed},
                              {.seconds = 1, .max_moves = 200, .pool_size = 4});
    for (const auto& solution : solved.pool) EXPECT_EQ(kept_count(solution.x), count);
  }
}

TEST(Solve, KeepsTheExtremeCountsOfRealProblems) {
  const Qubo qubo = random_qubo(9, 2, false);
  for (const Constraint::Kind kind : {Constraint::Kind::exactly, Constraint::Kind::at_most})
    for (const int count : {0, 1, 8, 9}) {
      const Constraint constraint{kind, static_cast<double>(count), {}, {}, {}};
      const SolverResult result = solve(qubo, constraint, {.seconds = 5, .max_moves = 2000});
      EXPECT_NEAR(result.pool[0].energy, brute_force(qubo, constraint), 1e-9) << count;
      EXPECT_LE(kept_count(result.pool[0].x), count);
    }
}

TEST(Solve, RefusesNumbersWhoseSumsOverflow) {
  Qubo qubo(3);
  qubo.add_pair(0, 1, 1e308);
  qubo.add_pair(0, 2, 1e308);
  EXPECT_THROW(solve(qubo, {}, {.seconds = 0.1}), InputError);
}

TEST(Solve, AnUnknownMethodIsToldAllThatThereAre) {
  try {
    solve(random_qubo(4, 1, false), {}, {.method = "guess", .seconds = 0.1});
    FAIL();
  } catch (const InputError& error) {
    for (const std::string& name : solver_names())
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << name;
  }
}

TEST(Solve, RefusesAnImpossibleCapacity) {
  EXPECT_THROW(solve(random_qubo(4, 1, false), {Constraint::Kind::exactly, 5, {}, {}}, {.seconds = 0.1}),
               InputError);
}

}  // namespace
}  // namespace quboprune
