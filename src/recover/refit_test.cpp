#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <functional>

#include "data/test_samples.h"
#include "model/test_net.h"
#include "quboprune/batches.h"
#include "quboprune/error.h"
#include "quboprune/evaluation.h"
#include "quboprune/recover.h"
#include "quboprune/surgery.h"
#include "recover/refit_bench.h"
#include "recover/refit_linear.h"

namespace quboprune {
namespace {

using testing::index_of;
using testing::list;
using testing::Net;
using testing::numbers;
using testing::six_channels;
using testing::twin_scenes;

Judge by_output() {
  Judge judge;
  judge.metric = Metric::output;
  return judge;
}

/// Every position, hardly any pull to the old weights: plain least squares.
RefitOptions plain() {
  RefitOptions options;
  options.ridges = {1e-8};
  options.check_share = 0.5;
  options.weigh_by_output = false;
  options.positions_per_unknown = 1e9;
  return options;
}

Mask without(const ChannelGroups& groups, const std::vector<int>& removed) {
  Mask mask(index_of(groups.size()), 1);
  for (int g : removed) mask[index_of(g)] = 0;
  return mask;
}

at::Tensor stacked(const std::vector<Sample>& samples) {
  std::vector<at::Tensor> inputs;
  for (const auto& s : samples) inputs.push_back(s.input);
  return at::stack(inputs);
}

void expect_equal_constants(const Graph& a, const Graph& b) {
  ASSERT_EQ(a.values.size(), b.values.size());
  for (std::size_t v = 0; v < a.values.size(); ++v) {
    if (!b.values[v].is_constant()) continue;
    EXPECT_TRUE(at::equal(a.values[v].constant, b.values[v].constant)) << a.values[v].name;
  }
}

double squared_error(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).to(at::kDouble).square().sum().item<double>();
}

// ---- against brute force
// -----------------------------------------------------------------------------------

struct Form {
  std::string name;
  std::function<Graph()> network;  ///< whose last node with weights is the one in question
  int constants;                   ///< values behind `weight` that the fit may change
};

Graph with_conv(std::vector<std::int64_t> weight, std::int64_t outputs,
                std::map<std::string, Attribute> attributes, const std::string& op = "Conv") {
  return six_channels([&](Net& net, int h) {
    const int w = net.constant(numbers(weight, 3, 0.4));
    return net.add(op, {h, w, net.constant(numbers({outputs}, 4))}, attributes);
  });
}

Graph pooled(const std::function<int(Net&, int)>& tail) {
  return six_channels(
      [&](Net& net, int h) { return tail(net, net.add("Flatten", {net.add("GlobalAveragePool", {h})})); });
}

std::vector<Form> forms() {
  return {
      {"Conv",
       [] {
         return with_conv({4, 6, 3, 3}, 4, {{"pads", list({1, 1, 1, 1})}});
       },
       2},
      {"StridedDilated",
       [] {
         return with_conv(
             {4, 6, 3, 3}, 4,
             {{"pads", list({2, 1, 0, 2})}, {"strides", list({2, 1})}, {"dilations", list({1, 2})}});
       },
       2},
      {"Grouped",
       [] {
         return with_conv({4, 3, 3, 3}, 4, {{"pads", list({1, 1, 1, 1})}, {"group", Attribute::of(2)}});
       },
       2},
      {"ConvTranspose",
       [] {
         return with_conv(
             {6, 4, 3, 3}, 4,
             {{"pads", list({1, 1, 1, 1})}, {"strides", list({2, 2})}, {"output_padding", list({1, 1})}},
             "ConvTranspose");
       },
       2},
      {"GroupedConvTranspose",
       [] {
         return with_conv({6, 2, 2, 2}, 4,
                          {{"auto_pad",
                            [] {
                              Attribute a;
                              a.kind = Attribute::Kind::text;
                              a.s = "SAME_UPPER";
                              return a;
                            }()},
                           {"strides", list({1, 1})},
                           {"group", Attribute::of(2)}},
                          "ConvTranspose");
       },
       2},
      {"Gemm",
       [] {
         return pooled([](Net& net, int h) {
           return net.add("Gemm", {h, net.constant(numbers({3, 6}, 3)), net.constant(numbers({3}, 4))},
                          {{"transB", Attribute::of(1)}});
         });
       },
       2},
      {"MatMulThenAdd",
       [] {
         return pooled([](Net& net, int h) {
           const int y = net.add("MatMul", {h, net.constant(numbers({6, 3}, 3))});
           return net.add("Add", {y, net.constant(numbers({3}, 4))});
         });
       },
       2},
      {"ConvWithoutBias",
       [] {
         return six_channels([](Net& net, int h) {
           return net.add("Conv", {h, net.constant(numbers({4, 6, 1, 1}, 3))});
         });
       },
       1},
  };
}

/// Constants of the last layer, and of an Add behind it.
std::vector<int> constants_of(const Graph& graph, int count) {
  std::vector<int> result;
  for (std::size_t n = graph.nodes.size(); n-- > 0 && static_cast<int>(result.size()) < count;) {
    for (std::size_t k = 1; k < graph.nodes[n].inputs.size(); ++k) result.push_back(graph.nodes[n].inputs[k]);
  }
  return result;
}

/// The network's output for each constant's entry alone at 1, the others at 0: the design matrix, as the
/// output is linear in the last layer.
at::Tensor design(const Graph& graph, const std::vector<int>& constants, const at::Tensor& input) {
  Executor network(graph);
  const auto zero = [&](int v) {
    network.set_constant(v, at::zeros_like(as_run(graph.values[index_of(v)].constant)));
  };
  for (int v : constants) zero(v);
  std::vector<at::Tensor> columns;
  for (int v : constants) {
    const at::Tensor shape = graph.values[index_of(v)].constant;
    for (std::int64_t i = 0; i < shape.numel(); ++i) {
      at::Tensor unit = at::zeros({shape.numel()}, at::kFloat);
      unit[i] = 1;
      network.set_constant(v, as_run(unit.view(shape.sizes())));
      columns.push_back(network(input).flatten().to(at::kDouble));
    }
    zero(v);
  }
  return at::stack(columns, 1);
}

class EveryForm : public ::testing::TestWithParam<Form> {};

TEST_P(EveryForm, EqualsLeastSquaresOverTheDesignMatrix) {
  const Graph graph = GetParam().network();
  const ChannelGroups groups = analyse(graph);
  const Mask mask = without(groups, {0, 2});
  const bool few = Executor(graph)(numbers({1, 3, 9, 8}, 7)).dim() == 2;
  const auto samples = twin_scenes(few ? 40 : 6, {3, 9, 8});
  const RefitResult result = refit(groups, mask, samples, by_output(), plain());
  ASSERT_EQ(result.layers.size(), 1U);
  EXPECT_FALSE(result.layers[0].kept_old) << result.layers[0].note;
  const at::Tensor input = stacked(samples);
  const at::Tensor wanted = Executor(graph)(input);
  const double reached = squared_error(Executor(result.graph)(input), wanted);
  const double cut = squared_error(Executor(slice(groups, mask))(input), wanted);

  const at::Tensor a = design(result.graph, constants_of(result.graph, GetParam().constants), input);
  const at::Tensor y = wanted.flatten().to(at::kDouble).unsqueeze(1);
  const at::Tensor system = at::matmul(a.t(), a) + 1e-9 * at::eye(a.size(1), at::kDouble);
  const at::Tensor solved = at::cholesky_solve(at::matmul(a.t(), y), at::linalg_cholesky(system));
  const double best = squared_error(at::matmul(a, solved), y);
  // Both minimise the same convex function; its value is flat at the minimum, so float32's 1e-7 in the
  // weights and the ridge of 1e-8 show up squared, times the condition of the problem.
  EXPECT_LE(reached, best * (1 + 1e-4) + 1e-6 * cut);
  EXPECT_GE(reached, best * (1 - 1e-4) - 1e-6 * cut);
  EXPECT_LT(reached, 0.9 * cut);
}

INSTANTIATE_TEST_SUITE_P(Refit, EveryForm, ::testing::ValuesIn(forms()),
                         [](const auto& form) { return form.param.name; });

TEST(Refit, GivesDepthwiseConvolutionsTheBestScaleAndBias) {
  const Graph graph = six_channels([](Net& net, int h) {
    const int y = net.add("Conv", {h, net.constant(numbers({4, 6, 1, 1}, 3))});
    return net.add("Conv", {y, net.constant(numbers({4, 1, 3, 3}, 5)), net.constant(numbers({4}, 6))},
                   {{"group", Attribute::of(4)}});
  });
  const ChannelGroups groups = analyse(graph);
  const auto samples = twin_scenes(6, {3, 9, 8});
  const RefitResult result = refit(groups, without(groups, {1, 3}), samples, by_output(), plain());
  ASSERT_EQ(result.layers.size(), 2U);
  ASSERT_FALSE(result.layers[1].kept_old) << result.layers[1].note;
  // At the best scale and bias of a channel, what is left has no mean and is orthogonal to the output.
  const at::Tensor input = stacked(samples);
  const at::Tensor output = Executor(result.graph)(input).transpose(0, 1).reshape({4, -1}).to(at::kDouble);
  const at::Tensor wanted = Executor(graph)(input).transpose(0, 1).reshape({4, -1}).to(at::kDouble);
  const at::Tensor left = wanted - output;
  EXPECT_LT((left.mean(1).abs() / wanted.std(1)).max().item<double>(), 1e-4);
  EXPECT_LT(((left * output).mean(1).abs() / wanted.var(1)).max().item<double>(), 1e-4);
}

// ---- what must come back exactly
// ---------------------------------------------------------------------------

/// Channel 1 of the first layer is channel 0 again.
Graph with_a_twin() {
  Net net;
  const int x = net.input({-1, 3, -1, -1});
  at::Tensor weight = numbers({6, 3, 3, 3}, 1, 0.4);
  weight[1] = weight[0];
  const int h = net.add("Conv", {x, net.constant(weight), net.constant(at::zeros({6}))},
                        {{"pads", list({1, 1, 1, 1})}});
  const int y = net.add("Conv", {net.add("Relu", {h}), net.constant(numbers({5, 6, 3, 3}, 3, 0.3))});
  const int z =
      net.add("BatchNormalization", {y, net.constant(numbers({5}, 4) + 2), net.constant(numbers({5}, 5)),
                                     net.constant(numbers({5}, 6)), net.constant(at::ones({5}))});
  return net.finish(net.add("Relu", {z}));
}

TEST(Refit, UndoesTheRemovalOfATwin) {
  const Graph graph = with_a_twin();
  const ChannelGroups groups = analyse(graph);
  const Mask mask = without(groups, {1});
  const auto samples = twin_scenes(4, {3, 12, 12});
  const at::Tensor input = stacked(samples);
  const at::Tensor wanted = Executor(graph)(input);
  const RefitResult result = refit(groups, mask, samples, by_output(), plain());
  Graph by_cache = slice(groups, mask);
  GramCache(groups, samples, by_output()).refit(mask, by_cache, 1e-8);
  // Exact but for the ridge's 1e-8 (times the Gram matrix's condition) and float32.
  const double allowed = 2e-4 * wanted.abs().max().item<double>();
  EXPECT_LT((Executor(result.graph)(input) - wanted).abs().max().item<double>(), allowed);
  EXPECT_LT((Executor(by_cache)(input) - wanted).abs().max().item<double>(), allowed);
  EXPECT_GT((Executor(slice(groups, mask))(input) - wanted).abs().max().item<double>(), 100 * allowed);
}

TEST(Refit, AddsNoParameterAndKeepsTypes) {
  Graph graph = with_a_twin();
  for (auto& value : graph.values) {
    if (value.is_constant()) value.constant = value.constant.tensor().to(at::kHalf);
  }
  const ChannelGroups groups = analyse(graph);
  const Mask mask = without(groups, {1, 4});
  const Graph sliced = slice(groups, mask);
  const RefitResult result = refit(groups, mask, twin_scenes(4, {3, 12, 12}), by_output());
  EXPECT_FALSE(result.layers[0].kept_old) << result.layers[0].note;
  ASSERT_EQ(result.graph.values.size(), sliced.values.size());
  for (std::size_t v = 0; v < sliced.values.size(); ++v) {
    if (!sliced.values[v].is_constant()) continue;
    EXPECT_EQ(result.graph.values[v].constant.sizes(), sliced.values[v].constant.sizes());
    EXPECT_EQ(result.graph.values[v].constant.scalar_type(), at::kHalf);
  }
}

// ---- no harm
// -----------------------------------------------------------------------------------------------

/// Two scenes on which the removed channel follows the kept one with opposite signs: what the fit learns is
/// wrong where it is judged.
TEST(Refit, KeepsTheOldWeightsWhereOtherScenesSufferFromNewOnes) {
  Net net;
  const int x = net.input({-1, 2, -1, -1});
  const int h = net.add("Conv", {x, net.constant(at::eye(2).view({2, 2, 1, 1}))});
  const Graph graph = net.finish(net.add("Conv", {h, net.constant(at::ones({1, 2, 1, 1}))}));
  std::vector<Sample> samples;
  for (const double sign : {1.0, -1.0}) {
    for (std::uint64_t i = 0; i < 3; ++i) {
      const at::Tensor base = numbers({1, 8, 8}, i);
      const std::string scene = sign > 0 ? "plus" : "minus";
      samples.push_back(Sample{at::cat({base, base * sign}), at::Tensor(), scene + std::to_string(i), scene});
    }
  }
  const ChannelGroups groups = analyse(graph);
  ASSERT_EQ(groups.size(), 2);
  const RefitResult result = refit(groups, without(groups, {1}), samples, by_output());
  ASSERT_EQ(result.layers.size(), 1U);
  EXPECT_TRUE(result.layers[0].kept_old);
  EXPECT_FALSE(result.layers[0].note.empty());
  EXPECT_EQ(result.metric_after, result.metric_before);
}

TEST(Refit, ReportsTheMetricThatItsGraphHasOnTheScenesKeptBack) {
  const Graph graph = with_a_twin();
  const ChannelGroups groups = analyse(graph);
  std::vector<Sample> samples;
  for (int i = 0; i < 12; ++i) {
    const auto seed = static_cast<std::uint64_t>(50 + i);
    samples.push_back(Sample{numbers({3, 12, 12}, seed), at::Tensor(), "s", "scene" + std::to_string(i / 3)});
  }
  const Mask mask = without(groups, {0, 3, 5});
  RefitOptions options;
  options.all_scenes = false;
  const RefitResult result = refit(groups, mask, samples, by_output(), options);
  const CheckSplit split = check_split(samples, options.check_share, options.seed);
  EXPECT_EQ(split.check.size(), 3U);
  const Executor original(graph);
  const auto references = outputs_of(original, split.check, by_output());
  const auto value = [&](const Graph& g) {
    return evaluate_network(Executor(g), split.check, by_output(), references).mean;
  };
  EXPECT_NEAR(result.metric_before, value(slice(groups, mask)), 1e-5);
  EXPECT_NEAR(result.metric_after, value(result.graph), 1e-5);
  EXPECT_LT(result.metric_after, result.metric_before);
}

/// The removed channel is the first one in scene "common", the first and the third in scene "rare", the only
/// one that shows the third: keeping that scene back leaves its weight to the pull towards the old one.
TEST(Refit, FitsWhatOnlyTheScenesKeptBackShow) {
  Net net;
  const int x = net.input({-1, 3, -1, -1});
  const int h = net.add("Conv", {x, net.constant(at::eye(3).view({3, 3, 1, 1}))});
  const Graph graph = net.finish(net.add("Conv", {h, net.constant(at::ones({1, 3, 1, 1}))}));
  std::vector<Sample> samples;
  for (std::uint64_t i = 0; i < 3; ++i) {
    const at::Tensor first = numbers({1, 8, 8}, i);
    const at::Tensor third = numbers({1, 8, 8}, 10 + i);
    samples.push_back(
        Sample{at::cat({first, first, at::zeros_like(first)}), at::Tensor(), "common", "common"});
    samples.push_back(Sample{at::cat({first, first + third, third}), at::Tensor(), "rare", "rare"});
  }
  RefitOptions options = plain();
  while (check_split(samples, options.check_share, options.seed).check[0].scene != "rare") ++options.seed;
  const ChannelGroups groups = analyse(graph);
  ASSERT_EQ(groups.size(), 3);
  const Mask mask = without(groups, {1});
  const RefitResult all = refit(groups, mask, samples, by_output(), options);
  options.all_scenes = false;
  const RefitResult part = refit(groups, mask, samples, by_output(), options);
  ASSERT_FALSE(part.layers[0].kept_old) << part.layers[0].note;

  const at::Tensor input = stacked(samples);
  const at::Tensor wanted = Executor(graph)(input);
  const double of_all = wanted.square().sum().item<double>();
  EXPECT_GT(squared_error(Executor(part.graph)(input), wanted), 0.01 * of_all);
  // Twice the first and twice the third are exact, but for the ridge of 1e-8 and float32's rounding, squared.
  EXPECT_LT(squared_error(Executor(all.graph)(input), wanted), 1e-9 * of_all);
  // What is reported stays a judgement by scenes that weren't seen.
  EXPECT_EQ(all.metric_after, part.metric_after);
  EXPECT_EQ(all.layers[0].error_after, part.layers[0].error_after);
}

TEST(Refit, SaysSoWhereThereIsOneScene) {
  auto samples = twin_scenes(4, {3, 12, 12});
  for (auto& s : samples) s.scene = "only";
  const ChannelGroups groups = analyse(with_a_twin());
  EXPECT_EQ(refit(groups, without(groups, {1}), samples, by_output()).notes.size(), 1U);
  EXPECT_THROW(refit(groups, without(groups, {1}), {}, by_output()), InputError);
}

// ---- memory, stopping, sums
// --------------------------------------------------------------------------------

TEST(Refit, GivesTheSameWithoutRoomForActivations) {
  const ChannelGroups groups = analyse(with_a_twin());
  const Mask mask = without(groups, {1, 2});
  const auto samples = twin_scenes(8, {3, 40, 40});
  RefitOptions roomy;
  RefitOptions tight;
  tight.memory_limit = 500'000;  // a value of one batch has 150 kB, the outputs fitted to 110 kB
  const RefitResult a = refit(groups, mask, samples, by_output(), roomy);
  const RefitResult b = refit(groups, mask, samples, by_output(), tight);
  for (std::size_t v = 0; v < a.graph.values.size(); ++v) {
    if (!a.graph.values[v].is_constant()) continue;
    EXPECT_TRUE(at::equal(a.graph.values[v].constant, b.graph.values[v].constant));
  }
  EXPECT_FALSE(b.layers[0].kept_old);
  RefitOptions none;
  none.memory_limit = 1000;
  const RefitResult c = refit(groups, mask, samples, by_output(), none);
  EXPECT_TRUE(c.layers[0].kept_old);
  EXPECT_NE(c.layers[0].note.find("memory"), std::string::npos);
  EXPECT_EQ(GramCache(groups, samples, by_output(), 1000).left_out().size(), 1U);
}

TEST(Refit, FitsOnFewerPositionsWhereTheOutputsDontFit) {
  const ChannelGroups groups = analyse(with_a_twin());
  const auto samples = twin_scenes(8, {3, 40, 40});
  RefitOptions options;
  options.ridges = {1e-6};
  options.memory_limit = 250'000;  // of the 110 kB of outputs 62 have room
  const RefitResult result = refit(groups, without(groups, {1}), samples, by_output(), options);
  EXPECT_FALSE(result.layers[0].kept_old);
  EXPECT_LT(result.layers[0].error_after, 1e-6);  // a twin's removal can still be undone
  ASSERT_EQ(result.notes.size(), 1U);
  EXPECT_NE(result.notes[0].find("positions"), std::string::npos);
}

TEST(Refit, OfManyMasksIsTheRefitOfEach) {
  const ChannelGroups groups = analyse(with_a_twin());
  const auto samples = twin_scenes(4, {3, 12, 12});
  const Refitter refitter(groups, samples, by_output());
  for (const Mask& mask : {without(groups, {1}), without(groups, {0, 4}), without(groups, {1})}) {
    const RefitResult alone = refit(groups, mask, samples, by_output());
    const RefitResult together = refitter(mask);
    EXPECT_EQ(together.metric_after, alone.metric_after);
    expect_equal_constants(together.graph, alone.graph);
  }
}

TEST(Refit, StopsWithTheCutNetwork) {
  const ChannelGroups groups = analyse(with_a_twin());
  const std::atomic<bool> stop{true};
  const RefitResult result =
      refit(groups, without(groups, {1}), twin_scenes(2, {3, 12, 12}), by_output(), {}, Control{{}, &stop});
  EXPECT_EQ(result.reason, "stopped");
  EXPECT_EQ(result.metric_after, result.metric_before);
  expect_equal_constants(result.graph, slice(groups, without(groups, {1})));
}

}  // namespace
}  // namespace quboprune
