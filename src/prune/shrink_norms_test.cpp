// Means over channels that may lose some: each cut equals the network whose means the mask weights, and those
// are what a norm of the channels left gives.

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "coupling/analysis.h"
#include "model/test_net.h"
#include "quboprune/reconstruction.h"
#include "quboprune/scores.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

using testing::list;
using testing::Net;
using testing::numbers;

constexpr std::int64_t kChannels = 5;

/// Takes a stream [n, channels, height, width] to a value that is normalised over its channels.
using Norm = std::function<int(Net&, int)>;

int layer_norm(Net& net, int stream, const std::string& op) {
  const int last = net.add("Transpose", {stream}, {{"perm", list({0, 2, 3, 1})}});
  std::vector<int> inputs{last, net.constant(numbers({kChannels}, 21, 0.2) + 1)};
  if (op == "LayerNormalization") inputs.push_back(net.constant(numbers({kChannels}, 22, 0.3)));
  return net.add("Transpose", {net.add(op, inputs)}, {{"perm", list({0, 3, 1, 2})}});
}

/// As an exporter without the operator writes it.
int layer_norm_in_parts(Net& net, int stream, double epsilon) {
  const Attribute over = list({1});
  const int centred = net.add("Sub", {stream, net.add("ReduceMean", {stream}, {{"axes", over}})});
  const int variance = net.add("ReduceMean", {net.add("Mul", {centred, centred})}, {{"axes", over}});
  const int floor = net.add("Add", {variance, net.constant(at::full({}, epsilon))});
  const int normal = net.add("Div", {centred, net.add("Sqrt", {floor})});
  return net.add("Mul", {normal, net.constant(numbers({kChannels, 1, 1}, 21, 0.2) + 1)});
}

int one_group(Net& net, int stream) {
  return net.add(
      "GroupNormalization",
      {stream, net.constant(numbers({kChannels}, 21, 0.2) + 1), net.constant(numbers({kChannels}, 22, 0.3))},
      {{"num_groups", Attribute::of(1)}});
}

/// A mean that is read as an image of its own, beside the channels themselves.
int mean_beside(Net& net, int stream) {
  return net.add("Mul", {stream, net.add("ReduceMean", {stream}, {{"axes", list({1})}})});
}

/// A residual stream of kChannels that is normalised in front of a branch, as transformers do.
Graph stream_with(const Norm& norm, at::ScalarType type = at::kDouble) {
  Net net(type);
  const int x = net.input({-1, 3, -1, -1});
  const int stem = net.add("Conv", {x, net.constant(numbers({kChannels, 3, 3, 3}, 1, 0.4)),
                                    net.constant(numbers({kChannels}, 2, 0.3))});
  const int inner = net.add(
      "Relu", {net.add("Conv", {norm(net, stem), net.constant(numbers({4, kChannels, 1, 1}, 3, 0.5))})});
  const int sum =
      net.add("Add", {stem, net.add("Conv", {inner, net.constant(numbers({kChannels, 4, 1, 1}, 4))})});
  return net.finish(net.add("Conv", {sum, net.constant(numbers({2, kChannels, 1, 1}, 5))}));
}

const std::map<std::string, Norm>& norms() {
  static const std::map<std::string, Norm> all = {
      {"LayerNormalization", [](Net& n, int v) { return layer_norm(n, v, "LayerNormalization"); }},
      {"RMSNormalization", [](Net& n, int v) { return layer_norm(n, v, "RMSNormalization"); }},
      {"in parts", [](Net& n, int v) { return layer_norm_in_parts(n, v, 1e-5); }},
      {"one group", one_group},
      {"a mean", mean_beside}};
  return all;
}

class ShrinkNorms : public ::testing::TestWithParam<std::string> {
 protected:
  const Graph graph = stream_with(norms().at(GetParam()));
  const ChannelGroups groups = analyse(graph, {.shrink_norms = true});
};

TEST_P(ShrinkNorms, OpenTheStreamWhenAsked) {
  EXPECT_EQ(analyse(graph).size(), 4);  // the branch's inner channels
  EXPECT_EQ(groups.size(), 4 + kChannels);
}

TEST_P(ShrinkNorms, CutAsTheMaskWeightsTheMeans) {
  Rng rng(3);
  for (int trial = 0; trial < 10; ++trial) {
    Mask mask(static_cast<std::size_t>(groups.size()), 1);
    for (auto& bit : mask) bit = rng.uniform() < 0.6 ? 1 : 0;
    if (groups.empties_an_axis(mask)) continue;
    const at::Tensor x = numbers({2, 3, 9, 7}, static_cast<std::uint64_t>(trial)).to(at::kDouble);
    const at::Tensor expected = Executor(graph).run({x}, masked_run(groups, mask)).front();
    // In double: sums of at most 27 products in another order, five layers.
    EXPECT_LT((Executor(slice(groups, mask))(x) - expected).abs().max().item<double>(), 1e-11);
    EXPECT_TRUE(verify(groups, mask, slice(groups, mask)).holds());
  }
}

/// For stream_with().
std::vector<Sample> double_samples(std::size_t count) {
  std::vector<Sample> samples(count);
  for (std::size_t n = 0; n < count; ++n) {
    samples[n].input = numbers({3, 8, 8}, 30 + n).to(at::kDouble);
    samples[n].target = numbers({2, 6, 6}, 40 + n).to(at::kDouble);
  }
  return samples;
}

