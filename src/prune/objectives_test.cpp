#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/index.h"
#include "data/test_samples.h"
#include "model/test_net.h"
#include "prune/candidates.h"
#include "quboprune/error.h"
#include "quboprune/measured.h"
#include "quboprune/prune.h"
#include "quboprune/reconstruction.h"
#include "quboprune/surgery.h"
#include "quboprune/trust.h"

namespace quboprune {
namespace {

using testing::list;
using testing::Net;
using testing::numbers;
using testing::six_channels;
using testing::twin_scenes;

Judge by_output() {
  Judge judge;
  judge.metric = Metric::output;
  judge.loss = Loss::output;
  return judge;
}

/// Convolutions 3 → 6 → 5 → 2 with Relu between: groups cut both sides of the middle one.
Graph three_layers() {
  return six_channels([](Net& net, int x) {
    const Attribute same = list({1, 1, 1, 1});
    const int h =
        net.add("Conv", {x, net.constant(numbers({5, 6, 3, 3}, 3, 0.3)), net.constant(numbers({5}, 4))},
                {{"pads", same}});
    const int r = net.add("Relu", {h});
    return net.add("Conv", {r, net.constant(numbers({2, 5, 3, 3}, 5, 0.3)), net.constant(numbers({2}, 6))},
                   {{"pads", same}});
  });
}

Graph two_layers() {
  return six_channels([](Net& net, int x) {
    return net.add("Conv", {x, net.constant(numbers({2, 6, 1, 1}, 7, 0.5)), net.constant(numbers({2}, 8))});
  });
}

/// A network, its groups, samples and scores.
struct Fixture {
  explicit Fixture(const Graph& graph)
      : groups(analyse(graph)),
        samples(twin_scenes(2, {3, 16, 16})),
        scores(score(groups, samples, judge, {.probes = 8})) {}
  Judge judge = by_output();
  ChannelGroups groups;
  std::vector<Sample> samples;
  Scores scores;

