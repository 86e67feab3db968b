#include "solvers/persistency.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "solvers/proof.h"
#include "solvers/small_problems.h"

namespace quboprune {
namespace {

/// Every solution as good as `known` has the decided values. Returns how many are decided.
int check(const ReducedProblem& problem, const Persistencies& decided, double known,
          const std::vector<Solution>& solutions) {
  int count = 0;
  for (std::size_t p = 0; p < decided.size(); ++p) {
    count += decided[p] >= 0 ? 1 : 0;
    for (const Solution& solution : solutions) {
      if (decided[p] < 0 || solution.energy > known) continue;
      EXPECT_EQ(solution.x[problem.variable[p]], decided[p]) << "variable " << problem.variable[p];
    }
  }
  return count;
}

/// Known solutions of three kinds: the best, the second and the tenth.
std::vector<Solution> known_of(std::vector<Solution> solutions) {
  std::sort(solutions.begin(), solutions.end(),
            [](const Solution& a, const Solution& b) { return a.energy < b.energy; });
  std::vector<Solution> known = {solutions[0]};
  for (const std::size_t place : {1U, 9U})
    if (place < solutions.size()) known.push_back(solutions[place]);
  return known;
}

TEST(Persistency, WhatIsDecidedIsSoInEverySolutionAsGood) {
  const Control control;
  const Deadline deadline(60, control);
  std::vector<int> by_shares(constraints_for(12).size(), 0), by_vectors = by_shares;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    // The split bound decides nothing where all coefficients are alike: half of them have a tilt.
    Qubo qubo = random_qubo(12, seed, seed % 2 == 0);
    for (int i = 0; i < 12 && seed > 3; ++i) qubo.add_linear(i, (seed % 2 == 0 ? 300 : 1.5) * (i % 7 - 3));
    for (std::size_t c = 0; c < by_shares.size(); ++c) {
      const Constraint constraint = constraints_for(12)[c];
      const std::vector<Solution> solutions = all_solutions(qubo, constraint);
      const ReducedProblem problem(qubo, constraint);
      for (const Solution& known : known_of(solutions)) {
        SplitBound split(problem);
        split.improve(known.energy, 200, deadline);
        const Persistencies decided = split_persistencies(problem, split.shares(), known.energy);
        by_shares[c] += check(problem, decided, known.energy, solutions);
        if (!constraint.costs.empty()) continue;
        Mask x;
        for (const std::size_t i : problem.variable) x.push_back(known.x[i]);
        Persistencies relaxed(problem.size(), -1);
        relaxed_persistencies(problem, x, known.energy, 0, deadline, relaxed);
        by_vectors[c] += check(problem, relaxed, known.energy, solutions);
      }
    }
  }
  for (std::size_t c = 0; c < by_shares.size(); ++c) {
    // Of groups the split bound sees the sum of their counts alone.
    const bool seen = by_shares[c] > 0 || !constraints_for(12)[c].groups.empty();
    EXPECT_TRUE(seen) << "constraint " << c << ": nothing to check";
    if (!constraints_for(12)[c].costs.empty()) continue;
    EXPECT_GT(by_vectors[c], by_shares[c]) << "constraint " << c;
  }
}

/// Bounds decide each of these; the reasons differ: no count at all, the least and the most that fit.
TEST(Persistency, SeesWhatIsPlain) {
  const Control control;
  const Deadline deadline(60, control);
  Qubo qubo(6);
  for (int i = 0; i < 6; ++i) qubo.add_linear(i, i - 2.5);
  qubo.add_pair(0, 5, 0.25);
  using Kind = Constraint::Kind;
  for (const Constraint& constraint : std::vector<Constraint>{{}, {Kind::exactly, 3}, {Kind::at_most, 6}}) {
    const ReducedProblem problem(qubo, constraint);
    SplitBound split(problem);
    split.improve(-4.5, 100, deadline);
    EXPECT_EQ(split_persistencies(problem, split.shares(), -4.5), (Persistencies{1, 1, 1, 0, 0, 0}));
  }
  for (const int count : {0, 6}) {
    const ReducedProblem problem(qubo, {Kind::exactly, static_cast<double>(count)});
    const SplitBound split(problem);
    const double known = count == 0 ? 0 : 0.25;
    EXPECT_EQ(split_persistencies(problem, split.shares(), known),
              Persistencies(6, static_cast<std::int8_t>(count / 6)));
  }
}

TEST(Persistency, TheSolverReportsOnlyWhatEveryOptimumHas) {
  for (const bool whole : {true, false})
    for (const Constraint& constraint : constraints_for(12)) {
      const Qubo qubo = random_qubo(12, 31, whole);
      const std::vector<Solution> solutions = all_solutions(qubo, constraint);
      const double best = brute_force(qubo, constraint);
      const SolverResult result = solve(qubo, constraint, {.seconds = 20, .max_moves = 3000});
      ASSERT_EQ(result.persistent.size(), 12U);
      EXPECT_TRUE(result.optimal);
      for (std::size_t i = 0; i < 12; ++i) {
        if (result.persistent[i] < 0) continue;
        EXPECT_TRUE(constraint.fixed.empty() || constraint.fixed[i] < 0) << "given, not proved";
        for (const Solution& solution : solutions) {
          if (solution.energy > best + 1e-12) continue;
          EXPECT_EQ(solution.x[i], result.persistent[i]);
        }
      }
    }
}

TEST(Persistency, NothingIsReportedWithoutABound) {
  EXPECT_TRUE(solve(random_qubo(150, 3, true), {}, {.seconds = 5, .max_moves = 2000}).persistent.empty());
}

/// Low-rank with an offset that nearly cancels it: what is left once some are decided lies far below the
/// numbers that energies are summed from, so that rounding must not decide the others.
TEST(Persistency, RoundingOfWhatCancelsDecidesNothing) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Rng rng(seed);
    constexpr int n = 12, rank = 6;
    Qubo::LowRank term{rank, 1, {}};
    std::vector<double> total(rank, 0.0);
    for (int r = 0; r < rank; ++r)
      for (int i = 0; i < n; ++i) {
        term.factor.push_back(static_cast<float>((rng.uniform() - 0.5) * std::pow(10.0, -6.0 * i / n)));
        total[static_cast<std::size_t>(r)] += static_cast<double>(term.factor.back());
      }
    // ½|F(1 - x)|², as gate-fisher has it.
    Qubo qubo(n);
    for (int i = 0; i < n; ++i) {
      double pulled = 0;
      for (int r = 0; r < rank; ++r)
        pulled += total[static_cast<std::size_t>(r)] *
                  static_cast<double>(term.factor[static_cast<std::size_t>(r * n + i)]);
      qubo.add_linear(i, -pulled);
    }
    for (const double t : total) qubo.add_offset(0.5 * t * t);
    qubo.add_low_rank(std::move(term));
    const Constraint constraint{Constraint::Kind::exactly, 9};
    const SolverResult result = solve(qubo, constraint, {.seconds = 1, .bound = true});
    const auto all = all_solutions(qubo, constraint);
    const Solution best = *std::ranges::min_element(all, {}, &Solution::energy);
    for (std::size_t i = 0; i < result.persistent.size(); ++i)
      EXPECT_TRUE(result.persistent[i] < 0 || result.persistent[i] == best.x[i]) << seed << ", " << i;
  }
}

}  // namespace
}  // namespace quboprune
