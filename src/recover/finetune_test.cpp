#include "quboprune/finetune.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <limits>

#include "model/test_net.h"
#include "quboprune/error.h"
#include "quboprune/executor.h"

namespace quboprune {
namespace {

using testing::index_of;
using testing::list;
using testing::Net;
using testing::numbers;
using testing::uniform;

/// 3 -> width -> 2 with a batch norm between; `seed` draws the convolutions' weights.
Graph small_network(std::uint64_t seed, std::int64_t width = 4) {
  Net net;
  const int x = net.input({-1, 3, -1, -1});
  const int h = net.add("Conv", {x, net.constant(numbers({width, 3, 3, 3}, seed, 0.3))},
                        {{"pads", list({1, 1, 1, 1})}});
  const int n =
      net.add("BatchNormalization",
              {h, net.constant(at::ones({width})), net.constant(at::zeros({width})),
               net.constant(numbers({width}, 5, 0.1)), net.constant(numbers({width}, 6).abs() + 0.5)});
  return net.finish(
      net.add("Conv", {net.add("Relu", {n}), net.constant(numbers({2, width, 1, 1}, seed + 1, 0.5)),
                       net.constant(numbers({2}, seed + 2, 0.1))}));
}

/// Uniform noise, with what `truth` makes of it for a target.
class Lessons : public Dataset {
 public:
  explicit Lessons(const Graph* truth) {
    if (truth) truth_ = std::make_unique<Executor>(*truth);
  }
  std::vector<Sample> samples(Part, const Control& = {}) const override { return {}; }
  Sample random_crop(Rng& rng, int crop, bool) const override {
    Sample sample;
    sample.input = uniform({3, crop, crop}, rng);
    if (truth_) sample.target = (*truth_)(sample.input.unsqueeze(0))[0].detach();
    return sample;
  }
  TargetKind target_kind() const override { return truth_ ? TargetKind::image : TargetKind::none; }
  Manifest manifest() const override { return {}; }
  std::vector<std::string> notes() const override { return {}; }

