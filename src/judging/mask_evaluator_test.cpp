#include "quboprune/mask_evaluator.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "coupling/analysis.h"
#include "data/test_samples.h"
#include "judging/folded_norms.h"
#include "judging/mask_evaluator_race.h"
#include "judging/mask_evaluator_runs.h"
#include "model/test_net.h"
#include "quboprune/error.h"
#include "quboprune/random.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

using testing::list;
using testing::Net;
using testing::uniform;

int add_conv(Net& net, int from, std::int64_t inputs, std::int64_t outputs, Rng& rng) {
  const int weight = net.constant(uniform({outputs, inputs, 3, 3}, rng));
  const int bias = net.constant(uniform({outputs}, rng));
  return net.add("Relu", {net.add("Conv", {from, weight, bias}, {{"pads", list({1, 1, 1, 1})}})});
}

/// 2 -> stages of random widths, each plain, residual (an Add that ties channels) or of two joined branches
/// -> 2.
Graph random_network(Rng& rng) {
  Net net;
  const int x = net.input({-1, 2, -1, -1});
  std::int64_t width = 3 + rng.below(4);
  int h = add_conv(net, x, 2, width, rng);
  for (int stage = 0; stage < 3; ++stage) {
    const std::uint32_t kind = rng.below(3);
    const std::int64_t next = kind == 1 ? width : 3 + rng.below(4);
    const int a = add_conv(net, h, width, next, rng);
    if (kind == 0) h = a;
    if (kind == 1) h = net.add("Add", {h, a});
    if (kind == 2) h = net.add("Concat", {a, add_conv(net, h, width, 3, rng)}, {{"axis", Attribute::of(1)}});
    width = kind == 2 ? next + 3 : next;
  }
  h = add_conv(net, h, width, 2, rng);
  return net.finish(h);
}

std::vector<Sample> random_samples(int count, Rng& rng) {
  return testing::random_samples(count, {2, 8, 8}, {2, 8, 8}, rng);
}

/// Masks with a tenth of the groups away from one another: many share their beginnings.
std::vector<Mask> random_masks(int count, int groups, Rng& rng) {
  Mask base(static_cast<std::size_t>(groups), 1);
  for (auto& bit : base) bit = rng.below(4) > 0;
  std::vector<Mask> masks{base};
  while (static_cast<int>(masks.size()) < count) {
    Mask mask = masks[rng.below(static_cast<std::uint32_t>(masks.size()))];
    for (auto& bit : mask) bit = rng.below(10) == 0 ? 1 - bit : bit;
    masks.push_back(mask);
  }
  masks.push_back(base);  // a duplicate
  return masks;
}

struct Setting {
  std::size_t shared_bytes;
  bool refit;
};

class AnyNetwork : public ::testing::TestWithParam<Setting> {};

TEST_P(AnyNetwork, HasTheValueOfAPlainRunOfItsCut) {
  int finite = 0;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    Rng rng(seed);
    const Graph graph = random_network(rng);
    const ChannelGroups groups = analyse(graph);
    const MaskEvaluator evaluator(
        groups, random_samples(10, rng), Judge{},
        {.refit = GetParam().refit, .shared_bytes = GetParam().shared_bytes, .race = 0});
    const MaskObjective objective = evaluator.objective();
    for (int call = 0; call < 3; ++call) {
      const auto masks = random_masks(8, groups.size(), rng);
      const auto values = evaluator(masks);
      // The second way keeps activations of the best mask from call to call.
      const auto again = objective(masks);
      for (std::size_t m = 0; m < masks.size(); ++m) {
        if (std::isinf(values[m])) {
          EXPECT_THROW(slice(groups, masks[m]), InputError);
          EXPECT_EQ(again[m], values[m]);
          continue;
        }
        ++finite;
        // Other batch sizes may sum a convolution's at most 81 float products, over 5 layers, in another
        // order: relative 2^-24·9·5 = 3e-6 of the error, 10/ln(10)·2 times that in dB, < 1e-4.
        const double plain = -evaluator.score(evaluator.cut(masks[m])).mean;
        EXPECT_NEAR(values[m], plain, 1e-4);
        EXPECT_NEAR(again[m], plain, 1e-4);
        EXPECT_NEAR(evaluator.value(masks[m]), plain, 1e-4);
      }
    }
  }
  EXPECT_GT(finite, 50);
}

