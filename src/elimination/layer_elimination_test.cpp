#include "elimination/layer_elimination.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "core/index.h"
#include "model/test_net.h"

namespace quboprune {
namespace {

using testing::numbers;

/// A layer of so many conv groups: its inputs' groups, of `taps` columns each, and its outputs'.
RepairedLayer layer_of(std::int64_t conv_groups, int taps, const std::vector<int>& inputs,
                       const std::vector<int>& outputs) {
  const auto columns = static_cast<std::int64_t>(inputs.size()) * taps;
  const auto each = static_cast<std::int64_t>(outputs.size()) / conv_groups;
  InputGram gram;
  gram.taps = taps;
  const at::Tensor x = numbers({conv_groups, 3 * columns, columns}, 1).to(at::kDouble);
  gram.gram = at::matmul(x.transpose(1, 2), x);
  gram.weight = numbers({conv_groups, each, columns}, 2).to(at::kDouble);
  const at::Tensor j = numbers({conv_groups, 2 * each, each}, 3).to(at::kDouble);
  return {std::move(gram), inputs, outputs, at::matmul(j.transpose(1, 2), j), 1e-3};
}

/// Takes groups out one by one; what the others would add is compared with errors from scratch. The Gram
/// matrices (three rows a column) have conditions below 100, so what some 200 changes to sums of at most 500
/// products round off is below 2^-53 · 100 · 200 · 500 = 1e-9 of the error.
void expect_errors_from_scratch(const RepairedLayer& layer, const std::vector<int>& order, int groups) {
  Mask mask(at_index(groups), 1);
  LayerElimination elimination(layer);
  for (int group : order) {
    EXPECT_TRUE(elimination.remove(group));
    mask[at_index(group)] = 0;
    const auto errors = elimination.errors();
    for (std::size_t i = 0; i < errors.size(); ++i) {
      const int h = layer.input_groups()[i];
      // A group that is also an output takes that row along, which isn't an error of its inputs'.
      if (std::ranges::find(layer.outputs(), h) != layer.outputs().end()) continue;
      Mask less = mask;
      less[at_index(h)] = 0;
      const double added = layer.error(less) - layer.error(mask);
      EXPECT_NEAR(errors[i], added, 1e-8 * layer.error(less)) << group << ", " << h;
    }
  }
}

TEST(LayerElimination, FollowsInputsAndOutputsThatGo) {
  std::vector<int> inputs, outputs, order;
  for (int g = 0; g < 30; ++g) inputs.push_back(g % 5 == 4 ? -1 : g);
  for (int g = 30; g < 42; ++g) outputs.push_back(g == 41 ? -1 : g);
  for (int g = 0; g < 26; ++g) {
    if (g % 5 != 4) order.push_back(g);
    if (g % 3 == 0) order.push_back(30 + g / 3);
  }
  expect_errors_from_scratch(layer_of(1, 9, inputs, outputs), order, 42);  // 189 columns: settles once
}

TEST(LayerElimination, KeepsConvolutionGroupsApart) {
  // Each group has a place in all three convolution groups' inputs; outputs are groups of their own.
  expect_errors_from_scratch(layer_of(3, 4, {0, 1, 2, 3, 4, 5}, {6, 7, 8, 9, 10, 11}), {1, 7, 4, 11, 0, 6},
                             12);
}

TEST(LayerElimination, TakesGroupsOfSeveralSizesAndOfManyColumns) {
  // Groups of 1, 2 and 3 channels with 50 columns each: one alone is more than waits otherwise.
  expect_errors_from_scratch(layer_of(1, 50, {0, 1, 1, 2, 2, 2, 3, 4, 4, 4}, {5, 6, 7, 8}), {2, 0, 6, 4, 1},
                             9);
}

TEST(LayerElimination, TakesAGroupThatIsReadAndGiven) {
  expect_errors_from_scratch(layer_of(1, 1, {0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3}), {1, 6, 0, 4}, 8);
}

TEST(LayerElimination, LeavesOthersAlone) {
  const RepairedLayer layer = layer_of(1, 1, {0, 1, 2}, {3, 4});
  LayerElimination elimination(layer);
  const auto before = elimination.errors();
  EXPECT_FALSE(elimination.remove(7));
  EXPECT_EQ(elimination.errors(), before);
}

}  // namespace
}  // namespace quboprune