/// The loss where one group counts `factor` in each sum and mean that reads it.
double loss_with(const ChannelGroups& groups, const Sample& sample, int group, double factor) {
  const auto weights = [&](const GatePoint& gate, const at::Tensor& read) {
    std::vector<double> factors;
    for (int g : gate.groups) factors.push_back(g == group ? factor : 1);
    std::vector<std::int64_t> shape(static_cast<std::size_t>(read.dim()), 1);
    shape[static_cast<std::size_t>(gate.axis)] = -1;
    return at::tensor(factors).view(shape);
  };
  RunOptions run;
  run.on_input = [&](int node, int input, const at::Tensor& tensor) {
    for (const auto& gate : groups.gates())
      if (gate.node == node && gate.input == input && !gate.averages)
        return at::mul(tensor, weights(gate, tensor));
    return tensor;
  };
  run.on_mean = [&](int node, const at::Tensor& tensor) {
    for (const auto& gate : groups.gates())
      if (gate.node == node && gate.averages) return weights(gate, tensor);
    return at::Tensor();
  };
  const at::Tensor y = Executor(groups.analysis().graph).run({sample.input.unsqueeze(0)}, run).front();
  return (y[0] - sample.target).square().mean().item<double>();
}

TEST_P(ShrinkNorms, ScoresAreDerivativesByTheGates) {
  const auto samples = double_samples(3);
  Judge judge;
  judge.loss = Loss::mse;
  const Scores s = score(groups, samples, judge, {});
  ASSERT_EQ(s.rows, 3);
  double largest = 0;
  for (float v : s.gradients) largest = std::max(largest, std::abs(static_cast<double>(v)));
  constexpr double step = 1e-5;  // central differences in double: errors of step² and 1e-16/step
  for (int n = 0; n < 3; ++n) {
    for (int g = 0; g < groups.size(); ++g) {
      const auto& sample = samples[static_cast<std::size_t>(n)];
      const double slow =
          (loss_with(groups, sample, g, 1 + step) - loss_with(groups, sample, g, 1 - step)) / (2 * step);
      // G is summed in float32, cancellation may leave ten times its rounding.
      EXPECT_NEAR(s.gradients[static_cast<std::size_t>(n * groups.size() + g)], slow, 1e-5 * largest);
    }
  }
}

std::string plain(const ::testing::TestParamInfo<std::string>& test) {
  std::string name = test.param;
  std::erase(name, ' ');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, ShrinkNorms,
                         ::testing::Values("LayerNormalization", "RMSNormalization", "in parts", "one group",
                                           "a mean"),
                         plain);

/// Less than its last bit is divided by the root of 1e-12 here.
TEST(ShrunkMean, OfOneChannelIsThatChannelToTheLastBit) {
  const Graph graph = stream_with([](Net& n, int v) { return layer_norm_in_parts(n, v, 1e-12); }, at::kFloat);
  const ChannelGroups groups = analyse(graph, {.shrink_norms = true});
  for (int kept = 0; kept < kChannels; ++kept) {
    Mask mask(static_cast<std::size_t>(groups.size()), 1);
    for (int c = 0; c < kChannels; ++c) mask[static_cast<std::size_t>(c)] = c == kept ? 1 : 0;
    EXPECT_LT(verify(groups, mask, slice(groups, mask)).max_abs_difference, 1e-5);
  }
}

TEST(ShrunkMean, StreamsGoLastWhereAsked) {
  const ChannelGroups groups = analyse(stream_with(norms().at("in parts")), {.shrink_norms = true});
  const std::vector<bool> stream = groups.in_means();
  ASSERT_EQ(std::ranges::count(stream, true), kChannels);
  const auto samples = double_samples(4);
  const Judge judge;
  const Reconstruction reconstruction(groups, samples, judge, score(groups, samples, judge, {}));
  const auto of_stream = [&](double removed) {
    const Mask mask = reconstruction.eliminate({Cost::filters, removed}, {}, true).mask;
    int gone = 0;
    for (std::size_t g = 0; g < mask.size(); ++g) gone += stream[g] && mask[g] == 0 ? 1 : 0;
    return std::pair(gone, groups.size() - kept_count(mask));
  };
  EXPECT_EQ(of_stream(3.0 / 9), std::pair(0, 3));  // all of the branch's four but one
  EXPECT_EQ(of_stream(5.0 / 9), std::pair(2, 5));
}

TEST(ShrunkMean, OfTwoLabelledAxesOnlyOneShrinks) {
  Net net;
  const int x = net.input({1, 3, 8, 8});
  const int flat = net.add("Reshape", {net.add("Conv", {x, net.constant(numbers({4, 3, 1, 1}, 1))}),
                                       net.constant(at::tensor({1L, 4L, 64L}))});
  const int columns = net.add("MatMul", {flat, net.constant(numbers({64, 6}, 2))});
  const int mean = net.add("ReduceMean", {columns}, {{"axes", list({1, 2})}});
  const ChannelGroups groups = analyse(net.finish(mean), {.shrink_norms = true});
  EXPECT_EQ(groups.size(), 4);
  Mask mask(4, 1);
  mask[2] = 0;
  EXPECT_TRUE(verify(groups, mask, slice(groups, mask)).holds());
}

}  // namespace
}  // namespace quboprune