INSTANTIATE_TEST_SUITE_P(MemoryAndRefit, AnyNetwork,
                         ::testing::Values(Setting{0, false}, Setting{20'000, false},
                                           Setting{std::size_t{1} << 28U, false}, Setting{0, true},
                                           Setting{std::size_t{1} << 28U, true}));

/// The convolution's output is read by the norm alone, or by an addition too.
TEST(FoldedNorms, LeaveTheOutputAsItWas) {
  for (const bool alone : {true, false}) {
    Rng rng(4);
    Net net;
    const int x = net.input({-1, 2, -1, -1});
    const int weight = net.constant(uniform({5, 2, 3, 3}, rng));
    const int h = net.add("Conv", {x, weight}, {{"pads", list({1, 1, 1, 1})}});
    std::vector<int> reads{h};
    for (int k = 0; k < 4; ++k) reads.push_back(net.constant(uniform({5}, rng).abs() + 0.2));
    const int normed = net.add("BatchNormalization", reads);
    const Graph graph = net.finish(alone ? net.add("Relu", {normed}) : net.add("Add", {normed, h}));
    const Graph folded = with_norms_folded(graph);
    EXPECT_EQ(folded.nodes.size(), graph.nodes.size() - (alone ? 1 : 0));
    const at::Tensor input = uniform({2, 2, 7, 7}, rng);
    // Sums of 18 products of at most 1, times at most 1/sqrt(0.2): some 20 roundings of 2^-24 of 18·2.3.
    EXPECT_TRUE(at::allclose(Executor(folded)(input), Executor(graph)(input), 0, 5e-5));
  }
}

/// Wide enough for fast convolutions, where the processor and the build have them. Those round up to 50 times
/// as much as one sum (blocked_test.cpp): over two layers a relative 50·2·2^-24 of sums of absolute
/// products, which may be ten times their sum: 6e-5 of an output, twice that of a squared error, 5e-4 dB.
TEST(WideNetwork, HasTheValueOfAPlainRunOfItsCut) {
  Rng rng(3);
  Net net;
  const int x = net.input({-1, 3, -1, -1});
  int h = add_conv(net, x, 3, 32, rng);
  h = add_conv(net, h, 32, 32, rng);
  std::vector<int> reads{net.add("Conv", {h, net.constant(uniform({32, 32, 3, 3}, rng))})};
  for (int k = 0; k < 4; ++k) reads.push_back(net.constant(uniform({32}, rng).abs() + 0.2));
  h = net.add("Relu", {net.add("BatchNormalization", reads)});
  const Graph graph = net.finish(add_conv(net, h, 32, 3, rng));
  const ChannelGroups groups = analyse(graph);
  std::vector<Sample> samples;
  for (int k = 0; k < 6; ++k) {
    const at::Tensor clean = (uniform({3, 48, 48}, rng) + 1) / 2;
    const at::Tensor target = clean.slice(1, 1, 47).slice(2, 1, 47);
    samples.push_back({clean, target, std::to_string(k), std::to_string(k)});
  }
  const MaskEvaluator evaluator(groups, samples, Judge{}, {.race = 0});
  for (const Mask& mask : random_masks(6, groups.size(), rng))
    EXPECT_NEAR(evaluator.value(mask), -evaluator.score(evaluator.cut(mask)).mean, 5e-4);
}

/// Networks of some masks, keyed.
std::vector<KeyedNetwork> networks_of(const ChannelGroups& groups, const std::vector<Mask>& masks) {
  const NetworkKeys keys(groups.analysis().graph);
  std::vector<KeyedNetwork> networks;
  for (const auto& mask : masks) networks.push_back(keys.of(slice(groups, mask)));
  return networks;
}

/// A chain of three convolutions of 4 channels each: groups 0-3, 4-7, 8-11.
Graph chain() {
  Rng rng(5);
  Net net;
  const int x = net.input({-1, 2, -1, -1});
  int h = add_conv(net, x, 2, 4, rng);
  h = add_conv(net, h, 4, 4, rng);
  h = add_conv(net, h, 4, 4, rng);
  h = add_conv(net, h, 4, 2, rng);
  return net.finish(h);
}

class Sharing : public ::testing::Test {
 protected:
  /// Nodes run for each network of a batch.
  std::vector<std::size_t> counts(SharedRuns& runs, const std::vector<KeyedNetwork>& networks, int batch) {
    std::vector<const KeyedNetwork*> all;
    for (const auto& network : networks) all.push_back(&network);
    runs.expect(all, batch);
    std::vector<std::size_t> result;
    for (const auto& network : networks) {
      const std::size_t before = runs.nodes_run();
      const at::Tensor shared = runs.output(network, {input_}, batch);
      result.push_back(runs.nodes_run() - before);
      EXPECT_TRUE(at::equal(shared, network.executor(input_)));
    }
    runs.finish(batch);
    return result;
  }
  Mask without(int group) const {
    Mask mask(static_cast<std::size_t>(groups_.size()), 1);
    mask[static_cast<std::size_t>(group)] = 0;
    return mask;
  }

  const ChannelGroups groups_ = analyse(chain());
  const at::Tensor input_ = at::ones({1, 2, 8, 8});
};

TEST_F(Sharing, RunsOnlyWhatIsBehindTheFirstDifference) {
  ASSERT_EQ(groups_.size(), 12);
  SharedRuns runs(std::size_t{1} << 20U, 0);
  // 8 nodes; a group of the third convolution concerns the last 4, one of the second 6.
  EXPECT_EQ(counts(runs, networks_of(groups_, {without(8), without(9), without(4), without(8)}), 0),
            (std::vector<std::size_t>{8, 4, 6, 0}));
  EXPECT_EQ(runs.bytes(), 0U);
}

TEST_F(Sharing, FollowsTheBestFromCallToCall) {
  SharedRuns runs(std::size_t{1} << 20U, 0);
  runs.follow(networks_of(groups_, {without(8)}).front());
  EXPECT_EQ(counts(runs, networks_of(groups_, {without(8)}), 0), std::vector<std::size_t>{8});
  EXPECT_EQ(counts(runs, networks_of(groups_, {without(9)}), 0), std::vector<std::size_t>{4});
  EXPECT_EQ(counts(runs, networks_of(groups_, {without(9)}), 1), std::vector<std::size_t>{8});
  runs.follow(networks_of(groups_, {without(0)}).front());
  EXPECT_EQ(runs.bytes(), 0U);
}

TEST_F(Sharing, KeepsNoMoreThanItMay) {
  const std::size_t limit = 2 * 4 * 8 * 8 * sizeof(float);  // two activations of 4 channels
  SharedRuns runs(limit, 0);
  runs.follow(networks_of(groups_, {without(8)}).front());
  for (int batch = 2; batch >= 0; --batch)
    counts(runs, networks_of(groups_, {without(8), without(0), without(9), without(4)}), batch);
  EXPECT_LE(runs.peak_bytes(), limit);
  EXPECT_GT(runs.bytes(), 0U);
}

// ---- the race

TEST(Race, KnowsStudentsDistribution) {
  // Published quantiles (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2), to three decimals.
  EXPECT_NEAR(upper_tail(6.314, 1), 0.05, 1e-5);
  EXPECT_NEAR(upper_tail(6.965, 2), 0.01, 1e-5);
  EXPECT_NEAR(upper_tail(4.541, 3), 0.01, 1e-5);
  EXPECT_NEAR(upper_tail(2.998, 7), 0.01, 1e-5);
  EXPECT_NEAR(upper_tail(2.453, 31), 0.01, 1e-5);
  EXPECT_NEAR(upper_tail(-6.314, 1), 0.95, 1e-5);
}

/// How often a race over 32 samples whose mean is 0 gives up, looking after every four.
double share_given_up(const RaceRule& rule, const std::function<double(Rng&)>& draw) {
  Rng rng(3);
  constexpr int races = 4000;
  int given_up = 0;
  for (int race = 0; race < races; ++race) {
    std::vector<double> d(32);
    for (double& v : d) v = draw(rng);
    const double mean = std::accumulate(d.begin(), d.end(), 0.0) / 32;
    for (double& v : d) v -= mean;
    bool lost = false;
    for (std::size_t n = 4; n < d.size(); n += 4)
      lost = lost || rule.hopeless(std::span(d).first(n), static_cast<int>(n) / 4);
    given_up += lost ? 1 : 0;
  }
  return given_up / static_cast<double>(races);
}

TEST(Race, GivesUpEqualsNoMoreOftenThanItMay) {
  const auto normal = [](Rng& rng) {
    return std::sqrt(-2 * std::log(1 - rng.uniform())) * std::cos(6.283185307179586 * rng.uniform());
  };
  // Standard error of the share at 0.05 and 4000 races: 0.0034.
  EXPECT_LT(share_given_up({.samples = 32, .looks = 7, .error = 0.05}, normal), 0.05 + 3 * 0.0034);
  EXPECT_LT(share_given_up({.samples = 32, .looks = 7, .error = 0.05, .prior_variance = 1}, normal),
            0.05 + 3 * 0.0034);
  const auto sign = [](Rng& rng) { return static_cast<double>(rng.below(3)) - 1; };
  EXPECT_LT(share_given_up({.samples = 32, .looks = 7, .error = 0.05, .range = 2}, sign), 0.05 + 3 * 0.0034);
}

TEST(Race, GivesUpWhatIsClearlyWorseAndNothingElse) {
  const RaceRule rule{.samples = 32, .looks = 7};
  const std::vector<double> worse{1.0, 1.1, 0.9, 1.05}, better{-1.0, -1.1, -0.9, -1.05};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(rule.hopeless(worse, 1));
  EXPECT_FALSE(rule.hopeless(better, 1));
  EXPECT_FALSE(rule.hopeless(std::span(worse).first(3), 1));
  EXPECT_FALSE(rule.hopeless(std::vector<double>{1, 1, 1, nan}, 1));
  EXPECT_FALSE(rule.hopeless(std::vector<double>(8, 0.0), 2));
}

TEST(Race, NeverMakesALoserLookBetterThanTheLeader) {
  int estimated = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Rng rng(seed);
    const ChannelGroups groups = analyse(random_network(rng));
    auto samples = random_samples(24, rng);
    const Mask whole(static_cast<std::size_t>(groups.size()), 1);
    // Targets near the original's outputs: whatever is cut is clearly worse.
    for (auto& s : samples)
      s.target = Executor(groups.analysis().graph)(s.input.unsqueeze(0))[0] + 0.01 * uniform({2, 8, 8}, rng);
    const MaskEvaluator evaluator(groups, samples, Judge{});
    const MaskObjective objective = evaluator.objective();
    const double best = objective({&whole, 1}).front();
    EXPECT_EQ(best, evaluator.value(whole));
    const auto masks = random_masks(8, groups.size(), rng);
    const auto raced = objective(masks);
    const auto exact = evaluator(masks);
    for (std::size_t m = 0; m < masks.size(); ++m) {
      if (raced[m] == exact[m]) continue;
      ++estimated;
      EXPECT_GT(raced[m], best);
    }
  }
  EXPECT_GT(estimated, 20);
}