  Reconstruction reconstruction(double ridge = 1e-6) const {
    return Reconstruction(groups, samples, judge, scores, {.ridge = ridge, .probes = 8});
  }
  Mask without(const std::vector<int>& removed) const {
    Mask mask(at_index(groups.size()), 1);
    for (int g : removed) mask[at_index(g)] = 0;
    return mask;
  }
};

TEST(Reconstruction, DowndatesAddUpToTheErrorFromScratch) {
  const Fixture f(two_layers());
  const Reconstruction r = f.reconstruction();
  const Elimination found = r.eliminate({Cost::filters, 0.5});
  ASSERT_EQ(found.order.size(), 3U);
  std::vector<int> removed;
  double sum = 0;
  for (std::size_t k = 0; k < found.order.size(); ++k) {
    removed.push_back(found.order[k]);
    sum += found.errors[k];
    const double whole = r.error(f.without(removed));
    EXPECT_NEAR(sum, whole, 1e-6 * whole) << k;
  }
  EXPECT_EQ(found.mask, f.without(removed));
}

TEST(Reconstruction, RefusesARidgeThatLeavesMatricesSingular) {
  const Fixture f(two_layers());
  EXPECT_THROW(f.reconstruction(0), InputError);
  EXPECT_THROW(f.reconstruction(-1), InputError);
}

TEST(Reconstruction, EachStepTakesTheGroupThatAddsLeast) {
  const Fixture f(two_layers());
  const Reconstruction r = f.reconstruction();
  const Elimination found = r.eliminate({Cost::filters, 0.5});
  std::vector<int> removed;
  for (int taken : found.order) {
    std::vector<double> errors;
    for (int g = 0; g < f.groups.size(); ++g) {
      auto more = removed;
      more.push_back(g);
      errors.push_back(std::count(removed.begin(), removed.end(), g) > 0 ? INFINITY
                                                                         : r.error(f.without(more)));
    }
    EXPECT_EQ(taken, std::min_element(errors.begin(), errors.end()) - errors.begin());
    removed.push_back(taken);
  }
}

TEST(Reconstruction, IsTheMeanSquaredChangeOfTheRepairedOutput) {
  const Fixture f(two_layers());
  const Mask mask = f.without({1, 4});
  Graph repaired = slice(f.groups, mask);
  GramCache(f.groups, f.samples, f.judge).refit(mask, repaired, 1e-6);
  double squares = 0;
  for (const auto& s : f.samples) {
    const at::Tensor x = s.input.unsqueeze(0);
    squares += (Executor(two_layers())(x) - Executor(repaired)(x)).square().mean().item<double>() / 4;
  }
  // The output is the last layer's: only the probes are random, 4 samples x 256 positions x 8 probes of them,
  // and positions are weighted by smoothed squares of one probe. 10 % is several times their spread.
  EXPECT_NEAR(f.reconstruction().error(mask), squares, 0.1 * squares);
}

TEST(Reconstruction, OutputsThatGoDoNotCount) {
  const Fixture f(three_layers());
  const Reconstruction r = f.reconstruction();
  // Groups 0-5 are the first layer's, 6-10 the second's. With four of the second's gone the first's loss
  // shows in one output only.
  std::vector<int> second{6, 7, 8, 9};
  const double behind = r.error(f.without(second));
  auto both = second;
  both.push_back(0);
  EXPECT_LT(r.error(f.without(both)) - behind, r.error(f.without({0})));
}

TEST(Reconstruction, OneOfTwinsGoesFirstAndFree) {
  Graph graph = two_layers();
  for (auto& value : graph.values) {
    if (!value.is_constant() || value.constant.size(0) != 6) continue;
    value.constant = value.constant.tensor().clone();
    value.constant.tensor().select(0, 5).copy_(value.constant.tensor().select(0, 2));
  }
  const Fixture f(graph);
  const Elimination found = f.reconstruction().eliminate({Cost::filters, 0.2});
  ASSERT_EQ(found.order.size(), 1U);
  EXPECT_TRUE(found.order[0] == 2 || found.order[0] == 5);
  EXPECT_LT(found.errors[0], 1e-3 * *std::max_element(found.marginal.begin(), found.marginal.end()));
}

TEST(Reconstruction, MeetsMacsAndLeavesNothingOutThatFits) {
  const Fixture f(three_layers());
  const Target target{Cost::macs, 0.45};
  const Elimination found = f.reconstruction().eliminate(target);
  const double allowed = allowance(f.groups, target);
  EXPECT_LE(f.groups.cost().value(Cost::macs, found.mask), allowed);
  for (int g : found.order) {
    Mask more = found.mask;
    ASSERT_EQ(more[at_index(g)], 0);
    more[at_index(g)] = 1;
    EXPECT_GT(f.groups.cost().value(Cost::macs, more), allowed);
  }
}

TEST(Reconstruction, KeepsOneChannelOfEachLayerOrSaysSo) {
  const Fixture f(three_layers());
  const Elimination found = f.reconstruction().eliminate({Cost::filters, 0.8});
  EXPECT_EQ(kept_count(found.mask), 2);
  EXPECT_NO_THROW(slice(f.groups, found.mask));
  EXPECT_THROW(f.reconstruction().eliminate({Cost::filters, 0.95}), InputError);
}

TEST(MeasuredEffects, AreMeanMagnitudesOfSingleRemovals) {
  const Fixture f(three_layers());
  const MaskEvaluator evaluator(f.groups, f.samples, f.judge);
  KeptValues kept;
  const auto effects = measured_effects(f.groups, evaluator, 0, kept);
  ASSERT_EQ(effects.size(), at_index(f.groups.size()));
  for (int g = 0; g < f.groups.size(); ++g) {
    // The distance to the original's own outputs is 0 for the original: its values are the effects.
    EXPECT_NEAR(effects[at_index(g)], evaluator.value(f.without({g})), 1e-6 * effects[at_index(g)]);
  }
  int reports = 0;
  const Control control{
      [&](std::string_view stage, double, double, double) { reports += stage == "measure groups" ? 1 : 0; }};
  EXPECT_EQ(measured_effects(f.groups, evaluator, 0, kept, control), effects);
  EXPECT_EQ(reports, 0) << "all were known";
}

TEST(MeasuredEffects, ADeadChannelHasNone) {
  Graph graph = three_layers();
  for (auto& value : graph.values) {  // weights and bias of the first layer
    if (!value.is_constant() || value.constant.size(0) != 6) continue;
    value.constant = value.constant.tensor().clone();
    value.constant.tensor().select(0, 3).zero_();
  }
  const Fixture f(graph);
  KeptValues none;
  const auto effects = measured_effects(f.groups, MaskEvaluator(f.groups, f.samples, f.judge), 2, none);
  EXPECT_EQ(effects[3], 0);
  EXPECT_EQ(std::count(effects.begin(), effects.end(), 0.0), 1);
}

/// A quotient whose divisor is 0 without the first channel.
TEST(MeasuredEffects, ARemovalThatOverflowsCostsTheMostThatAnyDoes) {
  testing::Net net;
  const int x = net.input({-1, 1, 4, 4});
  const int h = net.add("Conv", {x, net.constant(at::ones({3, 1, 1, 1}))});
  const at::Tensor weights = at::tensor({2.0F, -0.5F, -0.25F}).view({1, 3, 1, 1});
  const int y = net.add("Relu", {net.add("Conv", {h, net.constant(weights)})});
  const Graph graph = net.finish(net.add("Div", {net.constant(at::ones({1})), y}));
  const ChannelGroups groups = analyse(graph);
  ASSERT_EQ(groups.size(), 3);
  std::vector<Sample> samples;
  for (int s = 0; s < 4; ++s)
    samples.push_back({at::full({1, 4, 4}, 0.5 + 0.1 * s), at::Tensor(), std::to_string(s), ""});
  Judge judge;
  judge.metric = Metric::output;
  KeptValues none;
  const auto effects = measured_effects(groups, MaskEvaluator(groups, samples, judge), 4, none);
  EXPECT_EQ(effects[0], *std::max_element(effects.begin() + 1, effects.end()));
}

TEST(FormulateMeasured, SingleRemovalsCostTheirEffectsAndPairsAddTheirCorrelation) {
  Scores s;
  s.groups = 3;
  s.probe_rows = 2;
  s.probes = {1, 2, 0, 3, -1, 0};  // group 2 is never seen
  const std::vector<double> effects{0.5, 2, 0.25};
  FormulationOptions options;
  options.cross = 0.3;
  const Formulation f = formulate_measured(effects, s, options);
  EXPECT_NEAR(f.qubo.energy({1, 1, 1}), 0, 1e-6);
  EXPECT_NEAR(f.qubo.energy({0, 1, 1}), 0.5, 1e-6);
  EXPECT_NEAR(f.qubo.energy({1, 0, 1}), 2, 1e-6);
  EXPECT_NEAR(f.qubo.energy({1, 1, 0}), 0.25, 1e-6);
  // correlation of the columns (1, 3) and (2, -1): -1/sqrt(50); ½u'Fu has F_gh once, scaled by 2·sqrt(0.5·2).
  const double pair = 0.3 * 2 * std::sqrt(0.5 * 2) * (-1 / std::sqrt(50.0));
  EXPECT_NEAR(f.qubo.energy({0, 0, 1}), 2.5 + pair, 1e-6);
}

TEST(Spearman, IsOneForAnyRisingMapAndSharesRanksOfTies) {
  EXPECT_DOUBLE_EQ(spearman({1, 5, 2, 9}, {1, 125, 8, 729}), 1);
  EXPECT_DOUBLE_EQ(spearman({1, 2, 3, 4}, {4, 3, 2, 1}), -1);
  EXPECT_DOUBLE_EQ(spearman({1, 2, 3, 4}, {1, 3, 2, 4}), 0.8);
  // Ranks 0, 1.5, 1.5, 3 against 0..3: 4.5 / sqrt(4.5 · 5).
  EXPECT_NEAR(spearman({1, 2, 2, 3}, {1, 2, 3, 4}), 4.5 / std::sqrt(22.5), 1e-12);
  EXPECT_TRUE(std::isnan(spearman({1, 1, 1}, {1, 2, 3})));
}

TEST(TrustMasks, AreDistinctAndMeetTheTarget) {
  const Fixture f(three_layers());
  const Mask seed = f.without({0, 1, 6, 7});
  const auto by_count = trust_masks(f.groups, {Cost::filters, 0.36}, {seed}, 30, 1);
  EXPECT_EQ(by_count.size(), 30U);
  for (std::size_t k = 0; k < by_count.size(); ++k) {
    EXPECT_EQ(kept_count(by_count[k]), 7);
    EXPECT_NE(by_count[k], seed);
    EXPECT_EQ(std::count(by_count.begin(), by_count.end(), by_count[k]), 1);
  }
  // Wholly random ones aren't the seed's opposites: some remove a part of what it removes.
  EXPECT_TRUE(std::ranges::any_of(by_count, [&](const Mask& mask) {
    int both = 0;
    for (std::size_t g = 0; g < mask.size(); ++g) both += mask[g] == 0 && seed[g] == 0;
    return both == 1 || both == 2;
  }));
  const Target macs{Cost::macs, 0.4};
  const auto by_macs = trust_masks(f.groups, macs, {seed}, 10, 1);
  EXPECT_FALSE(by_macs.empty());
  for (const auto& mask : by_macs)
    EXPECT_LE(f.groups.cost().value(Cost::macs, mask), allowance(f.groups, macs));
}

TEST(BestOrPlainest, KeepsThePlainestUnlessTheGainExceedsItsError) {
  const std::vector<double> plain{1, 2, 3, 4};
  const std::vector<double> steady{0.9, 1.9, 2.9, 3.9};
  const std::vector<double> lucky{-2, 2.5, 3.5, 4.5};  // gains 0.375 ± 0.875
  EXPECT_EQ(best_or_plainest({plain, steady}, {plain, steady}), 1U);
  EXPECT_EQ(best_or_plainest({plain, lucky}, {plain, lucky}), 0U);
  EXPECT_EQ(best_or_plainest({steady, plain}, {steady, plain}), 0U);
  // Better after the refit alone, or as cut alone: not believed.
  EXPECT_EQ(best_or_plainest({steady, plain}, {plain, steady}), 0U);
  EXPECT_EQ(best_or_plainest({plain, steady}, {steady, plain}), 0U);
}

TEST(NotClearlyWorse, KeepsWhatTheBestDoesntBeatByMoreThanItsError) {
  const std::vector<double> plain{1, 2, 3, 4};
  const std::vector<double> steady{0.9, 1.9, 2.9, 3.9};
  const std::vector<double> lucky{-2, 2.5, 3.5, 4.5};  // the best, by 0.275 ± 0.875 over steady
  EXPECT_EQ(not_clearly_worse({plain, steady, lucky}, {0, 1, 2}), (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(not_clearly_worse({plain, steady, lucky}, {0, 1}), (std::vector<std::size_t>{1}));
}

TEST(NotClearlyWorse, CountsScenesWhereTheyAreKnown) {
  // Gains of 1 and 0 by scene, twice each: 0.5 ± 0.29 by samples, 0.5 ± 0.5 by scenes, of which there are
  // two.
  const std::vector<double> plain{1, 1, 1, 1}, other{0, 0, 1, 1};
  EXPECT_EQ(not_clearly_worse({plain, other}, {0, 1}), (std::vector<std::size_t>{1}));
  const std::vector<std::string> scenes{"a", "a", "b", "b"};
  EXPECT_EQ(not_clearly_worse({plain, other}, {0, 1}, scenes), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(best_or_plainest({plain, other}, {plain, other}, scenes), 0U);
  EXPECT_EQ(best_or_plainest({plain, other}, {plain, other}, {"a", "a", "a", "a"}), 1U);
}

TEST(NotClearlyWorse, LeavesOutWhatBreaksOnASample) {
  const std::vector<double> sound{1, 2, 3, 4};
  const std::vector<double> broken{0, std::numeric_limits<double>::infinity(), 0, 0};
  EXPECT_EQ(not_clearly_worse({broken, sound}, {0, 1}), (std::vector<std::size_t>{1}));
  EXPECT_EQ(best_or_plainest({broken, sound}, {broken, sound}), 1U);
  EXPECT_EQ(not_clearly_worse({broken, broken}, {0, 1}), (std::vector<std::size_t>{0, 1}));
}

TEST(Candidates, AreNearlyAsGoodWithinTwoPercentOfTheError) {
  const std::vector<double> one{-30, -40, -35};
  const auto by = [&](double more) {
    std::vector<double> other = one;
    for (double& v : other) v += more;
    return other;
  };
  EXPECT_TRUE(nearly_as_good(by(-1), one, Metric::psnr));
  EXPECT_TRUE(nearly_as_good(by(0.08), one, Metric::psnr));  // 10 lg 1.02 = 0.086 dB
  EXPECT_FALSE(nearly_as_good(by(0.09), one, Metric::psnr));
  EXPECT_FALSE(nearly_as_good({-31, -38, -35}, one, Metric::psnr));  // 0.33 ± 0.88 dB
  EXPECT_TRUE(nearly_as_good({-0.8990, -0.8990}, {-0.9, -0.9}, Metric::ssim));
  EXPECT_FALSE(nearly_as_good({-0.8970, -0.8970}, {-0.9, -0.9}, Metric::ssim));
  EXPECT_TRUE(nearly_as_good({0.0101, 0.0101}, {0.01, 0.01}, Metric::output));
  EXPECT_FALSE(nearly_as_good({0.0103, 0.0103}, {0.01, 0.01}, Metric::output));
}

TEST(ChooseMask, AutoTakesWhatMeasuresBest) {
  const Fixture f(three_layers());
  const MaskEvaluator evaluator(f.groups, f.samples, f.judge, {.refit = true});
  const Evidence evidence{.settings = evaluator};
  ChooseOptions options;
  options.target = {Cost::filters, 0.36};
  options.objective = "auto";
  options.solver.seconds = 60;
  options.solver.max_moves = 2000;  // whatever the machine does besides
  options.trust_masks = 12;
  options.trust_samples = 0;
  const Choice choice = choose_mask(f.groups, f.scores, evidence, options);
  EXPECT_EQ(kept_count(choice.mask), 7);
  EXPECT_NE(choice.reason.find(choice.objective), std::string::npos);
  double best = INFINITY;
  for (const auto& [setting, value] : choice.tried) best = std::min(best, value);
  // Four samples: what was taken is the best or within a standard error of it, far from the worst.
  EXPECT_LE(evaluator.value(choice.mask), 2 * best + 1e-9);
}

TEST(ChooseMask, AutoGoesByComparedValuesWhereThereAreAny) {
  const Fixture f(three_layers());
  const MaskEvaluator evaluator(f.groups, f.samples, f.judge);
  Evidence evidence{.settings = evaluator};
  ChooseOptions options;
  options.target = {Cost::filters, 0.36};
  options.objective = "auto";
  options.solver.seconds = 60;
  options.solver.max_moves = 2000;  // whatever the machine does besides
  options.trust_masks = 12;
  options.trust_samples = 0;
  std::vector<Mask> asked;
  evidence.as_shipped = [&](std::span<const Mask> masks) {
    asked.assign(masks.begin(), masks.end());
    std::vector<std::vector<double>> values;  // the last is the best, beyond any doubt
    for (std::size_t m = 0; m < masks.size(); ++m) values.emplace_back(4, 1.0 / static_cast<double>(m + 1));
    return values;
  };
  const Choice choice = choose_mask(f.groups, f.scores, evidence, options);
  ASSERT_GT(asked.size(), 1U);
  EXPECT_EQ(choice.mask, asked.back());
  EXPECT_NE(choice.reason.find("as it would ship"), std::string::npos);
  evidence.as_shipped = [](std::span<const Mask> masks) {
    return std::vector<std::vector<double>>(masks.size());
  };
  const Choice stopped = choose_mask(f.groups, f.scores, evidence, options);
  EXPECT_EQ(stopped.reason.find("as it would ship"), std::string::npos);
  // Where that leaves all level, the trust meter decides.
  evidence.as_shipped = [](std::span<const Mask> masks) {
    return std::vector<std::vector<double>>(masks.size(), std::vector<double>(4, 1.0));
  };
  const Choice level = choose_mask(f.groups, f.scores, evidence, options);
  ASSERT_EQ(level.trust.correlations.size(), 4U);
  EXPECT_EQ(level.trust.values.size(), 12U);
  const auto trusted = std::ranges::max_element(level.trust.correlations, {},
                                                [](const auto& objective) { return objective.second; });
  EXPECT_EQ(level.objective, trusted->first);
}

TEST(ChooseMask, TakesARefinedMaskOnlyIfTheCheckFindsItBetter) {
  const Fixture f(three_layers());
  const MaskEvaluator evaluator(f.groups, f.samples, f.judge);
  Evidence evidence{.settings = evaluator};
  ChooseOptions options;
  options.target = {Cost::filters, 0.36};
  options.objective = "random";
  options.refine = "local";
  options.search.evaluations = 60;
  const Mask start = [&] {
    ChooseOptions unrefined = options;
    unrefined.refine = "none";
    return choose_mask(f.groups, f.scores, evidence, unrefined).mask;
  }();
  for (const double found : {0.5, 1.5}) {
    std::vector<Mask> asked;
    evidence.check = [&](const Mask& mask) {
      asked.push_back(mask);
      return std::vector<double>(3, mask == start ? 1 : found);
    };
    const Choice choice = choose_mask(f.groups, f.scores, evidence, options);
    ASSERT_EQ(asked.size(), 2U);
    EXPECT_EQ(choice.refinement->check->best, found);
    EXPECT_EQ(choice.refinement->seed_kept, found > 1);
    EXPECT_EQ(choice.mask, found > 1 ? start : asked[1]);
    EXPECT_EQ(choice.refinement->best, evaluator.metric(evaluator.value(choice.mask)));
  }
  evidence.check = [](const Mask&) -> std::vector<double> { throw Stopped("stopped"); };
  const Choice stopped = choose_mask(f.groups, f.scores, evidence, options);
  EXPECT_FALSE(stopped.refinement->check.has_value());
  EXPECT_LT(evaluator.value(stopped.mask), evaluator.value(start));
}

/// Auto with a short refinement, on so many samples of each of two scenes.
Choice chosen_to_ship(int each, const Shipping& shipping, const Control& control = {}) {
  const Fixture f(three_layers());
  ChooseOptions options;
  options.target = {Cost::filters, 0.36};
  options.objective = "auto";
  options.refine = "local";
  options.solver.seconds = 60;
  options.solver.max_moves = 2000;  // whatever the machine does besides
  options.search.evaluations = 8;
  return choose_mask_to_ship(f.groups, f.scores, twin_scenes(each, {3, 16, 16}), f.judge, options, shipping,
                             control);
}

TEST(ChooseMaskToShip, ComparesByRepairsAndChecksOnOtherSamples) {
  const RefitOptions refit;
  for (const bool aware : {true, false}) {
    const Choice choice = chosen_to_ship(4, {.refit = &refit, .refit_aware = aware});
    EXPECT_EQ(kept_count(choice.mask), 7);
    EXPECT_NE(choice.reason.find("as it would ship"), std::string::npos) << choice.reason;
    ASSERT_TRUE(choice.refinement.has_value());
  }
}

TEST(ChooseMaskToShip, HasNoSamplesToSpareBelowSix) {
  const Choice choice = chosen_to_ship(2, {});
  EXPECT_EQ(kept_count(choice.mask), 7);
  EXPECT_EQ(choice.reason.find("as it would ship"), std::string::npos) << choice.reason;
  ASSERT_TRUE(choice.refinement.has_value());
  EXPECT_FALSE(choice.refinement->check.has_value());
}

TEST(ChooseMaskToShip, HasNothingToReturnWhenStoppedAtOnce) {
  const std::atomic<bool> stop = true;
  const RefitOptions refit;
  EXPECT_THROW(chosen_to_ship(4, {.refit = &refit}, {.progress = {}, .stop = &stop}), Stopped);
}

}  // namespace
}  // namespace quboprune
