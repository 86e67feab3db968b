#include "target/budget_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace quboprune {
namespace {

using Tried = std::vector<TriedBudget>;

TEST(BudgetSearch, FurthestIsTheLargestThatHoldsInWhateverOrder) {
  const Tried tried{{0.5, 0.08}, {0.2, -0.01}, {0.65, 0.3}, {0.35, 0.2}};
  EXPECT_EQ(furthest_within(tried, 0.1), 0);
  EXPECT_EQ(furthest_within(tried, 0.05), 1);
  EXPECT_EQ(furthest_within(tried, -0.05), std::nullopt);
  EXPECT_EQ(furthest_within(Tried{{0.5, std::numeric_limits<double>::quiet_NaN()}}, 1), std::nullopt);
}

TEST(BudgetSearch, NextLiesBetweenTheFurthestThatHoldsAndWhatFailsBeyond) {
  EXPECT_DOUBLE_EQ(*next_budget(Tried{{0.2, 0}, {0.5, 1}, {0.8, 2}}, 0.1), 0.35);
  EXPECT_DOUBLE_EQ(*next_budget(Tried{{0.4, 1}}, 0.1), 0.2);  // nothing holds yet
  EXPECT_DOUBLE_EQ(*next_budget(Tried{{0.35, 1}, {0.5, 0}, {0.8, 2}}, 0.1), 0.65);
  EXPECT_EQ(next_budget(Tried{{0.2, 0}, {0.5, 0}}, 0.1), std::nullopt);  // nothing fails
  EXPECT_EQ(next_budget(Tried{{0.499, 0}, {0.5, 1}}, 0.1), std::nullopt);
}

TEST(BudgetSearch, ComesToTheBorderOfASteadyLoss) {
  Tried tried{{0.9, 0.9}};
  while (const auto next = next_budget(tried, 0.3141)) tried.push_back({*next, *next});
  EXPECT_NEAR(tried[*furthest_within(tried, 0.3141)].removed, 0.314, 1e-9);
  EXPECT_LT(tried.size(), 15U);
}

}  // namespace
}  // namespace quboprune
