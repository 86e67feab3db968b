#include "quboprune/cost_model.h"

#include <gtest/gtest.h>

#include <random>

#include "quboprune/error.h"

namespace quboprune {
namespace {

/// Marginals are differences of values: whatever the factors share, in any state of the mask.
void expect_marginals_of_values(const CostModel& model) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 20; ++trial) {
    Mask mask(static_cast<std::size_t>(model.groups()));
    for (auto& m : mask) m = static_cast<std::uint8_t>(random() % 2);
    const auto marginals = model.marginals(Cost::macs, mask);
    for (std::size_t g = 0; g < mask.size(); ++g) {
      Mask kept = mask;
      Mask removed = mask;
      kept[g] = 1;
      removed[g] = 0;
      EXPECT_DOUBLE_EQ(marginals[g], model.value(Cost::macs, kept) - model.value(Cost::macs, removed));
    }
  }
}

TEST(CostModel, MarginalsOfAChain) {
  CostModel model(5);
  const int in = model.add_factor({2, {{0, 1}, {1, 1}}});
  const int out = model.add_factor({0, {{2, 3}, {3, 1}, {4, 2}}});
  model.add(Cost::macs, {9, {in, out}, false});
  model.add(Cost::macs, {4, {out}, false});
  model.add(Cost::macs, {7, {}, false});
  expect_marginals_of_values(model);
}

TEST(CostModel, MarginalsWhereAGroupMeetsItself) {
  CostModel model(3);
  const int stream = model.add_factor({1, {{0, 1}, {1, 2}}});
  const int both = model.add_factor({0, {{1, 1}, {2, 1}}});
  model.add(Cost::macs, {9, {stream, stream}, false});  // a convolution within a residual stream
  model.add(Cost::macs, {5, {stream, both}, false});
  model.add(Cost::macs, {3, {both}, false});
  expect_marginals_of_values(model);
}

TEST(CostModel, AMaskOfAnotherLengthIsRefused) {
  CostModel model(2);
  model.add(Cost::macs, {1, {model.add_factor({0, {{0, 1}, {1, 1}}})}, false});
  EXPECT_THROW(model.value(Cost::macs, Mask{1}), InputError);
  EXPECT_THROW(model.marginals(Cost::params, Mask{1, 1, 1}), InputError);
}

}  // namespace
}  // namespace quboprune
