#include "quboprune/evaluation.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/test_samples.h"
#include "model/test_net.h"
#include "quboprune/error.h"
#include "quboprune/judged_outputs.h"

namespace quboprune {
namespace {

using testing::Net;
using testing::numbers;

Judge by(Metric metric, double peak = 1) {
  Judge judge;
  judge.metric = metric;
  judge.peak = peak;
  return judge;
}

/// Behind the features a layer that can't be run here, as a recurrent one, which also reads a state of zeros
/// whose second axis is the batch.
TEST(StandIns, AreOfTheDataAndRunOneByOne) {
  Net net;
  const int x = net.input({-1, 3, 8, 8});
  const int h = net.add("Conv", {x, net.constant(numbers({4, 3, 3, 3}, 1))});
  const int batch = net.add("Gather", {net.add("Shape", {x}), net.constant(at::zeros({1}, at::kLong))});
  const int shape =
      net.add("Concat", {net.constant(at::ones({1}, at::kLong)), batch}, {{"axis", Attribute::of(0)}});
  const int state = net.add("Expand", {net.constant(at::zeros({1})), shape});
  const int steps = net.add("Transpose", {h}, {{"perm", testing::list({2, 0, 1, 3})}});
  const Graph whole = net.finish(net.add("NoSuchOperator", {steps, state}));
  const Graph graph = runnable(whole);
  EXPECT_EQ(graph.outputs, (std::vector<int>{steps}));
  EXPECT_FALSE(one_at_a_time(whole));
  EXPECT_TRUE(one_at_a_time(graph));
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

TEST(Batches, HoldNeighboursOfOneShapeWithinTheirLimits) {
  std::vector<Sample> samples;
  for (const std::int64_t size : {4, 4, 4, 4, 4, 6, 6, 4})
    samples.push_back({at::ones({1, size, size}), at::Tensor(), "", ""});
  const auto sizes = [&](int largest, std::int64_t elements) {
    std::vector<std::size_t> result;
    int next = 0;
    for (const auto& batch : batches(samples, largest, elements)) {
      result.push_back(batch.samples.size());
      EXPECT_EQ(batch.input.size(0), static_cast<std::int64_t>(batch.samples.size()));
      for (int s : batch.samples) EXPECT_EQ(s, next++);
    }
    return result;
  };
  EXPECT_EQ(sizes(16, 1 << 20), (std::vector<std::size_t>{5, 2, 1}));
  EXPECT_EQ(sizes(2, 1 << 20), (std::vector<std::size_t>{2, 2, 1, 2, 1}));
  EXPECT_EQ(sizes(16, 48), (std::vector<std::size_t>{3, 2, 1, 1, 1}));
  EXPECT_EQ(sizes(16, 1), std::vector<std::size_t>(8, 1));
}

TEST(Targets, AreTheSamplesOwnOrTheOriginalsOutputs) {
  const Judged j = judged(1, {3, 6, 6});
  const std::vector<at::Tensor> references{j.outputs[0]};
  EXPECT_TRUE(target_of(j.samples[0], 0, by(Metric::psnr), references).is_same(j.samples[0].target));
  EXPECT_TRUE(target_of(j.samples[0], 0, by(Metric::output), references).is_same(references[0]));
  EXPECT_THROW(target_of(j.samples[0], 0, by(Metric::output), {}), InputError);
  Sample bare = j.samples[0];
  bare.target = at::Tensor();
  EXPECT_TRUE(target_of(bare, 0, by(Metric::psnr), references).is_same(references[0]));
  EXPECT_THROW(target_of(bare, 0, by(Metric::psnr), {}), InputError);
}

/// An image plus a number.
Graph with_a_level() {
  Net net;
  const int x = net.input({-1, 3, -1, -1});
  const int level = net.input({-1, 1});
  net.graph.values[static_cast<std::size_t>(level)].name = "level";
  return net.finish(net.add("Add", {x, level}));
}

TEST(NetworkInputs, AreTheBatchAndTheFills) {
  const Graph graph = with_a_level();
  Judge judge;
  const auto of = [](std::vector<std::int64_t> shape) {
    Batch batch;
    batch.input = at::ones(shape);
    return batch;
  };
  EXPECT_THROW(network_inputs(graph, of({2, 3, 4, 4}), judge), InputError);
  judge.fills["level"] = 0.5;
  const auto inputs = network_inputs(graph, of({2, 3, 4, 4}), judge);
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_TRUE(at::equal(inputs[1], at::full({2, 1}, 0.5)));
  EXPECT_THROW(network_inputs(graph, of({2, 1, 4, 4}), judge), InputError);
  EXPECT_THROW(network_inputs(graph, of({3, 4, 4}), judge), InputError);
}

TEST(NetworkInputs, AreTheSamplesOwnArraysWhereNoFillIsGiven) {
  const Graph graph = with_a_level();
  std::vector<Sample> samples(2);
  for (int k = 0; k < 2; ++k) {
    samples[static_cast<std::size_t>(k)].input = at::ones({3, 4, 4});
    samples[static_cast<std::size_t>(k)].others["level"] = at::full({1}, k, at::kLong);
  }
  const auto stacked = batches(samples);
  ASSERT_EQ(stacked.size(), 1U);
  Judge judge;
  EXPECT_TRUE(at::equal(network_inputs(graph, stacked[0], judge)[1], at::tensor({0.0F, 1.0F}).view({2, 1})));
  judge.fills["level"] = 7;
  EXPECT_TRUE(at::equal(network_inputs(graph, stacked[0], judge)[1], at::full({2, 1}, 7.0F)));
  judge.fills.clear();
  for (auto& sample : samples) sample.others["level"] = at::ones({2});
  EXPECT_THROW(network_inputs(graph, batches(samples)[0], judge), InputError);
  samples[0].others["level"] = at::ones({1});
  EXPECT_EQ(batches(samples).size(), 2U) << "of another size: not run together";
}

}  // namespace
}  // namespace quboprune
