#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <limits>

#include "model/test_net.h"
#include "quboprune/computed_weights.h"
#include "quboprune/error.h"
#include "quboprune/executor.h"
#include "quboprune/finetune.h"

namespace quboprune {
namespace {

using testing::index_of;
using testing::list;
using testing::Net;
using testing::numbers;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// x op constant, and whether the constant is trained.
bool trains(const std::string& op, const at::Tensor& constant) {
  Net net;
  const int x = net.input({-1, 4, 4, 4});
  const int c = net.constant(constant);
  return trainable_constants(net.finish(net.add(op, {x, c}))) == std::vector<int>{c};
}

TEST(Trainable, ScalesAndBiases) {
  const at::Tensor by_channel = numbers({4, 1, 1}, 1);
  EXPECT_TRUE(trains("Mul", by_channel));
  EXPECT_TRUE(trains("Add", by_channel));
  EXPECT_TRUE(trains("Mul", at::zeros({4, 1, 1})));  // a branch that begins with nothing
  EXPECT_FALSE(trains("Mul", at::full({1}, 0.125F)));
  EXPECT_FALSE(trains("Div", by_channel));
  EXPECT_FALSE(trains("Sub", by_channel));
}

TEST(Trainable, MasksAreNot) {
  const at::Tensor after = at::ones({4, 4}).triu(1);
  EXPECT_FALSE(trains("Add", after * -100));
  EXPECT_FALSE(trains("Add", at::zeros({4, 4}).masked_fill(after.to(at::kBool), -kInfinity)));
  EXPECT_FALSE(trains("Mul", after));
  EXPECT_TRUE(trains("Add", at::tensor({0.0F, 0.0F, 0.5F, 0.25F}).view({4, 1, 1})));
}

TEST(Trainable, WeightsThatAreReadInAnotherShape) {
  Net net;
  const int slope = net.constant(numbers({4}, 1)), weight = net.constant(numbers({4, 4}, 2));
  const int axes = net.constant(at::tensor({1, 2}, at::kLong));
  const int turned = net.add("Transpose", {weight}, {{"perm", list({1, 0})}});
  const int product = net.add("MatMul", {net.input({-1, 4, 4, 4}), turned});
  const Graph graph = net.finish(net.add("PRelu", {product, net.add("Unsqueeze", {slope, axes})}));
  EXPECT_EQ(trainable_constants(graph), (std::vector<int>{slope, weight}));
}

/// A batch norm whose variance is the file's bias again, through Identity, as exporters share equal numbers.
Graph with_shared_ones() {
  Net net;
  const int x = net.input({-1, 4, 4, 4});
  const int ones = net.constant(at::ones({4})), zeros = net.constant(at::zeros({4}));
  const int scale = net.add("Identity", {ones}), mean = net.add("Identity", {zeros});
  const int variance = net.add("Identity", {ones});
  Graph graph = net.finish(net.add("BatchNormalization", {x, scale, zeros, mean, variance}));
  for (std::size_t n = 0; n < graph.nodes.size(); ++n)
    graph.nodes[n].source = static_cast<int>(n);  // as in a file
  return graph;
}

TEST(OwnConstants, PartWhatIsSharedThroughIdentity) {
  const Graph file = with_shared_ones();
  const Graph own = with_own_constants(file);
  ASSERT_EQ(own.nodes.size(), 1U);
  const Node& norm = own.nodes[0];
  for (const int v : norm.inputs) EXPECT_TRUE(v == norm.input(0) || own.values[index_of(v)].is_constant());
  const at::Tensor x = numbers({2, 4, 4, 4}, 7);
  EXPECT_TRUE(at::equal(Executor(own)(x), Executor(file)(x)));
  // What nothing changed is read through the file's own nodes again; what something did isn't.
  EXPECT_EQ(with_weights_computed_as_in(file, own, own).nodes.size(), 4U);
  Graph changed = own;
  changed.values[index_of(norm.input(4))].constant = at::full({4}, 4.0F);
  const Graph written = with_weights_computed_as_in(file, own, changed);
  EXPECT_EQ(written.nodes.size(), 3U);
  // 1/sqrt(4 + 1e-5) is 1.25e-6 of itself below a half.
  EXPECT_TRUE(at::allclose(Executor(written)(x), x / 2, 2e-6, 1e-7));
}

/// Uniform noise whose target is its double.
class Doubles : public Dataset {
 public:
  std::vector<Sample> samples(Part, const Control& = {}) const override { return {}; }
  Sample random_crop(Rng& rng, int, bool) const override {
    Sample sample;
    sample.input = testing::uniform({4, 4, 4}, rng);
    sample.target = sample.input * 2;
    sample.name = "noise";
    return sample;
  }
  TargetKind target_kind() const override { return TargetKind::image; }
  Manifest manifest() const override { return {}; }
  std::vector<std::string> notes() const override { return {}; }
};

TEST(Trainable, StatisticsBehindIdentityAreLearned) {
  FinetuneOptions options{
      .steps = 30, .batch = 4, .ema = 0, .train_batch_norm = true, .judge = {.loss = Loss::mse}};
  const Graph trained = finetune(with_shared_ones(), Doubles(), options).graph;
  const Node& norm = trained.nodes.back();
  const at::Tensor variance = trained.values[index_of(norm.input(4))].constant;
  EXPECT_LT(variance.max().item<float>(), 0.7F);  // of uniform noise: far below the 1 that it began with
  EXPECT_FALSE(at::equal(variance, trained.values[index_of(norm.input(1))].constant.tensor()));
}

TEST(Trainable, WeightsThatAreNoNumberAnyMoreAreNotWritten) {
  Graph graph = with_shared_ones();
  for (auto& value : graph.values) {
    if (value.is_constant()) value.constant = value.constant.tensor().to(at::kHalf);
  }
  FinetuneOptions options{.steps = 1, .ema = 0, .judge = {.loss = Loss::mse}};
  EXPECT_NO_THROW(finetune(graph, Doubles(), options));
  options.learning_rate = 1e8;  // beyond what 16 bits hold
  EXPECT_THROW(finetune(graph, Doubles(), options), InputError);
}

/// Of one position, which is its mean.
class Points : public Doubles {
  Sample random_crop(Rng& rng, int crop, bool augment) const override {
    Sample sample = Doubles::random_crop(rng, crop, augment);
    for (auto* image : {&sample.input, &sample.target}) *image = image->slice(1, 0, 1).slice(2, 0, 1);
    return sample;
  }
};

TEST(Trainable, OneValueAChannelHasNoVariance) {
  Net net;
  const int means = net.add("GlobalAveragePool", {net.input({-1, 4, 1, 1})});
  const auto fill = [&](double value) { return net.constant(at::full({4}, value, at::kFloat)); };
  const Graph graph = net.finish(net.add("BatchNormalization", {means, fill(1), fill(0), fill(0), fill(1)}));
  FinetuneOptions options{.steps = 2, .batch = 1, .train_batch_norm = true, .judge = {.loss = Loss::mse}};
  EXPECT_THROW(finetune(graph, Points(), options), InputError);
  options.batch = 4;
  EXPECT_NO_THROW(finetune(graph, Points(), options));
}

}  // namespace
}  // namespace quboprune
