#include "multiples/rounding.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/index.h"
#include "data/test_samples.h"
#include "model/test_net.h"
#include "quboprune/error.h"
#include "quboprune/prune.h"

namespace quboprune {
namespace {

using testing::list;
using testing::Net;
using testing::numbers;
using testing::twin_scenes;

/// Convolutions 3 → first → second → 2 with Relu between; of the first two layers only `live` channels, the
/// last ones, are read by what follows.
Graph wide(int first, int second, int live) {
  Net net;
  const auto weights = [&](int outputs, int inputs, std::uint64_t seed) {
    at::Tensor w = numbers({outputs, inputs, 1, 1}, seed, 0.5);
    if (inputs > 3) w.slice(1, 0, inputs - live).zero_();
    return net.constant(w);
  };
  int h = net.add("Relu", {net.add("Conv", {net.input({-1, 3, -1, -1}), weights(first, 3, 1)})});
  h = net.add("Relu", {net.add("Conv", {h, weights(second, first, 2)})});
  return net.finish(net.add("Conv", {h, weights(2, second, 3)}));
}

/// Channels that the first two layers keep; the first layer's groups come first.
std::pair<int, int> counts(const Mask& mask, int first) {
  const auto middle = mask.begin() + first;
  return {static_cast<int>(std::count(mask.begin(), middle, 1)),
          static_cast<int>(std::count(middle, mask.end(), 1))};
}

TEST(Rounder, HoldsAnyCountWhereOneLayerMayKeepAnotherNumber) {
  const ChannelGroups groups = analyse(wide(12, 20, 6));
  ASSERT_EQ(groups.size(), 32);
  std::vector<double> worth;
  for (int g = 0; g < groups.size(); ++g) worth.push_back(g % 7);
  for (int kept = 8; kept < 32; ++kept) {
    const Target target{Cost::filters, 1 - kept / 32.0};
    const Mask exact = Rounder(groups, target, 4, GivesWay::multiple).best(worth);
    EXPECT_EQ(kept_count(exact), kept);
    const auto [first, second] = counts(exact, 12);
    EXPECT_TRUE(first % 4 == 0 || second % 4 == 0) << first << " and " << second;
    const Mask below = Rounder(groups, target, 4).best(worth);
    EXPECT_EQ(kept_count(below), kept / 4 * 4);
  }
}

TEST(Rounder, SaysWhetherATargetCanBeMet) {
  const ChannelGroups groups = analyse(wide(12, 20, 6));
  for (const Cost kind : {Cost::filters, Cost::params, Cost::macs}) {
    EXPECT_TRUE(Rounder(groups, {kind, 0.5}, 4).attainable());
    const Rounder too_much(groups, {kind, 0.97}, 4);  // 4 and 4 channels are the least
    EXPECT_FALSE(too_much.attainable());
    EXPECT_THROW(too_much.best(std::vector<double>(32, 1.0)), InputError);
  }
}

Choice chosen(const Graph& graph, const Target& target, int round_to) {
  Judge judge;
  judge.metric = Metric::output;
  judge.loss = Loss::output;
  const ChannelGroups groups = analyse(graph);
  const auto samples = twin_scenes(4, {3, 16, 16});
  const Scores scores = score(groups, samples, judge, {.probes = 4});
  ChooseOptions options;
  options.target = target;
  options.objective = "auto";
  options.solver.seconds = 60;
  options.solver.max_moves = 2000;  // whatever the machine does besides
  options.round_to = round_to;
  const MaskEvaluator evaluator(groups, samples, judge);
  return choose_mask(groups, scores, {.settings = evaluator}, options);
}

TEST(ChooseMask, AutoKeepsMultiplesWhereThatCostsNothing) {
  const Graph graph = wide(20, 20, 3);  // 34 of 40 groups aren't read
  const Target target{Cost::filters, 24.0 / 40};
  const ChannelGroups groups = analyse(graph);
  ASSERT_GT(uneven_layers(groups, chosen(graph, target, 1).mask, 4), 0);
  const Choice even = chosen(graph, target, 0);
  ASSERT_GT(even.round_to, 1);
  EXPECT_EQ(kept_count(even.mask), 16);
  EXPECT_EQ(uneven_layers(groups, even.mask, even.round_to), 0);
}

/// The trunk's groups are worth most, and two layers hold them.
TEST(Rounder, LetsTheBundleOfFewestLayersGiveWay) {
  Net net;
  const auto conv = [&](int x, int outputs, int inputs, std::uint64_t seed) {
    return net.add("Conv", {x, net.constant(numbers({outputs, inputs, 1, 1}, seed))});
  };
  const int trunk = conv(net.input({-1, 3, -1, -1}), 8, 3, 1);
  const int middle = net.add("Relu", {conv(trunk, 8, 8, 2)});
  const ChannelGroups groups =
      analyse(net.finish(conv(net.add("Add", {trunk, conv(middle, 8, 8, 3)}), 2, 8, 4)));
  ASSERT_EQ(groups.size(), 16);
  const auto& inner = groups.layers()[1].groups;
  std::vector<double> worth(16, 10.0);
  for (int g : inner) worth[at_index(g)] = 1;
  const Mask mask = Rounder(groups, {Cost::filters, 7.0 / 16}, 4, GivesWay::multiple).best(worth);
  EXPECT_EQ(kept_count(mask), 9);
  EXPECT_EQ(std::ranges::count_if(inner, [&](int g) { return mask[at_index(g)] != 0; }), 5);
  EXPECT_EQ(uneven_layers(groups, mask, 4), 1);
}

TEST(ChooseMask, AutoDoesNotSayMultiplesWhereTheOnlyLayerGivesWay) {
  Net net;
  const int h = net.add("Conv", {net.input({-1, 3, -1, -1}), net.constant(numbers({24, 3, 1, 1}, 1))});
  const Graph graph = net.finish(net.add("Conv", {h, net.constant(numbers({2, 24, 1, 1}, 2))}));
  const Choice choice = chosen(graph, {Cost::filters, 11.0 / 24}, 0);
  EXPECT_EQ(kept_count(choice.mask), 13);
  EXPECT_EQ(choice.round_to, 1);
}

TEST(ChooseMask, AutoKeepsOtherNumbersWhereMultiplesLoseSomething) {
  const Graph graph = wide(12, 12, 6);
  const Choice choice = chosen(graph, {Cost::filters, 0.5}, 0);  // just what is read: 6 and 6
  EXPECT_EQ(choice.round_to, 1);
  EXPECT_EQ(counts(choice.mask, 12), std::pair(6, 6));
}

/// Of 456 parameters 335 may stay. Multiples of 4 (or all 19) keep 309 of them at most, and whichever of the
/// channels that nothing reads a mask keeps, it has at least 318 where no other fits.
TEST(ChooseMask, AutoKeepsOtherNumbersWhereMultiplesMissTheTarget) {
  const Graph graph = wide(19, 19, 3);
  const Target target{Cost::params, 1 - 335.0 / 456};
  const Choice choice = chosen(graph, target, 0);
  EXPECT_EQ(choice.round_to, 1);
  const ChannelGroups groups = analyse(graph);
  EXPECT_GE(groups.cost().value(Cost::params, choice.mask), 318);
  const Mask even = Rounder(groups, target, 4).nearest(choice.mask, Qubo(groups.size()));
  EXPECT_LE(groups.cost().value(Cost::params, even), 309);
}

}  // namespace
}  // namespace quboprune