/// Calls of masks near one another, so many that the race comes to go by earlier masks' differences.
TEST(Race, GivesTrueValuesOrWorseThanTheLeadersAndTheSameAgain) {
  Rng rng(3);
  const ChannelGroups groups = analyse(random_network(rng));
  auto samples = random_samples(24, rng);
  for (auto& s : samples)
    s.target = Executor(groups.analysis().graph)(s.input.unsqueeze(0))[0] + 0.1 * uniform({2, 8, 8}, rng);
  const MaskEvaluator evaluator(groups, samples, Judge{}, {.shared_bytes = std::size_t{1} << 14U});
  std::vector<std::vector<Mask>> calls;
  for (int call = 0; call < 12; ++call) calls.push_back(random_masks(6, groups.size(), rng));
  const auto race = [&] {
    const MaskObjective objective = evaluator.objective();
    std::vector<std::vector<double>> values;
    for (const auto& masks : calls) values.push_back(objective(masks));
    return values;
  };
  const auto raced = race();
  EXPECT_EQ(raced, race());
  double best = std::numeric_limits<double>::infinity();
  int estimated = 0;
  for (std::size_t call = 0; call < calls.size(); ++call) {
    const auto exact = evaluator(calls[call]);
    for (std::size_t m = 0; m < exact.size(); ++m) {
      if (raced[call][m] == exact[m]) continue;
      ++estimated;
      EXPECT_GT(raced[call][m], best);
    }
    for (double value : raced[call]) best = std::min(best, value);
  }
  EXPECT_GT(estimated, 0);
}

