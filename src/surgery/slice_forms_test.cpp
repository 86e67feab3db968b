// Structures of which more than a convolution's channels shrink: each cut equals the mask, and costs what the
// cost model said.

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <tuple>

#include "coupling/branches.h"
#include "model/test_net.h"
#include "quboprune/error.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

using testing::list;
using testing::Net;
using testing::numbers;

/// Takes each group out alone.
void expect_exact_cuts(const Graph& graph, int groups_expected) {
  const ChannelGroups groups = analyse(graph);
  ASSERT_EQ(groups.size(), groups_expected);
  for (int g = 0; g < groups.size(); ++g) {
    Mask mask(static_cast<std::size_t>(groups.size()), 1);
    mask[static_cast<std::size_t>(g)] = 0;
    const Graph sliced = slice(groups, mask);
    const Equivalence e = verify(groups, mask, sliced);
    EXPECT_TRUE(e.holds()) << groups.name(g) << ": " << e.max_abs_difference << " at " << e.where;
    const ChannelGroups left = analyse(sliced);
    for (const Cost cost : {Cost::macs, Cost::params}) {
      EXPECT_EQ(left.cost().value(cost, Mask(static_cast<std::size_t>(left.size()), 1)),
                groups.cost().value(cost, mask))
          << name_of(cost) << " without " << groups.name(g);
    }
  }
}

TEST(SliceForms, ChannelsFoldedIntoTheBatch) {
  for (const char* op : {"Conv", "ConvTranspose"}) {
    Net net;
    const int x = net.input({1, 3, 8, 8});
    const int a = net.add("Conv", {x, net.constant(numbers({4, 3, 1, 1}, 1))});
    const int folded = net.add("Reshape", {a, net.constant(at::tensor({4L, 1L, 8L, 8L}))});
    const int blurred =
        net.add(op, {folded, net.constant(numbers({1, 1, 3, 3}, 2))}, {{"pads", list({1, 1, 1, 1})}});
    const int back = net.add("Reshape", {blurred, net.constant(at::tensor({1L, 4L, 8L, 8L}))});
    expect_exact_cuts(net.finish(net.add("Conv", {back, net.constant(numbers({2, 4, 1, 1}, 3))})), 4);
  }
}

struct Heads {
  std::int64_t queries, keys;
  bool axes;  ///< heads on an axis of their own
};

/// Six tokens of seven features; heads of two channels, of which the values have three.
Graph attention(const Heads& h, bool mask) {
  Net net;
  const int x = net.input({1, 6, 7});
  std::vector<int> parts;
  for (const auto& [heads, each, seed] :
       {std::tuple{h.queries, 2L, 1U}, std::tuple{h.keys, 2L, 2U}, std::tuple{h.keys, 3L, 3U}}) {
    int part = net.add("MatMul", {x, net.constant(numbers({7, heads * each}, seed))});
    if (h.axes) {
      part = net.add("Reshape", {part, net.constant(at::tensor({1L, 6L, std::int64_t{heads}, each}))});
      part = net.add("Transpose", {part}, {{"perm", list({0, 2, 1, 3})}});
    }
    parts.push_back(part);
  }
  if (mask) parts.push_back(net.constant(numbers({h.queries, 6, 6}, 4)));
  std::map<std::string, Attribute> attributes = {{"is_causal", Attribute::of(std::int64_t{mask})}};
  if (!h.axes) {
    attributes["q_num_heads"] = Attribute::of(h.queries);
    attributes["kv_num_heads"] = Attribute::of(h.keys);
  }
  int y = net.add("Attention", parts, attributes);
  if (h.axes) {
    y = net.add("Transpose", {y}, {{"perm", list({0, 2, 1, 3})}});
    y = net.add("Reshape", {y, net.constant(at::tensor({1L, 6L, h.queries * 3}))});
  }
  return net.finish(net.add("MatMul", {y, net.constant(numbers({h.queries * 3, 2}, 5))}));
}

