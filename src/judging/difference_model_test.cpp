#include "judging/difference_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "judging/mask_evaluator_race.h"
#include "quboprune/random.h"

namespace quboprune {
namespace {

constexpr std::size_t kSamples = 32, kBatch = 4;

using Draw = std::function<std::vector<double>(Rng&)>;

double normal(Rng& rng) {
  return std::sqrt(-2 * std::log(1 - rng.uniform())) * std::cos(6.283185307179586 * rng.uniform());
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Differences that follow three directions, with a little of each sample's own.
std::vector<double> along_three(Rng& rng) {
  const double a = normal(rng), b = normal(rng), c = normal(rng);
  std::vector<double> d(kSamples);
  for (std::size_t s = 0; s < kSamples; ++s) {
    const auto at = static_cast<double>(s);
    d[s] = a + b * std::cos(at) + c * std::sin(0.5 * at * at) + 0.1 * normal(rng);
  }
  return d;
}

std::vector<double> alone(Rng& rng) {
  std::vector<double> d(kSamples);
  for (double& v : d) v = normal(rng);
  return d;
}

std::vector<std::size_t> first(std::size_t count) {
  std::vector<std::size_t> samples(count);
  std::iota(samples.begin(), samples.end(), std::size_t{0});
  return samples;
}

/// Taught by masks that all saw all samples, each of them expected before, look by look, as in a race.
DifferenceModel taught(const Draw& draw, int masks, Rng& rng) {
  DifferenceModel model(kSamples);
  for (int m = 0; m < masks; ++m) {
    const auto d = draw(rng);
    std::vector<ExpectedDifference> expected;
    for (std::size_t n = kBatch; model.expects() && n < kSamples; n += kBatch)
      expected.push_back(model.seen(first(n)).expected(std::span(d).first(n)));
    for (const auto& e : expected) model.compare(e, mean_of(d));
    model.learn(d);
  }
  return model;
}

std::vector<std::vector<std::size_t>> batches() {
  std::vector<std::vector<std::size_t>> result(kSamples / kBatch);
  for (std::size_t s = 0; s < kSamples; ++s) result[s / kBatch].push_back(s);
  return result;
}

TEST(DifferenceModel, KnowsTheMeanOfWhatWasSeenWhole) {
  Rng rng(1);
  const DifferenceModel model = taught(along_three, 12, rng);
  const auto d = along_three(rng);
  const auto expected = model.seen(first(kSamples)).expected(d);
  EXPECT_NEAR(expected.mean, mean_of(d), 1e-12);
  EXPECT_NEAR(expected.deviation, 0, 1e-12);
  EXPECT_EQ(expected.degrees, static_cast<int>(kSamples));
}

TEST(DifferenceModel, TellsTheRestFromAFewByWhatEarlierMasksShare) {
  Rng rng(2);
  const DifferenceModel model = taught(along_three, 30, rng);
  const auto seen = first(2 * kBatch);
  const auto view = model.seen(seen);
  double by_model = 0, by_mean = 0, in_deviations = 0;
  constexpr int masks = 200;
  for (int m = 0; m < masks; ++m) {
    const auto d = along_three(rng);
    const std::vector<double> some(d.begin(), d.begin() + static_cast<std::ptrdiff_t>(seen.size()));
    const auto expected = view.expected(some);
    const double error = expected.mean - mean_of(d);
    by_model += error * error / masks;
    by_mean += std::pow(mean_of(some) - mean_of(d), 2) / masks;
    in_deviations += std::pow(error / expected.deviation, 2) / masks;
  }
  EXPECT_LT(by_model, 0.05 * by_mean);
  EXPECT_GT(in_deviations, 0.3);
  EXPECT_LT(in_deviations, 3);
}

TEST(DifferenceModel, ExpectsAfterEightMasksThatTeachAndIsReadyAfterTwentyComparisons) {
  Rng rng(3);
  DifferenceModel model = taught(alone, 7, rng);
  model.learn(std::vector<double>(kSamples, 0.0));
  auto infinite = alone(rng);
  infinite[5] = INFINITY;
  model.learn(infinite);
  EXPECT_FALSE(model.expects());
  model.learn(alone(rng));
  EXPECT_TRUE(model.expects());
  for (int k = 0; k < 19; ++k) model.compare({0, 1, 8}, 1);
  model.compare({0, 1, 3}, 1);  // from too few samples
  EXPECT_FALSE(model.ready());
  model.compare({0, 1, 8}, 1);
  EXPECT_TRUE(model.ready());
}

TEST(DifferenceModel, OrdersAllBatchesTheTellingOnesFirst) {
  Rng rng(4);
  const auto loud = [](Rng& r) {  // all that masks differ by is in batch 5
    std::vector<double> d(kSamples);
    for (std::size_t s = 0; s < kSamples; ++s) d[s] = (s / kBatch == 5 ? 10 : 0.1) * normal(r);
    return d;
  };
  auto order = taught(loud, 20, rng).order(batches());
  EXPECT_EQ(order.front(), 5U);
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, first(kSamples / kBatch));
}

TEST(DifferenceModel, DoubtsAsMuchAsItErred) {
  constexpr int many = 1000;  // degrees: Student's tails are the normal ones
  DifferenceModel model(kSamples);
  for (int k = 0; k < 10; ++k) model.compare({0, 1, many}, k % 2 == 0 ? 3 : -3);
  EXPECT_NEAR(model.doubt(), 3, 0.01);
  for (int k = 0; k < 200; ++k) model.compare({0, 1, many}, 0.1);
  EXPECT_EQ(model.doubt(), 1) << "deviations are never made smaller";
}

/// How often a race gives up masks that are as good as the leader, as soon as the model is ready (extra: or
/// so many masks later), the telling batches first.
double share_given_up(const Draw& draw, int extra) {
  Rng rng(5);
  constexpr int races = 2000;
  int given_up = 0;
  for (int race = 0; race < races; ++race) {
    int masks = 8;
    DifferenceModel model = taught(draw, masks, rng);
    while (!model.ready()) model = taught(draw, ++masks, rng);
    if (extra > 0) model = taught(draw, masks + extra, rng);
    auto d = draw(rng);
    const double mean = mean_of(d);
    for (double& v : d) v -= mean;
    Race run({.samples = kSamples, .looks = 7, .error = 0.05}, model);
    Contender contender;
    const auto all = batches();
    const auto order = model.order(all);
    for (std::size_t look = 0; look + 1 < order.size(); ++look) {
      const auto& samples = all[order[look]];
      run.see(samples);
      for (std::size_t k : samples) contender.differences.push_back(d[k]);
      if (!run.gives_up(contender)) continue;
      ++given_up;
      break;
    }
  }
  return given_up / static_cast<double>(races);
}

TEST(Race, GivesUpEqualsNoMoreOftenThanItMayByWhatEarlierMasksTaught) {
  const double allowed = 0.05 + 3 * std::sqrt(0.05 * 0.95 / 2000);
  for (int extra : {0, 8}) {
    EXPECT_LT(share_given_up(along_three, extra), allowed);
    EXPECT_LT(share_given_up(alone, extra), allowed);
  }
}

}  // namespace
}  // namespace quboprune
