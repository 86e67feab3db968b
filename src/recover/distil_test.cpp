#include "quboprune/distil.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "model/test_net.h"
#include "quboprune/surgery.h"
#include "recover/refit_bench.h"
#include "recover/training_loss.h"

namespace quboprune {
namespace {

using testing::index_of;
using testing::numbers;
using testing::uniform;

/// Ten scenes of four inputs each without targets; in training those of `poisoned` scenes are NaN.
class Scenes : public Dataset {
 public:
  explicit Scenes(int scenes = 10) : scenes_(scenes) {}
  std::vector<Sample> samples(Part, const Control& = {}) const override {
    std::vector<Sample> result;
    for (int s = 0; s < 4 * scenes_; ++s) {
      const std::string scene = "scene " + std::to_string(s % scenes_);
      result.push_back(
          {numbers({3, 10, 10}, 200 + static_cast<std::uint64_t>(s)), {}, std::to_string(s), scene});
    }
    return result;
  }
  Sample random_crop(Rng& rng, int crop, bool) const override {
    Sample sample;
    sample.scene = "scene " + std::to_string(rng.below(static_cast<std::uint32_t>(scenes_)));
    sample.input = uniform({3, crop, crop}, rng);
    if (poisoned.contains(sample.scene)) sample.input.fill_(std::numeric_limits<float>::quiet_NaN());
    return sample;
  }
  TargetKind target_kind() const override { return TargetKind::none; }
  Manifest manifest() const override { return {}; }
  std::vector<std::string> notes() const override { return {}; }

  std::set<std::string> poisoned;

 private:
  int scenes_;
};

class Distil : public ::testing::Test {
 protected:
  Distil() {
    mask_[1] = mask_[5] = 0;
    judge_.metric = Metric::output;
    judge_.loss = Loss::output;
    options_.train = {.steps = 150, .batch = 4, .crop = 10, .learning_rate = 3e-3, .ema = 0.9};
  }
  DistilResult run() const {
    return distil(groups_, mask_, data_, data_.samples(Part::calibration), judge_, options_);
  }
  std::set<std::string> judging() const {
    std::set<std::string> scenes;
    const auto samples = data_.samples(Part::calibration);
    for (const auto& s : check_split(samples, options_.refit.check_share, options_.refit.seed).check)
      scenes.insert(s.scene);
    return scenes;
  }
  static bool notes_say(const DistilResult& result, const std::string& text) {
    return std::ranges::any_of(result.notes,
                               [&](const std::string& note) { return note.find(text) != std::string::npos; });
  }
  double feature_loss(const Graph& network) const {
    const auto features = cut_features(groups_, mask_);
    FeatureLoss loss(features);
    const at::Tensor x = numbers({8, 3, 10, 10}, 77, 0.6);
    RunOptions first;
    first.on_value = loss.of_teacher();
    Executor(graph_).run({x}, first);
    RunOptions second;
    second.on_value = loss.of_network();
    Executor(network).run({x}, second);
    return loss.mean().item<double>();
  }