TEST(SliceForms, AttentionLosesWholeHeadsOrAHeadsChannels) {
  for (const bool mask : {false, true}) {
    expect_exact_cuts(attention({3, 3, false}, mask), 3);
    expect_exact_cuts(attention({4, 2, false}, mask), 2);  // a key-value head with its two query heads
    expect_exact_cuts(attention({4, 1, false}, mask), 4);  // query heads alone
    expect_exact_cuts(attention({1, 1, false}, mask), 5);  // q·k's two channels, v's three
  }
}

TEST(SliceForms, AttentionWithAnAxisOfHeads) {
  expect_exact_cuts(attention({3, 3, true}, true), 3);
  expect_exact_cuts(attention({1, 1, true}, true), 5);
}

TEST(SliceForms, AttentionThatKeepsItsKeysStaysWhole) {
  Graph graph = attention({3, 3, false}, false);
  for (auto& node : graph.nodes) {
    if (node.op != "Attention") continue;
    node.outputs.push_back(static_cast<int>(graph.values.size()));
    graph.values.push_back({.name = "present_key"});
    graph.values.back().producer = graph.values[static_cast<std::size_t>(node.outputs[0])].producer;
  }
  EXPECT_EQ(analyse(graph).size(), 0);
}

/// Every choice of the branches that may go is cut as it is masked.
void expect_branches_go_in_any_choice(const ChannelGroups& groups, std::size_t at_least) {
  const auto& branches = groups.branches();
  ASSERT_GE(branches.size(), at_least);
  for (std::size_t which = 1; which < std::size_t{1} << branches.size(); ++which) {
    Mask mask(static_cast<std::size_t>(groups.size()), 1);
    for (std::size_t b = 0; b < branches.size(); ++b) {
      for (int g : branches[b])
        if ((which >> b & 1U) != 0) mask[static_cast<std::size_t>(g)] = 0;
    }
    const Equivalence e = verify(groups, mask, slice(groups, mask));
    EXPECT_TRUE(e.holds()) << "branches " << which << ": " << e.max_abs_difference << " at " << e.where;
  }
}

/// An image plus what a stream of four channels makes of it; within, a branch of three channels whose output
/// a gate reads by its mean. The stream may go as a whole. The branch may not: the gate would be left.
TEST(SliceForms, WhateverBranchesMayGoMayGoAloneAndTogether) {
  Net net;
  const Attribute same = list({1, 1, 1, 1});
  const auto conv = [&](int input, std::int64_t in, std::int64_t out, std::uint64_t seed) {
    return net.add("Conv",
                   {input, net.constant(numbers({out, in, 3, 3}, seed, 0.3)),
                    net.constant(numbers({out}, seed + 1, 0.3))},
                   {{"pads", same}});
  };
  const int x = net.input({-1, 3, -1, -1});
  const int stream = conv(x, 3, 4, 1);
  const int branch = conv(net.add("Relu", {conv(stream, 4, 3, 3)}), 3, 4, 5);
  const int gate = net.add("Sigmoid", {conv(net.add("GlobalAveragePool", {branch}), 4, 4, 7)});
  const int sum = net.add("Add", {stream, net.add("Mul", {branch, gate})});
  const Graph graph = net.finish(net.add("Add", {x, conv(sum, 4, 3, 9)}));
  const ChannelGroups groups = analyse(graph, {.allow_empty = true});
  expect_branches_go_in_any_choice(groups, 1);
}

