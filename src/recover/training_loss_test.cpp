#include "recover/training_loss.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "model/test_net.h"
#include "quboprune/distil.h"
#include "quboprune/error.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

using testing::index_of;
using testing::Net;
using testing::numbers;
using testing::six_channels;

/// 3 -> 6 -> 5 -> 2 with Relu between: two tensors that a cut can go through.
Graph chain() {
  return six_channels([](Net& net, int h) {
    const int second = net.add("Relu", {net.add("Conv", {h, net.constant(numbers({5, 6, 1, 1}, 3, 0.5)),
                                                         net.constant(numbers({5}, 4, 0.3))})});
    return net.add("Conv", {second, net.constant(numbers({2, 5, 1, 1}, 5, 0.5))});
  });
}

Mask without(const ChannelGroups& groups, const std::vector<int>& removed) {
  Mask mask(index_of(groups.size()), 1);
  for (int g : removed) mask[index_of(g)] = 0;
  return mask;
}

at::Tensor some_input() {
  return numbers({4, 3, 7, 9}, 50);
}

/// The loss of `network` against `teacher` on some_input(), with the gradients of what requires any.
at::Tensor feature_loss(const std::vector<Feature>& features, const Executor& teacher,
                        const Executor& network) {
  FeatureLoss loss(features);
  RunOptions first;
  first.on_value = loss.of_teacher();
  teacher.run({some_input()}, first);
  RunOptions second;
  second.on_value = loss.of_network();
  network.run({some_input()}, second);
  return loss.mean();
}

class CutChain : public ::testing::Test {
 protected:
  const Graph graph_ = chain();
  const ChannelGroups groups_ = analyse(graph_);
  const Mask mask_ = without(groups_, {1, 4, 8});  // two of the first layer, one of the second
  const Graph cut_ = slice(groups_, mask_);
  const std::vector<Feature> features_ = cut_features(groups_, mask_);
  const Executor teacher_{graph_};
};

TEST_F(CutChain, IsFollowedBehindTheActivations) {
  ASSERT_EQ(features_.size(), 2U);
  for (const auto& f : features_) {
    EXPECT_EQ(f.value, f.teacher);
    EXPECT_EQ(graph_.nodes[index_of(graph_.values[index_of(f.value)].producer)].op, "Relu");
    ASSERT_EQ(f.kept.size(), 1U);
    EXPECT_EQ(f.kept[0].first, 1);
  }
  EXPECT_EQ(features_[0].kept[0].second, (std::vector<std::int64_t>{0, 2, 3, 5}));
  EXPECT_EQ(features_[1].kept[0].second, (std::vector<std::int64_t>{0, 1, 3, 4}));
}

TEST_F(CutChain, LosesNothingInFrontOfTheFirstCut) {
  // What is left of the first layer's channels is what they were; the second layer lacks inputs.
  EXPECT_EQ(feature_loss({features_[0]}, teacher_, Executor(cut_)).item<float>(), 0);
  EXPECT_GT(feature_loss({features_[1]}, teacher_, Executor(cut_)).item<float>(), 0.01);
}

TEST_F(CutChain, IsNotFollowedWhereNothingIsCut) {
  const Mask all(mask_.size(), 1);
  EXPECT_TRUE(cut_features(groups_, all).empty());
  EXPECT_FALSE(feature_loss({}, teacher_, teacher_).defined());
}

TEST_F(CutChain, HasNoLossAgainstItself) {
  std::vector<Feature> whole = features_;
  for (auto& f : whole) f.kept.clear();
  EXPECT_EQ(feature_loss(whole, teacher_, teacher_).item<float>(), 0);
}

