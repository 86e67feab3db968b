#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "data/test_samples.h"
#include "model/test_net.h"
#include "quboprune/batches.h"
#include "quboprune/evaluation.h"
#include "quboprune/recover.h"
#include "quboprune/surgery.h"
#include "recover/refit_bench.h"

namespace quboprune {
namespace {

using testing::Net;
using testing::numbers;
using testing::six_channels;
using testing::twin_scenes;

Graph normalised() {
  return six_channels([](Net& net, int h) {
    const int y = net.add("Conv", {h, net.constant(numbers({4, 6, 1, 1}, 3).abs())});
    const int z = net.add("BatchNormalization",
                          {y, net.constant(at::ones({4})), net.constant(at::zeros({4})),
                           net.constant(numbers({4}, 5)), net.constant(numbers({4}, 6).abs() + 1)});
    return net.add("Conv", {z, net.constant(numbers({2, 4, 1, 1}, 7))});
  });
}

Judge by_output() {
  Judge judge;
  judge.metric = Metric::output;
  return judge;
}

at::Tensor norm_input(const Graph& graph, const std::vector<Sample>& samples) {
  std::vector<at::Tensor> inputs;
  for (const auto& s : samples) inputs.push_back(s.input);
  at::Tensor result;
  RunOptions run;
  run.on_input = [&](int node, int input, const at::Tensor& tensor) {
    if (graph.nodes[static_cast<std::size_t>(node)].op == "BatchNormalization" && input == 0)
      result = tensor.transpose(0, 1).reshape({tensor.size(1), -1}).to(at::kDouble);
    return tensor;
  };
  Executor(graph).run({at::stack(inputs)}, run);
  return result;
}

TEST(BatchNorm, TakesOverWhatTheCutChanged) {
  const Graph graph = normalised();
  const ChannelGroups groups = analyse(graph);
  Mask mask(static_cast<std::size_t>(groups.size()), 1);
  mask[0] = mask[1] = 0;
  const auto samples = twin_scenes(6, {3, 12, 12});
  const Graph sliced = slice(groups, mask);
  const RefitResult result = reestimate_batch_norm(groups, mask, samples, by_output());
  ASSERT_EQ(result.layers.size(), 1U);
  ASSERT_FALSE(result.layers[0].kept_old) << result.layers[0].note;
  EXPECT_LT(result.metric_after, result.metric_before);
  const at::Tensor before = norm_input(graph, samples);
  const at::Tensor after = norm_input(sliced, samples);
  const auto& node = sliced.nodes[static_cast<std::size_t>(result.layers[0].node)];
  const auto constant = [&](const Graph& g, std::size_t k) {
    return g.values[static_cast<std::size_t>(node.inputs[k])].constant.tensor().to(at::kDouble);
  };
  // float32 activations: 1e-7 of values around 5.
  const at::Tensor mean = constant(sliced, 3) + after.mean(1) - before.mean(1);
  EXPECT_LT((constant(result.graph, 3) - mean).abs().max().item<double>(), 1e-5);
  const at::Tensor variance = constant(sliced, 4) * after.var(1, false) / before.var(1, false);
  EXPECT_LT((constant(result.graph, 4) / variance - 1).abs().max().item<double>(), 1e-5);
}

TEST(BatchNorm, ChangesNothingWhereNothingIsCut) {
  const ChannelGroups groups = analyse(normalised());
  const RefitResult result = reestimate_batch_norm(groups, Mask(static_cast<std::size_t>(groups.size()), 1),
                                                   twin_scenes(3, {3, 12, 12}), by_output());
  EXPECT_TRUE(result.layers.empty());
  EXPECT_EQ(result.notes.size(), 1U);
}

TEST(BatchNorm, DoesNoHarmOnOtherScenes) {
  const Graph graph = normalised();
  const ChannelGroups groups = analyse(graph);
  Mask mask(static_cast<std::size_t>(groups.size()), 1);
  mask[2] = 0;
  auto samples = twin_scenes(4, {3, 12, 12});
  // One scene is a hundred times as bright: its statistics say nothing about the other.
  for (auto& s : samples) {
    if (s.scene == "a") s.input = s.input * 100;
  }
  for (std::uint64_t seed : {1U, 2U, 3U, 4U}) {
    RefitOptions options;
    options.seed = seed;
    const RefitResult result = reestimate_batch_norm(groups, mask, samples, by_output(), options);
    const auto check = check_split(samples, options.check_share, seed).check;
    const auto references = outputs_of(Executor(graph), check, by_output());
    const double after = evaluate_network(Executor(result.graph), check, by_output(), references).mean;
    const double before =
        evaluate_network(Executor(slice(groups, mask)), check, by_output(), references).mean;
    EXPECT_LE(after, before * (1 + 1e-6));
  }
}

}  // namespace
}  // namespace quboprune