/// A block of three layers beside its skip: without the second of the widths between them nothing of it is
/// left, and the costs are those of the network that is.
TEST(SliceForms, ABranchGoesAsAWhole) {
  Net net;
  const auto conv = [&](int input, std::int64_t in, std::int64_t out, std::uint64_t seed) {
    return net.add("Conv", {input, net.constant(numbers({out, in, 1, 1}, seed)),
                            net.constant(numbers({out}, seed + 1))});
  };
  const int x = net.input({-1, 3, -1, -1});
  const int skip = conv(x, 3, 6, 1);
  const int narrow = net.add("Relu", {conv(skip, 6, 4, 3)});
  const int wide = conv(net.add("Relu", {conv(narrow, 4, 5, 5)}), 5, 6, 7);
  const Graph graph = net.finish(conv(net.add("Add", {skip, wide}), 6, 3, 9));
  const ChannelGroups groups = analyse(graph, {.allow_empty = true});
  ASSERT_EQ(groups.branches().size(), 1U);
  Mask mask(static_cast<std::size_t>(groups.size()), 1);
  for (int g : groups.branches().front()) mask[static_cast<std::size_t>(g)] = 0;
  const Mask whole = with_whole_branches(groups, mask);
  EXPECT_EQ(kept_count(whole), 6);
  const Graph cut = slice(groups, whole);
  EXPECT_TRUE(verify(groups, whole, cut).holds());
  const ChannelGroups left = analyse(without_dead_branches(graph, cut));
  const Mask all(static_cast<std::size_t>(left.size()), 1);
  EXPECT_EQ(groups.cost().value(Cost::macs, whole), left.cost().value(Cost::macs, all));
  EXPECT_TRUE(verify(groups, mask, slice(groups, mask)).holds());
  const Mask some{1, 0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1};
  EXPECT_EQ(with_whole_branches(groups, some), some);
}

/// What an exporter folded a call of zeros() to is written over, and no weight.
TEST(SliceForms, ACanvasIsNoParameter) {
  Net net;
  const int x = net.input({1, 3, 4, 4});
  const int h = net.add("Conv", {x, net.constant(numbers({2, 3, 1, 1}, 1))});
  const int where = net.constant(at::tensor({0L}).view({1, 1}));
  for (const double learned : {0.0, 0.5}) {
    Net whole = net;
    const int canvas = whole.constant(at::full({1, 2, 4, 4}, learned));
    const ChannelGroups groups = analyse(whole.finish(whole.add("ScatterND", {canvas, where, h})));
    const Mask all(static_cast<std::size_t>(groups.size()), 1);
    EXPECT_EQ(groups.cost().value(Cost::params, all), learned == 0 ? 6 : 6 + 32);
  }
}

/// Three convolutions and one of the image's mean, added up: any may go but not the three without the fourth,
/// which would be added to nothing of the image's size.
TEST(SliceForms, ASumThatAMeanTakesPartInKeepsSomethingOfItsSize) {
  Net net;
  const int x = net.input({-1, 3, -1, -1});
  const auto branch = [&](int input, std::uint64_t seed) {
    const int h = net.add("Relu", {net.add("Conv", {input, net.constant(numbers({2, 3, 1, 1}, seed, 0.4))})});
    return net.add("Conv", {h, net.constant(numbers({3, 2, 1, 1}, seed + 1, 0.4)),
                            net.constant(numbers({3}, seed + 2))});
  };
  int sum = branch(x, 1);
  for (std::uint64_t seed : {4, 7}) sum = net.add("Add", {sum, branch(x, seed)});
  sum = net.add("Add", {sum, branch(net.add("GlobalAveragePool", {x}), 10)});
  const ChannelGroups groups = analyse(net.finish(net.add("Add", {x, sum})), {.allow_empty = true});
  expect_branches_go_in_any_choice(groups, 2);
}

TEST(SliceForms, AMaskOfAnotherNetworkIsRefused) {
  const Graph graph = testing::mixed_structures();
  const ChannelGroups groups = analyse(graph);
  const Mask shorter(static_cast<std::size_t>(groups.size()) - 1, 1);
  EXPECT_THROW(slice(groups, shorter), InputError);
  EXPECT_THROW(masked_run(groups, shorter), InputError);
  EXPECT_THROW(groups.empties_an_axis(shorter), InputError);
}

}  // namespace
}  // namespace quboprune
