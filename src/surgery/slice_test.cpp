#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "model/test_net.h"
#include "quboprune/error.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

using testing::index_of;
using testing::mixed_structures;
using testing::Net;
using testing::numbers;

/// One of every axis of mixed_structures() at least, the others by chance.
Mask random_mask(Rng& rng) {
  Mask mask(7);
  for (auto& bit : mask) bit = static_cast<std::uint8_t>(rng.below(2));
  mask[rng.below(4)] = 1;
  mask[4 + rng.below(3)] = 1;
  return mask;
}

TEST(Slice, ComputesWhatTheMaskedNetworkDoes) {
  const Graph graph = mixed_structures(at::kDouble);
  const ChannelGroups groups = analyse(graph);
  Rng rng(1);
  for (int trial = 0; trial < 20; ++trial) {
    const Mask mask = random_mask(rng);
    const Graph sliced = slice(groups, mask);
    const RunOptions masked = masked_run(groups, mask);
    const at::Tensor x = numbers({2, 3, 9, 7}, static_cast<std::uint64_t>(trial)).to(at::kDouble);
    const at::Tensor expected = Executor(graph).run({x}, masked).front();
    // In double: sums of at most 63 products in another order, seven layers, far below 1e-12.
    EXPECT_LT((Executor(sliced)(x) - expected).abs().max().item<double>(), 1e-12);
  }
}

TEST(Slice, TakesTheRemovedChannelsOutOfEveryConstant) {
  const ChannelGroups groups = analyse(mixed_structures());
  const Graph sliced = slice(groups, {1, 0, 1, 0, 0, 1, 1});
  std::vector<std::vector<std::int64_t>> weights;
  std::vector<std::int64_t> conv_groups;
  for (const auto& node : sliced.nodes) {
    for (std::size_t k = 1; k < node.inputs.size() && node.op != "Conv"; ++k) {
      const Value& value = sliced.values[index_of(node.inputs[k])];
      if (value.is_constant()) {
        EXPECT_EQ(value.constant.size(0), 2) << node.name;
      }
    }
    if (node.op != "Conv") continue;
    weights.push_back(sliced.values[index_of(node.inputs[1])].constant.sizes().vec());
    conv_groups.push_back(node.integer("group", 1));
  }
  EXPECT_EQ(weights, (std::vector<std::vector<std::int64_t>>{
                         {2, 3, 3, 3}, {2, 2, 3, 3}, {2, 1, 3, 3}, {2, 2, 1, 1}, {2, 4, 3, 3}}));
  EXPECT_EQ(conv_groups, (std::vector<std::int64_t>{1, 1, 2, 1, 1}));
}

TEST(Slice, OfAWholeMaskIsTheNetwork) {
  const Graph graph = mixed_structures();
  const Graph sliced = slice(analyse(graph), Mask(7, 1));
  for (std::size_t v = 0; v < graph.values.size(); ++v) {
    if (!graph.values[v].is_constant()) continue;
    EXPECT_TRUE(sliced.values[v].constant.is_same(graph.values[v].constant));
  }
}

TEST(Slice, RefusesAMaskThatEmptiesALayer) {
  const ChannelGroups groups = analyse(mixed_structures());
  EXPECT_THROW(slice(groups, {0, 0, 0, 0, 1, 1, 1}), InputError);
  EXPECT_THROW(slice(groups, {1, 1, 1, 1, 0, 0, 0}), InputError);
}

TEST(Verify, HoldsForWhatSliceMade) {
  const ChannelGroups groups = analyse(mixed_structures());
  Rng rng(2);
  for (int trial = 0; trial < 5; ++trial) {
    const Mask mask = random_mask(rng);
    const Equivalence e = verify(groups, mask, slice(groups, mask));
    EXPECT_TRUE(e.holds());
    EXPECT_EQ(e.where, "");
    EXPECT_EQ(e.shapes.size(), 3U);  // sizes and batches are open
    EXPECT_GT(e.tolerance, 0);
  }
}

/// The sliced network with the weights of one layer a thousandth larger.
Graph broken(Graph sliced, std::size_t conv) {
  for (const auto& node : sliced.nodes) {
    if (node.op != "Conv" || conv-- != 0) continue;
    Constant& weight = sliced.values[index_of(node.inputs[1])].constant;
    weight = weight.tensor() * 1.001;
  }
  return sliced;
}

/// The sum of 48 channels less the same sum in another order: an output that is rounding alone.
Graph cancelling() {
  Net net;
  const int x = net.input({-1, 3, -1, -1});
  const int h = net.add("Relu", {net.add("Conv", {x, net.constant(numbers({48, 3, 3, 3}, 1))})});
  const int sum = net.add("ReduceSum", {h, net.constant(at::full({1}, 1, at::kLong))});
  return net.finish(net.add("Sub", {sum, net.add("Conv", {h, net.constant(at::ones({1, 48, 1, 1}))})}));
}