TEST_F(CutChain, NeedsTheKeptIndicesInTheirOrder) {
  Feature swapped = features_[0];
  std::swap(swapped.kept[0].second[0], swapped.kept[0].second[2]);
  EXPECT_GT(feature_loss({swapped}, teacher_, Executor(cut_)).item<float>(), 0.01);
  Feature other = features_[0];
  other.kept[0].second[1] = 1;  // a channel that was removed
  EXPECT_GT(feature_loss({other}, teacher_, Executor(cut_)).item<float>(), 0.01);
  Feature longer = features_[0];
  longer.kept.clear();
  EXPECT_THROW(feature_loss({longer}, teacher_, Executor(cut_)), InputError);
}

TEST_F(CutChain, SendsGradientsToTheLayersInFrontAlone) {
  for (std::size_t k = 0; k < 2; ++k) {
    Executor network(cut_);
    std::vector<at::Tensor> weights;
    for (const auto& node : cut_.nodes) {
      if (node.op != "Conv") continue;
      weights.push_back((network.constant(node.inputs[1]) * 1.1).detach().set_requires_grad(true));
      network.set_constant(node.inputs[1], weights.back());
    }
    feature_loss({features_[k]}, teacher_, network).backward();
    ASSERT_EQ(weights.size(), 3U);
    for (std::size_t layer = 0; layer < 3; ++layer) {
      const at::Tensor& gradient = weights[layer].grad();
      if (layer <= k) {
        EXPECT_GT(gradient.abs().max().item<float>(), 1e-4);
      } else {
        EXPECT_FALSE(gradient.defined());
      }
    }
  }
}

TEST_F(CutChain, ComparesLayersOfAnySize) {
  // The first layer's outputs a thousandfold, the next one's weights made to match: the same network.
  const auto scaled = [](Graph graph, double factor) {
    const auto scale = [&](const Node& node, std::size_t input, double by) {
      auto& constant = graph.values[index_of(node.inputs[input])].constant;
      constant = constant.tensor() * by;
    };
    scale(graph.nodes[0], 1, factor);
    scale(graph.nodes[0], 2, factor);
    scale(graph.nodes[2], 1, 1 / factor);
    return graph;
  };
  Graph changed = cut_;
  auto& weight = changed.values[index_of(changed.nodes[0].inputs[1])].constant;
  weight = weight.tensor() * 1.2;
  const double plain = feature_loss(features_, teacher_, Executor(changed)).item<double>();
  const Executor large(scaled(graph_, 1000));
  // float32 in another order: relative rounding of about 1e-6 in each of some hundred terms.
  EXPECT_NEAR(feature_loss(features_, large, Executor(scaled(changed, 1000))).item<double>(), plain,
              1e-4 * plain);
}

TEST_F(CutChain, LeavesOutFeaturesThatAreDeadInTheTeacher) {
  Graph dead = graph_;
  auto& bias = dead.values[index_of(dead.nodes[0].inputs[2])].constant;
  bias = bias.tensor() - 1000;
  EXPECT_FALSE(feature_loss({features_[0]}, Executor(dead), Executor(cut_)).defined());
  const double both = feature_loss(features_, Executor(dead), Executor(cut_)).item<double>();
  EXPECT_EQ(both, feature_loss({features_[1]}, Executor(dead), Executor(cut_)).item<double>());
}

TEST_F(CutChain, AddsFeaturesInTheUnitOfTheOutputs) {
  FinetuneOptions options;
  options.teacher = &graph_;
  options.features = features_;
  Batch batch;
  batch.samples = {0, 1, 2, 3};
  batch.input = some_input();
  const Executor network(cut_);
  const auto loss = [&](Loss kind, double weight) {
    options.judge.loss = kind;
    options.feature_weight = weight;
    return TrainingLoss(options)(network, batch).item<double>();
  };
  const double relative = feature_loss(features_, teacher_, network).item<double>();
  const at::Tensor reference = teacher_(some_input());
  for (const Loss kind : {Loss::l1, Loss::mse}) {
    const double size = (kind == Loss::l1 ? reference.abs() : reference.square()).mean().item<double>();
    EXPECT_NEAR(loss(kind, 0.5) - loss(kind, 0), 0.5 * size * relative, 1e-5 * size);
  }
}

}  // namespace
}  // namespace quboprune