  const Graph graph_ = testing::mixed_structures();
  const ChannelGroups groups_ = analyse(graph_);
  Mask mask_ = Mask(index_of(groups_.size()), 1);
  Scenes data_;
  Judge judge_;
  DistilOptions options_;
};

TEST_F(Distil, ImprovesOnTheRefitWithoutTargets) {
  const DistilResult result = run();
  EXPECT_EQ(result.training.steps, 150);
  EXPECT_LE(result.metric_refitted, result.refit.metric_before);
  EXPECT_LT(result.metric_trained, 0.9 * result.metric_refitted);
  EXPECT_TRUE(result.trained);
}

TEST_F(Distil, StartsFromTheRefit) {
  options_.train.steps = 1;
  options_.train.learning_rate = 1e-12;
  const DistilResult result = run();
  for (std::size_t v = 0; v < result.graph.values.size(); ++v) {
    const auto& constant = result.refit.graph.values[v].constant;
    if (!constant.defined() || !at::isFloatingType(constant.scalar_type())) continue;
    EXPECT_TRUE(at::allclose(result.graph.values[v].constant.tensor(), constant.tensor()));
  }
}

TEST_F(Distil, KeepsTheRefittedNetworkWhereTrainingDoesHarm) {
  options_.train.steps = 5;
  options_.train.learning_rate = 3;
  const DistilResult result = run();
  EXPECT_GT(result.metric_trained, result.metric_refitted);
  EXPECT_FALSE(result.trained);
  ASSERT_FALSE(result.notes.empty());
  for (std::size_t v = 0; v < result.graph.values.size(); ++v) {
    if (!result.graph.values[v].is_constant()) continue;
    EXPECT_TRUE(at::equal(result.graph.values[v].constant, result.refit.graph.values[v].constant));
  }
}

TEST_F(Distil, TrainsOnScenesThatDoNotJudgeAndThenOnAll) {
  options_.train.steps = 20;
  data_.poisoned = judging();
  ASSERT_EQ(data_.poisoned.size(), 3U);
  const DistilResult kept = run();  // a NaN in training ends it
  EXPECT_TRUE(kept.trained);
  EXPECT_FALSE(kept.on_all_scenes || kept.on_all_kept);
  EXPECT_TRUE(notes_say(kept, "training on all calibration scenes failed"));
  options_.all_scenes = false;
  EXPECT_FALSE(notes_say(run(), "failed"));
}

TEST_F(Distil, KeepsTheRefittedNetworkWhereTrainingDiverges) {
  options_.train.steps = 20;
  for (int s = 0; s < 10; ++s) data_.poisoned.insert("scene " + std::to_string(s));
  const DistilResult result = run();
  EXPECT_FALSE(result.trained);
  EXPECT_EQ(result.training.reason, "diverged");
  EXPECT_TRUE(std::isnan(result.metric_trained));
  EXPECT_TRUE(notes_say(result, "the refitted network is kept"));
  for (std::size_t v = 0; v < result.graph.values.size(); ++v) {
    if (!result.graph.values[v].is_constant()) continue;
    EXPECT_TRUE(at::equal(result.graph.values[v].constant, result.refit.graph.values[v].constant));
  }
}

TEST_F(Distil, SaysThatASingleSceneJudgesItself) {
  data_ = Scenes(1);
  options_.train.steps = 2;
  EXPECT_TRUE(notes_say(run(), "the only scene"));
}

TEST_F(Distil, ATimeLimitIsNoStop) {
  options_.train.time_limit = 1e-9;  // over after the first step
  const DistilResult result = run();
  EXPECT_EQ(result.training.reason, "time limit");
  EXPECT_FALSE(notes_say(result, "stopped"));
}

TEST_F(Distil, FollowsFeaturesWhereAskedTo) {
  const DistilResult without = run();
  options_.train.feature_weight = 1;
  EXPECT_LT(feature_loss(run().training.graph), 0.7 * feature_loss(without.training.graph));
}

/// Trained by the teacher alone, on all scenes, from a start that is given.
class Trained : public Distil {
 protected:
  Graph from(const Graph& start) const {
    FinetuneOptions train = options_.train;
    train.teacher = &graph_;
    train.judge.loss = Loss::output;
    train.features = cut_features(groups_, mask_);
    return finetune(start, data_, train).graph;
  }
};

TEST_F(Trained, ComesCloserToTheTeachersFeatures) {
  Graph start = slice(groups_, mask_);
  for (int v : trainable_constants(start)) {
    auto& constant = start.values[index_of(v)].constant;
    constant = constant.tensor() * 1.3;
  }
  options_.train.feature_weight = 1;
  EXPECT_LT(feature_loss(from(start)), 0.2 * feature_loss(start));
}

TEST_F(Trained, TakesSamplesOfDifferentSizes) {
  class Sizes final : public Scenes {
   public:
    Sample random_crop(Rng& rng, int crop, bool augment) const override {
      return Scenes::random_crop(rng, crop + static_cast<int>(rng.below(3)), augment);
    }
  };
  const Graph start = slice(groups_, mask_);
  FinetuneOptions train = options_.train;
  train.teacher = &graph_;
  const FinetuneResult result = finetune(start, Sizes(), train);
  EXPECT_EQ(result.steps, 150);
  const at::Tensor x = numbers({8, 3, 10, 10}, 79, 0.6);
  const auto distance = [&](const Graph& graph) {
    return (Executor(graph)(x) - Executor(graph_)(x)).square().mean().item<double>();
  };
  EXPECT_LT(distance(result.graph), 0.5 * distance(start));
}

TEST_F(Trained, TakesSamplesOneByOneWhereTheFileFixesTheBatch) {
  options_.train.steps = 10;
  const Graph start = slice(groups_, mask_);
  Graph fixed = start;
  fixed.values[index_of(fixed.inputs[0])].shape[0] = 1;
  const at::Tensor x = numbers({1, 3, 10, 10}, 78);
  const at::Tensor before = Executor(start)(x), together = Executor(from(start))(x);
  const double moved = (together - before).abs().max().item<double>();
  // Gradients summed in another order; Adam makes steps of nearly the same size of them, whatever their own.
  EXPECT_LT((together - Executor(from(fixed))(x)).abs().max().item<double>(), 0.01 * moved);
}

}  // namespace
}  // namespace quboprune