 private:
  std::unique_ptr<Executor> truth_;
};

FinetuneOptions brief(std::int64_t steps) {
  return {
      .steps = steps, .batch = 4, .crop = 8, .learning_rate = 1e-2, .ema = 0, .judge = {.loss = Loss::mse}};
}

/// Mean squared difference of two networks on data that neither was trained on.
double distance(const Graph& a, const Graph& b) {
  const at::Tensor x = numbers({8, 3, 8, 8}, 99, 0.6);
  return (Executor(a)(x) - Executor(b)(x)).square().mean().item<double>();
}

void expect_equal(const Graph& a, const Graph& b) {
  for (std::size_t v = 0; v < a.values.size(); ++v) {
    if (!a.values[v].is_constant()) continue;
    EXPECT_TRUE(at::equal(a.values[v].constant, b.values[v].constant)) << v;
  }
}

/// The constants behind an input of all batch norms.
at::Tensor of_norm(const Graph& graph, std::size_t input) {
  for (const auto& node : graph.nodes) {
    if (node.op == "BatchNormalization") return graph.values[index_of(node.inputs[input])].constant;
  }
  return {};
}

TEST(Finetune, LearnsATinyProblem) {
  const Graph truth = small_network(1), start = small_network(11);
  const Lessons data(&truth);
  for (const double ema : {0.0, 0.95}) {
    FinetuneOptions options = brief(400);
    options.ema = ema;
    const FinetuneResult result = finetune(start, data, options);
    EXPECT_EQ(result.steps, 400);
    EXPECT_EQ(result.reason, "steps");
    ASSERT_EQ(result.history.size(), 4U);
    // Not to 0: the problem isn't convex.
    EXPECT_LT(result.history.back().loss, result.history.front().loss / 3);
    EXPECT_LT(distance(result.graph, truth), distance(start, truth) / 10);
  }
}

TEST(Finetune, LeavesTheOriginalAsItIs) {
  const Graph truth = small_network(1), start = small_network(11);
  finetune(start, Lessons(&truth), brief(3));
  expect_equal(start, small_network(11));
}

TEST(Finetune, RepeatsWithItsSeed) {
  const Graph truth = small_network(1), start = small_network(11);
  FinetuneOptions options = brief(5);
  const Graph first = finetune(start, Lessons(&truth), options).graph;
  expect_equal(first, finetune(start, Lessons(&truth), options).graph);
  options.seed = 2;
  EXPECT_GT(distance(first, finetune(start, Lessons(&truth), options).graph), 0);
}

class Resumed : public ::testing::Test {
 protected:
  void SetUp() override {
    set_threads(1);  // sums in the same order
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  /// Runs until the given step has been reported.
  FinetuneResult until(std::int64_t step, const FinetuneOptions& options) const {
    std::atomic<bool> stop = false;
    std::int64_t seen = 0;
    Control control;
    control.stop = &stop;
    control.progress = [&](std::string_view, double, double, double) { stop = ++seen == step; };
    return finetune(start_, Lessons(&truth_), options, control);
  }

  const Graph truth_ = small_network(1), start_ = small_network(11);
  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("quboprune_finetune_" + std::to_string(::getpid()));
};

TEST_F(Resumed, GoesOnBitForBit) {
  for (const bool train_batch_norm : {false, true}) {
    for (const double ema : {0.0, 0.9}) {
      SetUp();
      FinetuneOptions options = brief(30);
      options.train_batch_norm = train_batch_norm;
      options.ema = ema;
      const FinetuneResult whole = finetune(start_, Lessons(&truth_), options);
      options.work = folder_;
      const FinetuneResult part = until(12, options);
      EXPECT_EQ(part.steps, 12);
      EXPECT_EQ(part.reason, "stopped");
      const FinetuneResult rest = finetune(start_, Lessons(&truth_), options);
      EXPECT_EQ(rest.steps, 30);
      expect_equal(whole.graph, rest.graph);
      // A finished run taken up again has nothing left to do.
      const FinetuneResult again = finetune(start_, Lessons(&truth_), options);
      EXPECT_TRUE(again.history.empty());
      expect_equal(whole.graph, again.graph);
    }
  }
}

TEST_F(Resumed, KeepsNothingOfARunWithoutAStep) {
  FinetuneOptions options = brief(3);
  options.work = folder_;
  const std::atomic<bool> stop = true;
  EXPECT_EQ(finetune(start_, Lessons(&truth_), options, Control{{}, &stop}).steps, 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder_)) << "its weights may be those of a repair that was stopped";
}

TEST_F(Resumed, RefusesStateThatIsDamagedOrAnothers) {
  FinetuneOptions options = brief(2);
  options.work = folder_;
  finetune(start_, Lessons(&truth_), options);
  EXPECT_THROW(finetune(testing::mixed_structures(), Lessons(&truth_), options), InputError);
  std::filesystem::remove_all(folder_);
  finetune(small_network(3, 1), Lessons(&truth_),
           options);  // its tensors could be repeated to start_'s sizes
  EXPECT_THROW(finetune(start_, Lessons(&truth_), options), InputError);
  std::filesystem::remove_all(folder_);
  finetune(start_, Lessons(&truth_), options);
  FinetuneOptions other = options;
  other.problem = "other data";
  EXPECT_THROW(finetune(start_, Lessons(&truth_), other), InputError);
  EXPECT_EQ(finetune(start_, Lessons(&truth_), options).taken_up, 2);
  std::filesystem::resize_file(folder_ / "finetune.pt", 100);
  EXPECT_THROW(finetune(start_, Lessons(&truth_), options), InputError);
}

TEST_F(Resumed, ReturnsTheNetworkWhereItsStateCannotBeKept) {
  FinetuneOptions options = brief(3);
  const FinetuneResult plain = finetune(start_, Lessons(&truth_), options);
  EXPECT_TRUE(plain.unsaved.empty());
  options.work = folder_;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};  // bytes a file: as a disk that fills up within the state
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const FinetuneResult result = finetune(start_, Lessons(&truth_), options);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(result.unsaved.find("can't be written"), std::string::npos) << result.unsaved;
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  expect_equal(plain.graph, result.graph);
}

TEST_F(Resumed, RefusesAWorkFolderThatCannotBeMade) {
  FinetuneOptions options = brief(3);
  options.work = "/dev/null/work";
  EXPECT_THROW(finetune(start_, Lessons(&truth_), options), InputError);
}

TEST(Teacher, StandsInForTargets) {
  const Graph truth = small_network(1), start = small_network(11);
  FinetuneOptions options = brief(400);
  EXPECT_THROW(finetune(start, Lessons(nullptr), options), InputError);
  options.teacher = &truth;
  const FinetuneResult result = finetune(start, Lessons(nullptr), options);
  EXPECT_LT(distance(result.graph, truth), distance(start, truth) / 10);
}

TEST(Teacher, CountsByItsWeight) {
  const Graph truth = small_network(1), teacher = small_network(21), start = small_network(11);
  FinetuneOptions options = brief(400);
  options.teacher = &teacher;
  const auto with = [&](double weight) {
    options.teacher_weight = weight;
    return finetune(start, Lessons(&truth), options).graph;
  };
  const Graph none = with(0), half = with(0.5), all = with(1);
  EXPECT_LT(distance(none, truth), 0.1 * distance(none, teacher));
  EXPECT_LT(distance(all, teacher), 0.1 * distance(all, truth));
  EXPECT_LT(distance(half, truth), distance(all, truth));
  EXPECT_LT(distance(half, teacher), distance(none, teacher));
}

TEST(Teacher, IsAllThatCountsWhereTheLossIsTheDistanceToIt) {
  const Graph truth = small_network(1), teacher = small_network(21), start = small_network(11);
  FinetuneOptions options = brief(400);
  options.judge.loss = Loss::output;
  EXPECT_THROW(finetune(start, Lessons(&truth), options), InputError);
  options.teacher = &teacher;
  const Graph trained = finetune(start, Lessons(&truth), options).graph;
  EXPECT_LT(distance(trained, teacher), 0.1 * distance(trained, truth));
}

TEST(BatchNormOfFinetune, KeepsOrLearnsItsStatistics) {
  const Graph truth = small_network(1), start = small_network(11);
  FinetuneOptions options = brief(5);
  const Graph frozen = finetune(start, Lessons(&truth), options).graph;
  options.train_batch_norm = true;
  const Graph trained = finetune(start, Lessons(&truth), options).graph;
  for (const std::size_t input : {3U, 4U}) {
    EXPECT_TRUE(at::equal(of_norm(frozen, input), of_norm(start, input)));
    EXPECT_FALSE(at::equal(of_norm(trained, input), of_norm(start, input)));
  }
  for (const std::size_t input : {1U, 2U})
    EXPECT_FALSE(at::equal(of_norm(frozen, input), of_norm(start, input)));
}

TEST(Finetune, TrainsWeightsAndNotStatistics) {
  const Graph graph = testing::mixed_structures();
  std::vector<int> expected;
  for (const auto& node : graph.nodes) {
    for (std::size_t k = 1; k < node.inputs.size(); ++k) {
      const bool statistic = node.op == "BatchNormalization" && k >= 3;
      if (graph.values[index_of(node.inputs[k])].is_constant() && !statistic)
        expected.push_back(node.inputs[k]);
    }
  }
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(trainable_constants(graph), expected);
}

TEST(Finetune, RefusesANetworkWithoutWeights) {
  const Graph truth = small_network(1);
  Net net;
  const Graph graph = net.finish(net.add("Relu", {net.input({-1, 3, -1, -1})}));
  EXPECT_THROW(finetune(graph, Lessons(&truth), brief(1)), InputError);
}

TEST(Finetune, LeavesWeightsAloneThatSomethingElseReads) {
  Graph graph = testing::mixed_structures();
  const std::vector<int> all = trainable_constants(graph);
  Node unread;
  unread.op = "Neg";
  unread.inputs = {all[0]};
  unread.outputs = {static_cast<int>(graph.values.size())};
  graph.values.push_back({.name = "unread"});
  graph.nodes.push_back(unread);
  graph.values[index_of(all[1])].output = true;
  graph.nodes[0].captured = {all[2]};
  EXPECT_EQ(trainable_constants(graph), (std::vector<int>{all.begin() + 3, all.end()}));
}

TEST(Finetune, KeepsTheFilesTypes) {
  const Graph truth = small_network(1);
  Graph start = small_network(11);
  auto& weight = start.values[index_of(start.nodes.back().inputs[1])].constant;
  weight = weight.tensor().to(at::kHalf);
  const Graph result = finetune(start, Lessons(&truth), brief(5)).graph;
  const auto& trained = result.values[index_of(result.nodes.back().inputs[1])].constant;
  EXPECT_EQ(trained.scalar_type(), at::kHalf);
  EXPECT_FALSE(at::equal(trained, weight));
}

TEST(Finetune, RefusesWhatCannotWork) {
  const Graph truth = small_network(1), start = small_network(11);
  const Lessons data(&truth);
  const auto refused = [&](auto&& change) {
    FinetuneOptions options = brief(5);
    change(options);
    EXPECT_THROW(finetune(start, data, options), InputError);
  };
  refused([](auto& o) { o.steps = 0; });
  refused([](auto& o) { o.batch = 0; });
  refused([](auto& o) { o.learning_rate = 0; });
  refused([](auto& o) { o.ema = 1; });
  refused([](auto& o) { o.crop = -1; });
  refused([](auto& o) { o.time_limit = -1; });
  refused([](auto& o) { o.weight_decay = -0.1; });
  refused([](auto& o) { o.clip = NAN; });
  refused([](auto& o) { o.teacher_weight = 1.5; });
  refused([](auto& o) { o.feature_weight = -1; });
  Graph broken = start;
  broken.values[index_of(broken.nodes.back().inputs[1])].constant =
      at::full({2, 4, 1, 1}, std::numeric_limits<float>::infinity());
  EXPECT_THROW(finetune(broken, data, brief(5)), InputError);
}

}  // namespace
}  // namespace quboprune
