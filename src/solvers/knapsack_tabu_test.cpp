#include "solvers/knapsack_tabu.h"

#include <gtest/gtest.h>

#include <functional>

#include "quboprune/random.h"
#include "quboprune/solver.h"
#include "solvers/dense_matrix.h"
#include "solvers/feasible.h"

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

/// What is too much by less than a step of the rounded costs (2^-30 of the budget), and by more than sums of
/// costs are held to (cost_tolerance(), 1e-12 of it): the rounded costs let it pass.
TEST(Knapsack, TakesNothingThatBreaksABudgetInFact) {
  GoodAndBad items(150, [](Rng& rng) { return 50 + 100 * rng.uniform(); });
  items.budget.capacity *= 1 - 1e-10;
  const DenseMatrix matrix(items.qubo);
  const auto couplings = wide_couplings(matrix);
  Task task{.start = Mask(150, 0), .fresh = false, .moves = 1000};
  for (std::size_t i = 0; i < 150; i += 2) task.start[i] = 1;
  ASSERT_FALSE(feasible(items.budget, task.start));
  const Control control;
  const Found found = KnapsackTabu(matrix, couplings, items.budget).improve(task, Deadline(60, control));
  EXPECT_TRUE(feasible(items.budget, found.x));
  EXPECT_NEAR(found.energy, items.qubo.energy(found.x), matrix.scale() * 150);  // half a step each
  EXPECT_LE(found.energy, -74000);
}

}  // namespace
}  // namespace quboprune
