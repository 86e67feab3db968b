#include "prune/rounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "data/test_samples.h"
#include "model/test_net.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

using testing::list;
using testing::numbers;
using testing::six_channels;
using testing::twin_scenes;

/// Convolutions 3 → 6 → 4 → 2: groups 0 to 5, then 6 to 9.
Graph chain() {
  return six_channels([](testing::Net& net, int x) {
    const int h =
        net.add("Conv", {x, net.constant(numbers({4, 6, 3, 3}, 3, 0.3))}, {{"pads", list({1, 1, 1, 1})}});
    const int r = net.add("Relu", {h});
    return net.add("Conv", {r, net.constant(numbers({2, 4, 1, 1}, 5, 0.3))});
  });
}

struct Rounds : ::testing::Test {
  Judge judge{.metric = Metric::output, .loss = Loss::output};
  ChannelGroups groups = analyse(chain());
  std::vector<Sample> samples = twin_scenes(2, {3, 16, 16});
  Scores scores = score(groups, samples, judge, {.probes = 2});
  MaskEvaluator evaluator{groups, samples, judge};
  std::vector<int> seen;  // groups at the start of each round

  /// By gauss-newton's diagonal, as the program would.
  Mask run(const Target& target, int rounds) {
    const auto choose = [&](const ChannelGroups& left, const Scores& s, const MaskEvaluator&,
                            const Target& t) {
      seen.push_back(left.size());
      Formulation f = formulate("gauss-newton", left, s, {.cross = 0}, 0);
      f.solving = t.kind == Cost::filters ? Solving::sorting : Solving::search;
      return solve_at_target(f, left, t, {.seconds = 60, .max_moves = 2000}).pool.front().x;
    };
    return mask_in_rounds(groups, scores, evaluator, target, rounds,
                          {.samples = samples, .score = {.probes = 2}}, choose, {});
  }
};

TEST_F(Rounds, GroupsOfACutNetworkAreTheKeptOnesInOrder) {
  const Mask mask{1, 0, 1, 1, 0, 1, 0, 1, 1, 1};
  const auto found = original_groups(groups, mask, analyse(slice(groups, mask)));
  EXPECT_EQ(found, (std::vector<int>{0, 2, 3, 5, 7, 8, 9}));
}

TEST_F(Rounds, GroupsOfAnotherMasksNetworkDontCorrespond) {
  const Mask cut{1, 0, 1, 1, 0, 1, 0, 1, 1, 1};
  Mask other = cut;  // as many, in other layers
  std::swap(other[1], other[7]);
  EXPECT_FALSE(original_groups(groups, other, analyse(slice(groups, cut))));
}

TEST_F(Rounds, EachTakesItsShareOfWhatIsLeft) {
  const Mask mask = run({Cost::filters, 0.6}, 3);
  EXPECT_EQ(seen, (std::vector<int>{10, 8, 6}));
  EXPECT_EQ(kept_count(mask), 4);
}

TEST_F(Rounds, OneIsTheSameAsNone) {
  Formulation f = formulate("gauss-newton", groups, scores, {.cross = 0}, 0);
  f.solving = Solving::sorting;
  EXPECT_EQ(run({Cost::filters, 0.4}, 1),
            solve_at_target(f, groups, {Cost::filters, 0.4}, {}).pool.front().x);
}

TEST_F(Rounds, CostsAreTheLargestNotAboveTheTarget) {
  const Target target{Cost::macs, 0.5};
  const Mask mask = run(target, 4);
  ASSERT_EQ(mask.size(), 10U);
  EXPECT_LE(groups.cost().value(Cost::macs, mask), allowance(groups, target));
  const auto more = groups.cost().marginals(Cost::macs, mask);
  for (std::size_t g = 0; g < mask.size(); ++g) {
    if (mask[g] != 0) continue;
    EXPECT_GT(groups.cost().value(Cost::macs, mask) + more[g], allowance(groups, target)) << g;
  }
}

TEST_F(Rounds, StoppedOnesGiveNothing) {
  int calls = 0;
  const auto choose = [&](const ChannelGroups& left, const Scores&, const MaskEvaluator&, const Target&) {
    ++calls;
    Mask mask(static_cast<std::size_t>(left.size()), 1);
    mask[1] = 0;
    return mask;
  };
  const std::atomic<bool> stop = true;
  Control control;
  control.stop = &stop;
  EXPECT_TRUE(mask_in_rounds(groups, scores, evaluator, {Cost::filters, 0.4}, 4, {.samples = samples}, choose,
                             control)
                  .empty());
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace quboprune