TEST(Verify, KnowsAnOutputOfNothingButRounding) {
  const ChannelGroups groups = analyse(cancelling());
  Mask mask(48, 1);
  for (std::size_t g = 0; g < mask.size(); g += 3) mask[g] = 0;
  const Graph sliced = slice(groups, mask);
  const Equivalence e = verify(groups, mask, sliced);
  EXPECT_GT(e.max_abs_difference, 0);
  EXPECT_TRUE(e.holds()) << e.max_abs_difference;
  EXPECT_EQ(e.where, "");
  const Equivalence wrong = verify(groups, mask, broken(sliced, 1));
  EXPECT_FALSE(wrong.holds()) << wrong.max_abs_difference << " allowed " << wrong.tolerance;
}

TEST(Verify, NamesTheFirstLayerThatDiffers) {
  const ChannelGroups groups = analyse(mixed_structures());
  const Mask mask{1, 0, 1, 1, 0, 1, 1};
  const Graph sliced = slice(groups, mask);
  std::size_t conv = 0;
  for (const auto& node : sliced.nodes) {
    if (node.op != "Conv") continue;
    const Equivalence e = verify(groups, mask, broken(sliced, conv++));
    EXPECT_FALSE(e.holds()) << node.name;
    EXPECT_EQ(e.where, node.title());
  }
  EXPECT_EQ(conv, 5U);
}

TEST(Verify, NoticesTheWrongChannels) {
  const ChannelGroups groups = analyse(mixed_structures());
  // As many of each layer, but others.
  EXPECT_FALSE(verify(groups, {1, 0, 1, 1, 0, 1, 1}, slice(groups, {1, 1, 0, 1, 0, 1, 1})).holds());
}

TEST(Verify, HoldsDoublesToTheirOwnRounding) {
  const ChannelGroups groups = analyse(mixed_structures(at::kDouble));
  const Mask mask{1, 0, 1, 1, 0, 1, 1};
  Graph sliced = slice(groups, mask);
  EXPECT_TRUE(verify(groups, mask, sliced).holds());
  for (const Node& node : sliced.nodes) {
    if (node.op != "Conv") continue;
    Constant& weight = sliced.values[static_cast<std::size_t>(node.input(1))].constant;
    weight = weight.tensor() * (1 + 1e-9);
  }
  EXPECT_FALSE(verify(groups, mask, sliced).holds());
}

TEST(Verify, HoldsWholeNumbersToTheLast) {
  const ChannelGroups groups = analyse(testing::six_channels([](testing::Net& net, int x) {
    const int y = net.add("Conv", {x, net.constant(numbers({2, 6, 1, 1}, 3, 0.3))});
    const int large = net.add("Mul", {y, net.constant(at::scalar_tensor(3e5, at::kFloat))});
    return net.add("Cast", {large}, {{"to", Attribute::of(7)}});
  }));
  const Mask mask{1, 0, 1, 1, 0, 1};
  Graph sliced = slice(groups, mask);
  EXPECT_TRUE(verify(groups, mask, sliced).holds()) << "what rounding in float32 flips isn't in float64";
  const auto mul = std::ranges::find(sliced.nodes, "Mul", &Node::op);
  Constant& factor = sliced.values[static_cast<std::size_t>(mul->input(1))].constant;
  factor = factor.tensor() + 1;  // less than float32's tolerance of the largest
  EXPECT_FALSE(verify(groups, mask, sliced).holds());
}

TEST(Verify, TellsOfACutThatCannotBeRun) {
  const ChannelGroups groups = analyse(mixed_structures());
  const Mask mask{1, 0, 1, 1, 0, 1, 1};
  Graph sliced = slice(groups, mask);
  const auto conv = std::ranges::find(sliced.nodes, "Conv", &Node::op);
  Constant& weight = sliced.values[static_cast<std::size_t>(conv->input(1))].constant;
  weight = weight.tensor().slice(1, 1);
  const Equivalence e = verify(groups, mask, sliced);
  EXPECT_FALSE(e.holds());
  EXPECT_NE(e.where.find(conv->title()), std::string::npos) << e.where;
}

TEST(Verify, JudgesASmallOutputBesideALargeOne) {
  Net net;
  const int x = net.input({-1, 3, -1, -1});
  const int h = net.add("Relu", {net.add("Conv", {x, net.constant(numbers({6, 3, 1, 1}, 1))})});
  const int large = net.add("Conv", {h, net.constant(numbers({2, 6, 1, 1}, 2, 1e4))});
  net.finish(large);
  const ChannelGroups groups =
      analyse(net.finish(net.add("Conv", {h, net.constant(numbers({2, 6, 1, 1}, 3))})));
  const Mask mask{1, 0, 1, 1, 0, 1};
  const Graph sliced = slice(groups, mask);
  EXPECT_TRUE(verify(groups, mask, sliced).holds());
  const Equivalence e = verify(groups, mask, broken(sliced, 2));
  EXPECT_FALSE(e.holds());
  EXPECT_EQ(e.where, sliced.nodes.back().title());
}

}  // namespace
}  // namespace quboprune
