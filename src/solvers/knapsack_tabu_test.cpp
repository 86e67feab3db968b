#include "solvers/knapsack_tabu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "quboprune/random.h"
#include "quboprune/solver.h"
#include "solvers/feasible.h"
#include "solvers/small_problems.h"

namespace quboprune {
namespace {

/// Items of worth 1000 and of worth 1 under a budget that the first fill to the brim.
struct GoodAndBad {
  Qubo qubo;
  Constraint budget{Constraint::Kind::at_most, 0, {}, {}};

  GoodAndBad(int n, const std::function<double(Rng&)>& cost) : qubo(n) {
    Rng rng(7);
    for (int i = 0; i < n; ++i) {
      qubo.add_linear(i, i % 2 == 0 ? -1000 : -1);
      qubo.add_pair(i, (i + 1) % n, 0);  // not separable
      budget.costs.push_back(cost(rng));
      if (i % 2 == 0) budget.capacity += budget.costs.back();
    }
    qubo.add_pair(0, 1, 1e-3);
  }
};

TEST(Knapsack, FillsABudgetOfCostsWithoutACommonUnit) {
  const GoodAndBad items(150, [](Rng& rng) { return 50 + 100 * rng.uniform(); });
  const SolverResult found = solve(items.qubo, items.budget, {.seconds = 2, .max_moves = 20'000});
  EXPECT_EQ(found.pool.front().energy, -75000);
}

TEST(Knapsack, IsNoWorseThanGreedy) {
  const GoodAndBad items(600, [](Rng& rng) { return 50.0 + rng.below(101); });
  const SolverResult found = solve(items.qubo, items.budget, {.seconds = 2, .max_moves = 20'000});
  EXPECT_LE(found.pool.front().energy, -300000);
}

TEST(Knapsack, NeverBreaksABudgetThatItRounds) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Rng rng(seed);
    const Qubo qubo = random_qubo(120, seed, false);
    Constraint budget{Constraint::Kind::at_most, 0, {}, {}};
    for (int i = 0; i < 120; ++i) budget.costs.push_back(std::exp(3 * rng.uniform()));
    for (int i = 0; i < 40; ++i) budget.capacity += budget.costs[static_cast<std::size_t>(i)];
    for (const auto& solution :
         solve(qubo, budget, {.seconds = 1, .max_moves = 3000, .seed = seed, .pool_size = 3}).pool)
      EXPECT_TRUE(feasible(budget, solution.x)) << seed;
  }
}

}  // namespace
}  // namespace quboprune
