#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

#include "coupling/analysis.h"
#include "data/test_samples.h"
#include "model/test_net.h"
#include "quboprune/error.h"
#include "quboprune/executor.h"
#include "quboprune/scores.h"

namespace quboprune {
namespace {

using testing::index_of;
using testing::list;
using testing::mixed_structures;
using testing::Net;
using testing::numbers;
using testing::uniform;

/// In double, so that differences of losses mean something.
std::vector<Sample> double_samples(int count) {
  Rng rng(7);
  auto samples = testing::random_samples(count, {3, 8, 8}, {2, 8, 8}, rng);
  for (auto& s : samples) {
    s.input = s.input.to(at::kDouble);
    s.target = s.target.to(at::kDouble);
  }
  return samples;
}

Judge by_loss() {
  Judge judge;
  judge.loss = Loss::mse;
  return judge;
}

/// One group's gate set to `factor` wherever it is read, the others to 1.
InputHook one_gate(const ChannelGroups& groups, int group, double factor) {
  return [&groups, group, factor](int node, int input, const at::Tensor& tensor) {
    at::Tensor result = tensor;
    for (const auto& gate : groups.gates()) {
      if (gate.node != node || gate.input != input) continue;
      result = result.clone();
      for (std::size_t i = 0; i < gate.groups.size(); ++i) {
        if (gate.groups[i] == group) result.select(gate.axis, static_cast<std::int64_t>(i)).mul_(factor);
      }
    }
    return result;
  };
}

at::Tensor output_with(const ChannelGroups& groups, const Sample& sample, int group, double factor) {
  RunOptions run;
  run.on_input = one_gate(groups, group, factor);
  return Executor(groups.analysis().graph).run({sample.input.unsqueeze(0)}, run).front();
}

double loss_with(const ChannelGroups& groups, const Sample& sample, int group, double factor) {
  return (output_with(groups, sample, group, factor)[0] - sample.target).square().mean().item<double>();
}

double largest_of(const std::vector<float>& values) {
  double largest = 0;
  for (float v : values) largest = std::max(largest, std::abs(static_cast<double>(v)));
  return largest;
}

/// G is summed in float32 over at most 3·64 products, a relative 2^-24·sqrt(192) < 1e-6 of their size, which
/// cancellation may leave ten times as large as G itself.
constexpr double kSummed = 1e-5;

TEST(GateGradients, AreTheDerivativesOfEachSamplesLoss) {
  const ChannelGroups groups = analyse(mixed_structures(at::kDouble));
  ASSERT_EQ(groups.size(), 7);
  const auto samples = double_samples(3);
  const Scores s = score(groups, samples, by_loss(), {});
  ASSERT_EQ(s.rows, 3);
  constexpr double step = 1e-5;  // central differences in double: errors of step² and 1e-16/step
  for (int n = 0; n < 3; ++n) {
    for (int g = 0; g < 7; ++g) {
      const auto& sample = samples[index_of(n)];
      const double slow =
          (loss_with(groups, sample, g, 1 + step) - loss_with(groups, sample, g, 1 - step)) / (2 * step);
      EXPECT_NEAR(s.gradients[index_of(n * 7 + g)], slow, kSummed * largest_of(s.gradients)) << n << " " << g;
    }
  }
}

TEST(GateGradients, OfAllSamplesInOnePassAreThoseOneByOne) {
  const ChannelGroups groups = analyse(mixed_structures(at::kDouble));
  const auto samples = double_samples(5);
  const Scores together = score(groups, samples, by_loss(), {.batch = 8});
  const Scores single = score(groups, samples, by_loss(), {.batch = 1});
  ASSERT_EQ(together.gradients.size(), single.gradients.size());
  for (std::size_t i = 0; i < single.gradients.size(); ++i)
    EXPECT_NEAR(together.gradients[i], single.gradients[i], kSummed * largest_of(single.gradients));
}

TEST(Scores, AreMeansOverTheGateGradients) {
  const ChannelGroups groups = analyse(mixed_structures());
  Rng rng(3);
  const Scores s = score(groups, testing::random_samples(4, {3, 8, 8}, {2, 8, 8}, rng), by_loss(), {});
  for (int g = 0; g < 7; ++g) {
    double magnitude = 0, square = 0;
    for (int n = 0; n < 4; ++n) {
      const double value = s.gradients[index_of(n * 7 + g)];
      magnitude += std::abs(value) / 4;
      square += value * value / 4;
    }
    EXPECT_DOUBLE_EQ(s.taylor[index_of(g)], magnitude);
    EXPECT_DOUBLE_EQ(s.fisher[index_of(g)], square / 2);
    EXPECT_GT(s.taylor[index_of(g)], 0);
  }
}

/// The filters of a group of mixed_structures(): constants by size and the row in each.
std::vector<at::Tensor> filters_of(const Graph& graph, int group) {
  std::vector<at::Tensor> filters;
  for (const auto& node : graph.nodes) {
    if (node.op != "Conv") continue;
    const at::Tensor& weight = graph.values[index_of(node.inputs[1])].constant;
    if (weight.size(0) == (group < 4 ? 4 : 3))
      filters.push_back(weight.select(0, group < 4 ? group : group - 4));
  }
  return filters;
}

TEST(Norms, TakeTheFiltersOfAllMembers) {
  const Graph graph = mixed_structures();
  const ChannelGroups groups = analyse(graph);
  const Scores s = score(groups, testing::twin_scenes(1, {3, 8, 8}), by_loss(), {});
  for (int g = 0; g < 7; ++g) {
    double magnitudes = 0, squares = 0;
    for (const auto& filter : filters_of(graph, g)) {
      magnitudes += filter.to(at::kDouble).abs().sum().item<double>();
      squares += filter.to(at::kDouble).square().sum().item<double>();
    }
    // Sums of at most 27 float32 numbers, three times.
    EXPECT_NEAR(s.l1[index_of(g)], magnitudes, 1e-5 * magnitudes);
    EXPECT_NEAR(s.l2[index_of(g)], std::sqrt(squares), 1e-5 * std::sqrt(squares));
  }
}

TEST(Norms, OfGroupedTransposedConvolutions) {
  Net net;
  const at::Tensor filters = numbers({4, 3, 2, 2}, 2);  // parts of 2 inputs and 3 outputs
  const int h = net.add("Conv", {net.input({-1, 3, -1, -1}), net.constant(numbers({4, 3, 1, 1}, 1))});
  const int up = net.add("ConvTranspose", {h, net.constant(filters)}, {{"group", Attribute::of(2)}});
  const ChannelGroups groups =
      analyse(net.finish(net.add("Conv", {up, net.constant(numbers({1, 6, 1, 1}, 3))})));
  const Scores s = score(groups, testing::twin_scenes(1, {3, 8, 8}), by_loss(), {});
  const auto layer =
      std::ranges::find_if(groups.layers(), [](const Layer& l) { return l.groups.size() == 6; });
  ASSERT_NE(layer, groups.layers().end());
  std::map<int, double> expected;
  for (int k = 0; k < 6; ++k)
    expected[layer->groups[index_of(k)]] +=
        filters.slice(0, k / 3 * 2, k / 3 * 2 + 2).select(1, k % 3).abs().sum().item<double>();
  ASSERT_FALSE(expected.contains(-1));
  for (const auto& [group, magnitudes] : expected)
    EXPECT_NEAR(s.l1[index_of(group)], magnitudes, 1e-5 * magnitudes);
}

/// The mean loss with the filters of a group scaled.
double scaled_loss(Graph graph, int group, double factor, const std::vector<Sample>& samples) {
  for (auto& value : graph.values) {
    if (value.is_constant()) value.constant = value.constant.tensor().clone();
  }
  for (auto& filter : filters_of(graph, group)) filter.mul_(factor);
  const Executor network(graph);
  double sum = 0;
  for (const auto& s : samples)
    sum += (network(s.input.unsqueeze(0))[0] - s.target).square().mean().item<double>();
  return sum / static_cast<double>(samples.size());
}

TEST(WeightTaylor, IsTheSquaredDerivativeByTheFiltersScale) {
  const Graph graph = mixed_structures(at::kDouble);
  const ChannelGroups groups = analyse(graph);
  const auto samples = double_samples(3);
  for (const int probes : {0, 2}) {
    const Scores s = score(groups, samples, by_loss(), {.probes = probes, .weight_gradients = true});
    const double largest = *std::max_element(s.taylor_weight.begin(), s.taylor_weight.end());
    for (int g = 0; g < 7; ++g) {
      constexpr double step = 1e-5;
      const double slow =
          (scaled_loss(graph, g, 1 + step, samples) - scaled_loss(graph, g, 1 - step, samples)) / (2 * step);
      EXPECT_NEAR(s.taylor_weight[index_of(g)], slow * slow, 2 * kSummed * largest) << probes << " " << g;
    }
  }
}

/// Means over positions, then a product that takes the batch for an axis of its own.
Graph mixing_samples() {
  Net net;
  const int x = net.input({-1, 3, -1, -1});
  const int h = net.add("Relu", {net.add("Conv", {x, net.constant(numbers({6, 3, 1, 1}, 1))})});
  const int means = net.add("Flatten", {net.add("GlobalAveragePool", {h})});
  const int rows = net.add("Unsqueeze", {means, net.constant(at::tensor({0}, at::kLong))});
  const int product = net.add("MatMul", {rows, net.constant(numbers({6, 2}, 2))});
  return net.finish(net.add("Squeeze", {product, net.constant(at::tensor({0}, at::kLong))}));
}

TEST(GateGradients, WhereABatchCannotBeToldApartComeOneByOne) {
  const ChannelGroups groups = analyse(mixing_samples());
  ASSERT_EQ(groups.size(), 6);
  Rng rng(4);
  const auto samples = testing::random_samples(4, {3, 8, 8}, {2}, rng);
  const Scores together =
      score(groups, samples, by_loss(), {.probes = 0, .weight_gradients = true, .batch = 4});
  const Scores single =
      score(groups, samples, by_loss(), {.probes = 0, .weight_gradients = true, .batch = 1});
  EXPECT_EQ(together.rows, 4);
  EXPECT_EQ(together.gradients, single.gradients);
  EXPECT_EQ(together.taylor_weight, single.taylor_weight);
  EXPECT_EQ(together.energy, single.energy);
}

/// A product of eight positions, which come first as recurrent layers want them, and of eight samples.
TEST(GateGradients, ASequenceAsLongAsTheBatchIsNotTheBatch) {
  Net net;
  const int h =
      net.add("Relu", {net.add("Conv", {net.input({-1, 3, 2, 4}), net.constant(numbers({6, 3, 1, 1}, 1))})});
  const int rows = net.add("Reshape", {h, net.constant(at::tensor({0, 6, 8}, at::kLong))});
  const int series = net.add("Transpose", {rows}, {{"perm", list({2, 0, 1})}});
  const int product = net.add("MatMul", {series, net.constant(numbers({6, 2}, 2))});
  const ChannelGroups groups =
      analyse(net.finish(net.add("Transpose", {product}, {{"perm", list({1, 2, 0})}})));
  ASSERT_EQ(groups.size(), 6);
  Rng rng(4);
  const auto samples = testing::random_samples(8, {3, 2, 4}, {2, 8}, rng);
  const Scores together = score(groups, samples, by_loss(), {.probes = 0, .batch = 8});
  const Scores single = score(groups, samples, by_loss(), {.probes = 0, .batch = 1});
  for (std::size_t i = 0; i < single.gradients.size(); ++i)
    EXPECT_NEAR(together.gradients[i], single.gradients[i], kSummed * largest_of(single.gradients));
}

/// Two outputs a sample: their derivatives by the gates can be taken one at a time.
Graph few_outputs() {
  Net net(at::kDouble);
  const int x = net.input({-1, 3, -1, -1});
  const int h = net.add("Tanh", {net.add("Conv", {x, net.constant(numbers({3, 3, 3, 3}, 1, 0.5))})});
  const int y = net.add("Conv", {h, net.constant(numbers({2, 3, 1, 1}, 2))});
  return net.finish(net.add("Flatten", {net.add("GlobalAveragePool", {y})}));
}

TEST(Probes, HaveTheGaussNewtonMatrixAsTheirMean) {
  const ChannelGroups groups = analyse(few_outputs());
  ASSERT_EQ(groups.size(), 3);
  auto samples = double_samples(1);
  samples[0].target = at::Tensor();
  constexpr int count = 4000;
  const Scores s = score(groups, samples, by_loss(), {.probes = count});
  ASSERT_TRUE(s.label_free);
  ASSERT_EQ(s.probe_rows, count);
  constexpr double step = 1e-5;
  double exact[3][3] = {};  // J'J / outputs
  std::vector<at::Tensor> columns;
  for (int g = 0; g < 3; ++g)
    columns.push_back(
        (output_with(groups, samples[0], g, 1 + step) - output_with(groups, samples[0], g, 1 - step)) /
        (2 * step));
  for (int g = 0; g < 3; ++g) {
    for (int h = 0; h < 3; ++h)
      exact[g][h] = (columns[index_of(g)] * columns[index_of(h)]).mean().item<double>();
  }
  for (int g = 0; g < 3; ++g) {
    for (int h = 0; h < 3; ++h) {
      double mean = 0;
      for (int r = 0; r < count; ++r)
        mean += static_cast<double>(s.probes[index_of(3 * r + g)]) * s.probes[index_of(3 * r + h)] / count;
      // A product of two normal numbers has the variance c_gg·c_hh + c_gh².
      const double deviation = std::sqrt((exact[g][g] * exact[h][h] + exact[g][h] * exact[g][h]) / count);
      EXPECT_NEAR(mean, exact[g][h], 5 * deviation) << g << " " << h;
    }
    EXPECT_GT(exact[g][g], 0);
  }
}

/// What the last layer of six_channels reads: [groups, values of all samples].
at::Tensor activations(const Graph& graph, const std::vector<Sample>& samples) {
  std::vector<at::Tensor> parts;
  RunOptions run;
  run.on_input = [&](int node, int input, const at::Tensor& tensor) {
    if (node == static_cast<int>(graph.nodes.size()) - 1 && input == 0)
      parts.push_back(tensor[0].flatten(1).to(at::kDouble));
    return tensor;
  };
  for (const auto& s : samples) Executor(graph).run({s.input.unsqueeze(0)}, run);
  return at::cat(parts, 1);
}

Graph one_layer() {
  return testing::six_channels([](Net& net, int h) {
    return net.add("Conv", {h, net.constant(numbers({2, 6, 1, 1}, 3))});
  });
}

/// Samples that are more and more bright, so that their means differ.
std::vector<Sample> brightening(int count) {
  auto samples = testing::twin_scenes(count, {3, 8, 8});
  for (std::size_t i = 0; i < samples.size(); ++i)
    samples[i].input = samples[i].input + 0.5 * static_cast<double>(i);
  return samples;
}

TEST(Similarity, IsTheCosineAndPearsonsCorrelationOfActivations) {
  const Graph graph = one_layer();
  const ChannelGroups groups = analyse(graph);
  const auto samples = brightening(3);
  const at::Tensor a = activations(graph, samples);
  const at::Tensor centred = a - a.mean(1, true);
  for (const int batch : {1, 4, 8}) {
    const Scores s = score(groups, samples, by_loss(), {.centred = true, .batch = batch});
    ASSERT_EQ(s.similarity.size(), 1U);
    EXPECT_EQ(s.similarity[0].groups, (std::vector<int>{0, 1, 2, 3, 4, 5}));
    for (int g = 0; g < 6; ++g) {
      // Sums of 192 float32 squares, whose roundings are at most 192·2^-24 of the sum.
      EXPECT_NEAR(s.energy[index_of(g)], a[g].square().mean().item<double>(), 1.2e-5 * s.energy[index_of(g)]);
      for (int h = 0; h < 6; ++h) {
        const auto of = [&](const at::Tensor& x) {
          return ((x[g] * x[h]).sum() / (x[g].norm() * x[h].norm())).item<double>();
        };
        // Sums of 64 to 512 float32 products: 2^-24·sqrt(512) < 2e-6 of their size, for Pearson times the
        // ratio of mean squares to variances, which is below ten.
        EXPECT_NEAR(s.similarity[0].cosine[index_of(6 * g + h)], of(a), 1e-5) << batch;
        EXPECT_NEAR(s.similarity[0].pearson[index_of(6 * g + h)], of(centred), 1e-4) << batch;
      }
    }
  }
}

TEST(Similarity, IsRightWhereMeansAreLargeAgainstSpreads) {
  Graph graph = one_layer();
  for (auto& value : graph.values) {
    if (value.is_constant() && value.constant.dim() == 1 && value.constant.size(0) == 6)
      value.constant = value.constant.tensor() + 300;
  }
  const auto samples = testing::twin_scenes(3, {3, 8, 8});
  const at::Tensor a = activations(graph, samples).to(at::kDouble);
  const at::Tensor centred = a - a.mean(1, true);
  const Scores s = score(analyse(graph), samples, by_loss(), {.centred = true});
  for (int g = 0; g < 6; ++g) {
    for (int h = 0; h < 6; ++h) {
      const double pearson =
          ((centred[g] * centred[h]).sum() / (centred[g].norm() * centred[h].norm())).item<double>();
      // The activations' own rounding, 2^-24 · 300 = 2e-5, beside spreads of about 1.
      EXPECT_NEAR(s.similarity[0].pearson[index_of(6 * g + h)], pearson, 1e-3) << g << " " << h;
    }
  }
}

int channels(Net& net, int value, std::int64_t from, std::int64_t to) {
  const auto number = [&](std::int64_t n) { return net.constant(at::tensor({n}, at::kLong)); };
  return net.add("Slice", {value, number(from), number(to), number(1)});
}

/// Cosines of the block's first groups, whose activations are these rows, and their energy.
void expect_first(const Scores& s, const at::Tensor& rows) {
  ASSERT_EQ(s.similarity.size(), 1U);
  const std::size_t m = s.similarity[0].groups.size();
  for (std::size_t g = 0; g < static_cast<std::size_t>(rows.size(0)); ++g) {
    ASSERT_EQ(s.similarity[0].groups[g], static_cast<int>(g));
    const at::Tensor own = rows[static_cast<std::int64_t>(g)];
    // Sums of 192 float32 squares, whose roundings are at most 192·2^-24 of the sum.
    EXPECT_NEAR(s.energy[g], own.square().mean().item<double>(), 1.2e-5 * s.energy[g]);
    EXPECT_GT(s.energy[g], 0);
    // Of a cosine, as above: some sqrt(192)·2^-24 < 1e-6 of each of its three sums.
    for (std::size_t h = 0; h < static_cast<std::size_t>(rows.size(0)); ++h) {
      const at::Tensor other = rows[static_cast<std::int64_t>(h)];
      EXPECT_NEAR(s.similarity[0].cosine[m * g + h],
                  ((own * other).sum() / (own.norm() * other.norm())).item<double>(), 1e-5);
    }
  }
}

TEST(Similarity, OfGroupsThatHoldFewerPlacesThanTheirNeighbours) {
  // A layer's first half is read once, its second half again with what a branch adds to it.
  const Graph graph = testing::six_channels([](Net& net, int h) {
    const int second = channels(net, h, 3, 6);
    const int branch = net.add("Conv", {second, net.constant(numbers({3, 3, 1, 1}, 4))});
    const int joined = net.add("Concat", {channels(net, h, 0, 3), second, net.add("Add", {second, branch})},
                               {{"axis", Attribute::of(1)}});
    return net.add("Conv", {joined, net.constant(numbers({2, 9, 1, 1}, 3))});
  });
  const auto samples = brightening(3);
  expect_first(score(analyse(graph), samples, by_loss(), {}), activations(graph, samples).slice(0, 0, 3));
}

TEST(Similarity, OfChannelsThatAreReadInAnotherOrder) {
  const Graph graph = testing::six_channels([](Net& net, int h) {
    const int swapped =
        net.add("Concat", {channels(net, h, 3, 6), channels(net, h, 0, 3)}, {{"axis", Attribute::of(1)}});
    return net.add("Conv", {swapped, net.constant(numbers({2, 6, 1, 1}, 3))});
  });
  const auto samples = brightening(3);
  expect_first(score(analyse(graph), samples, by_loss(), {}), activations(graph, samples).roll({3}, {0}));
}

TEST(Similarity, OfADeadGroupIsZero) {
  Graph graph = one_layer();
  for (auto& value : graph.values) {
    if (!value.is_constant() || value.constant.size(0) != 6) continue;
    value.constant = value.constant.tensor().clone();
    value.constant.tensor().select(0, 2).fill_(value.constant.dim() == 1 ? -1 : 0);  // Relu of a bias of -1
  }
  const ChannelGroups groups = analyse(graph);
  const Scores s = score(groups, testing::twin_scenes(2, {3, 8, 8}), by_loss(), {});
  EXPECT_EQ(s.energy[2], 0);
  EXPECT_EQ(s.taylor[2], 0);
  for (int h = 0; h < 6; ++h) EXPECT_EQ(s.similarity[0].cosine[index_of(6 * 2 + h)], 0);
  EXPECT_NEAR(s.similarity[0].cosine[0], 1, 1e-12);
}

TEST(Scores, NormsAreThoseOfOutputsWhereInputsAreTheSameGroups) {
  // A residual matrix product over channels: both axes of its weight hold the same groups.
  const at::Tensor product = numbers({6, 6}, 4);
  Graph graph = testing::six_channels([&](Net& net, int h) {
    const int last = net.add("Transpose", {h}, {{"perm", list({0, 2, 3, 1})}});
    const int sum = net.add("Add", {last, net.add("MatMul", {last, net.constant(product)})});
    const int first = net.add("Transpose", {sum}, {{"perm", list({0, 3, 1, 2})}});
    return net.add("Conv", {first, net.constant(numbers({2, 6, 1, 1}, 3))});
  });
  const ChannelGroups groups = analyse(graph);
  ASSERT_EQ(groups.size(), 6);
  const Scores s = score(groups, testing::twin_scenes(2, {3, 8, 8}), by_loss(), {});
  const at::Tensor filters = numbers({6, 3, 3, 3}, 1, 0.4).abs().sum({1, 2, 3});
  const at::Tensor exact = filters + product.abs().sum(0);
  // Sums of 33 float32 numbers of at most 3.4, by two ways.
  for (int g = 0; g < 6; ++g) EXPECT_NEAR(s.l1[index_of(g)], exact[g].item<double>(), 1e-5);
}

TEST(Scores, WithoutLabelsComeFromTheProbes) {
  const ChannelGroups groups = analyse(one_layer());
  const auto samples = testing::twin_scenes(2, {3, 8, 8});  // no targets
  const Scores s = score(groups, samples, by_loss(), {.probes = 3});
  EXPECT_TRUE(s.label_free);
  EXPECT_EQ(s.rows, 0);
  EXPECT_EQ(s.probe_rows, 12);
  double square = 0;
  for (int r = 0; r < 12; ++r) square += std::pow(s.probes[index_of(6 * r)], 2) / 12;
  EXPECT_NEAR(s.fisher[0], square / 2, 1e-12 * square);
  EXPECT_THROW(score(groups, {}, by_loss(), {}), InputError);
}

}  // namespace
}  // namespace quboprune
