#include "judging/cross_fit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <utility>

#include "core/index.h"
#include "data/test_samples.h"
#include "model/test_net.h"
#include "quboprune/mask_evaluator.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

using testing::list;
using testing::numbers;
using testing::six_channels;
using testing::twin_scenes;

Graph two_layers() {
  return six_channels([](testing::Net& net, int x) {
    return net.add("Conv", {x, net.constant(numbers({2, 6, 3, 3}, 3, 0.3)), net.constant(numbers({2}, 4))},
                   {{"pads", list({1, 1, 1, 1})}});
  });
}

/// Ten samples, two a scene: the scenes of parts 0, 1, 2, 3, 0.
struct ShippedValues : ::testing::Test {
  Judge judge{.metric = Metric::output, .loss = Loss::output};
  ChannelGroups groups = analyse(two_layers());
  std::vector<Sample> samples = twin_scenes(5, {3, 16, 16});
  std::vector<Mask> masks{{1, 1, 0, 1, 0, 1}, {0, 1, 1, 1, 1, 0}};
  RefitOptions refit{.ridges = {1e-6}};

  ShippedValues() {
    for (std::size_t k = 0; k < samples.size(); ++k) samples[k].scene = std::to_string(k / 2);
  }
  std::vector<std::vector<double>> shipped(const RefitOptions* repair) const {
    KeptValues none;
    return shipped_values(groups, masks, samples, judge, repair, none);
  }
  std::vector<double> of_first(std::span<const Sample> some) const {
    KeptValues none;
    return shipped_values(groups, std::span(masks).first(1), some, judge, &refit, none).front();
  }
};

TEST_F(ShippedValues, AreTheCutNetworksWhereNoRepairFollows) {
  const auto values = shipped(nullptr);
  const MaskEvaluator evaluator(groups, samples, judge);
  ASSERT_EQ(values.size(), 2U);
  for (std::size_t m = 0; m < masks.size(); ++m)
    EXPECT_EQ(values[m], evaluator.score(slice(groups, masks[m])).samples);
}

TEST_F(ShippedValues, HaveEachSampleOnceAndRepairHelpsOnScenesNotFitted) {
  const auto values = shipped(&refit);
  const auto cut = shipped(nullptr);
  for (std::size_t m = 0; m < masks.size(); ++m) {
    EXPECT_EQ(values[m].size(), samples.size());
    EXPECT_LT(score_of(values[m]).mean, score_of(cut[m]).mean);
  }
}

TEST_F(ShippedValues, DoNotDependOnTheOtherScenesOfTheirPart) {
  const auto before = of_first(samples);
  std::vector<Sample> changed = samples;
  changed[8].input = changed[8].input * 3;  // scene 4, of part 0 with scene 0
  const auto after = of_first(changed);
  ASSERT_EQ(samples[0].scene, samples[1].scene);
  for (std::size_t k : {0, 1}) EXPECT_EQ(after[k], before[k]) << "fitted on the same scenes";
  EXPECT_NE(after[4], before[4]) << "part 1 is fitted on what changed";
}

TEST_F(ShippedValues, KeepTwoScenesApart) {
  for (std::size_t k = 0; k < samples.size(); ++k) samples[k].scene = k < 5 ? "a" : "b";
  const auto before = of_first(samples);
  samples[4].input = samples[4].input * 3;
  const auto after = of_first(samples);
  for (std::size_t k : {0, 1, 2, 3}) EXPECT_EQ(after[k], before[k]) << "fitted on scene b alone";
  EXPECT_NE(after[5], before[5]);
}

TEST_F(ShippedValues, ComeInTheSamplesOrder) {
  KeptValues kept;
  kept.keep("part 0, as it would ship", masks[0], {0, 1, 8, 9});
  kept.keep("part 1, as it would ship", masks[0], {2, 3});
  kept.keep("part 2, as it would ship", masks[0], {4, 5});
  kept.keep("part 3, as it would ship", masks[0], {6, 7});
  const auto values = shipped_values(groups, std::span(masks).first(1), samples, judge, &refit, kept);
  EXPECT_EQ(values.front(), (std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST_F(ShippedValues, LeaveOutWhatWasntDone) {
  const std::atomic<bool> stop = true;
  const Control control{{}, &stop};
  KeptValues kept;
  for (const RefitOptions* repair : {&std::as_const(refit), static_cast<const RefitOptions*>(nullptr)}) {
    for (const auto& values : shipped_values(groups, masks, samples, judge, repair, kept, control))
      EXPECT_TRUE(values.empty());
  }
}

TEST_F(ShippedValues, GoOnWhereAStoppedRunLeftOff) {
  int walks = 0, last = std::numeric_limits<int>::max();
  std::atomic<bool> stop = false;
  const Control control{[&](std::string_view stage, double done, double total, double) {
                          if (stage.find(": refit") != stage.npos && done == total) stop = ++walks >= last;
                        },
                        &stop};
  const auto run = [&](KeptValues& kept) {
    walks = 0;
    stop = false;
    return shipped_values(groups, masks, samples, judge, &refit, kept, control);
  };
  KeptValues none, kept;
  const auto whole = run(none);
  const int all = std::exchange(last, walks / 2);
  const auto half = run(kept);
  ASSERT_FALSE(half.front().empty());
  ASSERT_LT(half.front().size(), samples.size());
  last = all;
  EXPECT_EQ(run(kept), whole);
  EXPECT_LT(walks, all);
  EXPECT_EQ(run(kept), whole);
  EXPECT_EQ(walks, 0) << "nothing was left to do";
}

}  // namespace
}  // namespace quboprune