TEST(Race, RefusesOptionsOutsideTheirRange) {
  Rng rng(1);
  const ChannelGroups groups = analyse(chain());
  EXPECT_THROW(MaskEvaluator(groups, random_samples(2, rng), Judge{}, {.race = 0.5}), InputError);
  EXPECT_THROW(MaskEvaluator(groups, random_samples(2, rng), Judge{}, {.at_once = 0}), InputError);
}

TEST(MaskEvaluator, PassesOverBranchesThatAMaskEmpties) {
  Rng rng(3);
  Net net;
  const int x = net.input({-1, 2, -1, -1});
  const int stem = add_conv(net, x, 2, 4, rng);
  const int inner = add_conv(net, stem, 4, 5, rng);
  const int weight = net.constant(uniform({4, 5, 3, 3}, rng));
  const int branch =
      net.add("Conv", {inner, weight, net.constant(uniform({4}, rng))}, {{"pads", list({1, 1, 1, 1})}});
  const Graph graph = net.finish(add_conv(net, net.add("Add", {stem, branch}), 4, 2, rng));
  const ChannelGroups groups = analyse(graph, {.allow_empty = true});
  Mask mask(static_cast<std::size_t>(groups.size()), 1);
  for (int g = 0; g < groups.size(); ++g) {
    if (groups.members(g).size() == 1) mask[static_cast<std::size_t>(g)] = 0;  // the inner channels
  }
  ASSERT_EQ(kept_count(mask), groups.size() - 5);
  Judge judge;
  judge.metric = Metric::loss;
  judge.loss = Loss::mse;
  for (const bool refit : {false, true}) {
    EvaluatorOptions options;
    options.refit = refit;
    const MaskEvaluator evaluator(groups, random_samples(4, rng), judge, options);
    EXPECT_TRUE(std::isfinite(evaluator.value(mask))) << refit;
  }
}

}  // namespace
}  // namespace quboprune
