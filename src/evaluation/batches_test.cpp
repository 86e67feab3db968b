#include "quboprune/batches.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include "model/test_net.h"
#include "quboprune/error.h"
#include "quboprune/judged_outputs.h"

namespace quboprune {
namespace {

using testing::Net;
using testing::numbers;

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
