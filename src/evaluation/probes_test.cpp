#include "evaluation/probes.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/test_samples.h"
#include "model/test_net.h"

namespace quboprune {
namespace {

using testing::numbers;

Judge by(Metric metric, double peak = 1) {
  Judge judge;
  judge.metric = metric;
  judge.peak = peak;
  return judge;
}

/// Outputs that err by growing amounts, of samples with targets.
struct Judged {
  std::vector<Sample> samples;
  at::Tensor outputs;
};

Judged judged(int count, const std::vector<std::int64_t>& shape) {
  Rng rng(5);
  Judged result{testing::random_samples(count, shape, shape, rng), {}};
  std::vector<at::Tensor> outputs;
  for (int k = 0; k < count; ++k)
    outputs.push_back(result.samples[static_cast<std::size_t>(k)].target +
                      0.02 * (k + 1) * numbers(shape, static_cast<std::uint64_t>(k)));
  result.outputs = at::stack(outputs);
  return result;
}

TEST(MetricWeights, AreWhatPsnrLosesByASquaredChange) {
  const Judged j = judged(4, {3, 6, 6});
  const auto weights = metric_weights(j.samples, j.outputs, by(Metric::psnr));
  std::vector<double> losses;  // in dB, by a change that is orthogonal to the error: squares add up
  for (std::size_t k = 0; k < 4; ++k) {
    const at::Tensor error = (j.outputs[static_cast<std::int64_t>(k)] - j.samples[k].target).to(at::kDouble);
    const double square = error.square().mean().item<double>();
    constexpr double added = 1e-9;  // of squares of 1e-4 to 1e-2: the second order is 1e-5 of the first
    losses.push_back(10 * std::log10((square + added) / square));
  }
  for (std::size_t k = 1; k < 4; ++k) {
    EXPECT_NEAR(weights[k] / weights[0], losses[k] / losses[0], 1e-5 * losses[k] / losses[0]);
    EXPECT_LT(weights[k], weights[k - 1]);
  }
  EXPECT_EQ(metric_weights(j.samples, j.outputs, by(Metric::ssim)), weights);
}

TEST(MetricWeights, DependOnThePeakAsTheValuesDo) {
  Judged j = judged(3, {3, 6, 6});
  const auto weights = metric_weights(j.samples, j.outputs, by(Metric::psnr));
  j.outputs = j.outputs * 255;
  for (auto& s : j.samples) s.target = s.target * 255;
  const auto scaled = metric_weights(j.samples, j.outputs, by(Metric::psnr, 255));
  // Products in float32 round by 2^-24 of values a hundred times their differences.
  for (std::size_t k = 0; k < 3; ++k) EXPECT_NEAR(scaled[k], weights[k], 1e-4 * weights[k]);
}

TEST(MetricWeights, TellNoErrorsApartAbove50Decibels) {
  const Judged j = judged(2, {3, 6, 6});
  const at::Tensor exact = at::stack({j.samples[0].target, j.samples[1].target + 0.001});
  for (double weight : metric_weights(j.samples, exact, by(Metric::psnr))) EXPECT_DOUBLE_EQ(weight, 1e5);
}

TEST(MetricWeights, OfTheOutputAreTheDerivativeOfItsRelativeError) {
  const Judged j = judged(3, {5});
  const auto weights = metric_weights(j.samples, j.outputs, by(Metric::output));
  for (std::int64_t k = 0; k < 3; ++k) {
    const at::Tensor change = numbers({5}, 9, 0.01);
    const double slow = relative_mse(j.outputs[k] + change, j.outputs[k]) /
                        change.to(at::kDouble).square().mean().item<double>();
    // The sum rounds by 2^-24 of values a hundred times the change: 1e-5, twice that when squared.
    EXPECT_NEAR(weights[static_cast<std::size_t>(k)], slow, 1e-4 * slow);
  }
}

TEST(MetricWeights, AreOneWhereTheMetricSaysNothing) {
  Judged j = judged(2, {3, 6, 6});
  const std::vector<double> ones{1, 1};
  EXPECT_EQ(metric_weights(j.samples, j.outputs, by(Metric::loss)), ones);
  EXPECT_EQ(metric_weights(j.samples, j.outputs, by(Metric::top1)), ones);
  EXPECT_EQ(metric_weights(j.samples, at::zeros_like(j.outputs), by(Metric::output)), ones);
  j.samples[1].target = at::Tensor();
  EXPECT_EQ(metric_weights(j.samples, j.outputs, by(Metric::psnr))[1], 1);
  EXPECT_NE(metric_weights(j.samples, j.outputs, by(Metric::psnr))[0], 1);
}

TEST(MetricWeights, TakeOneSampleWithoutABatchAxis) {
  for (const std::int64_t channels : {1, 3}) {
    const Judged j = judged(1, {channels, 6, 6});
    for (const Metric metric : {Metric::psnr, Metric::output}) {
      const auto with = metric_weights(j.samples, j.outputs, by(metric));
      EXPECT_NE(with[0], 1);
      EXPECT_EQ(metric_weights(j.samples, j.outputs[0], by(metric)), with) << channels;
    }
  }
}

TEST(ScaledBySample, MultipliesByTheRootOfEachWeight) {
  const at::Tensor probes = numbers({2, 3, 4}, 1);
  const at::Tensor scaled = scaled_by_sample(probes, {4, 9});
  EXPECT_TRUE(at::equal(scaled[0], probes[0] * 2));
  EXPECT_TRUE(at::equal(scaled[1], probes[1] * 3));
  EXPECT_TRUE(at::equal(scaled_by_sample(probes, {4}), probes * 2));  // one sample, no batch axis
  EXPECT_TRUE(at::equal(scaled_by_sample(probes, {4, 9, 16}), probes));
  EXPECT_EQ(scaled.scalar_type(), probes.scalar_type());
}

}  // namespace
}  // namespace quboprune
