#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "model/test_net.h"
#include "quboprune/executor.h"
#include "quboprune/recover.h"
#include "quboprune/surgery.h"
#include "recover/refit_bench.h"

namespace quboprune {
namespace {

using testing::Net;
using testing::numbers;

bool holds_dark(const std::vector<Sample>& samples) {
  return std::any_of(samples.begin(), samples.end(), [](const Sample& s) { return s.scene == "dark"; });
}

std::vector<Sample> one_dark_scene() {
  std::vector<Sample> samples;
  for (std::uint64_t i = 0; i < 6; ++i) {
    const bool dark = i == 0;
    at::Tensor input = numbers({3, 8, 8}, i, 0.1);
    input[1] += 1;
    samples.push_back(
        Sample{dark ? input * 1e-3 : input, at::Tensor(), "s", dark ? "dark" : std::to_string(i)});
  }
  return samples;
}

/// Such that the dark scene is one of those that are fitted on.
RefitOptions judged_by_bright_scenes(const std::vector<Sample>& samples) {
  RefitOptions options;
  options.weigh_by_output = false;
  while (holds_dark(check_split(samples, options.check_share, options.seed).check)) ++options.seed;
  return options;
}

/// The removed channel is about one where it is bright, and a repair adds that to the bias. The dark scene, a
/// thousand times as dim, is then wrong by thousands of times its size, which the bright scenes kept back
/// don't see.
TEST(Refit, IsUndoneWhereItIsWorseThanNoneOnAllOfTheData) {
  Net net;
  const int x = net.input({-1, 3, -1, -1});
  const int h = net.add("Conv", {x, net.constant(at::eye(3).view({3, 3, 1, 1}))});
  const Graph graph =
      net.finish(net.add("Conv", {h, net.constant(at::ones({1, 3, 1, 1})), net.constant(at::zeros({1}))}));
  const std::vector<Sample> samples = one_dark_scene();
  const Judge judge{.metric = Metric::output};
  const RefitOptions options = judged_by_bright_scenes(samples);
  const ChannelGroups groups = analyse(graph);
  const Mask mask{1, 0, 1};
  const RefitResult kept_back = Refitter(groups, samples, judge, options)(mask);
  ASSERT_FALSE(kept_back.layers[0].kept_old) << "the scenes kept back are for it";

  const RefitResult result = refit(groups, mask, samples, judge, options);
  EXPECT_TRUE(result.layers[0].kept_old);
  EXPECT_NE(result.layers[0].note.find("as a whole"), std::string::npos);
  EXPECT_EQ(result.metric_after, result.metric_before);
  const at::Tensor some = samples[1].input.unsqueeze(0);
  EXPECT_TRUE(at::equal(Executor(result.graph)(some), Executor(slice(groups, mask))(some)));
}

/// The repaired bias takes the dark scene's outputs below zero, of which there is no root.
TEST(Refit, IsUndoneWhereItGivesNaN) {
  Net net;
  const int x = net.input({-1, 3, -1, -1});
  const int h = net.add("Conv", {x, net.constant(at::eye(3).view({3, 3, 1, 1}))});
  const at::Tensor weight = at::tensor({1.0F, -1.0F, 1.0F}).view({1, 3, 1, 1});
  const Graph graph =
      net.finish(net.add("Sqrt", {net.add("Conv", {h, net.constant(weight), net.constant(at::zeros({1}))})}));
  std::vector<Sample> samples = one_dark_scene();
  for (Sample& s : samples) s.input[0] += s.scene == "dark" ? 0.01 : 4;
  const Judge judge{.metric = Metric::output};
  const RefitOptions options = judged_by_bright_scenes(samples);
  const ChannelGroups groups = analyse(graph);
  const Mask mask{1, 0, 1};
  const at::Tensor dark = samples[0].input.unsqueeze(0);
  const RefitResult kept_back = Refitter(groups, samples, judge, options)(mask);
  ASSERT_TRUE(Executor(kept_back.graph)(dark).isnan().any().item<bool>());
  const RefitResult result = refit(groups, mask, samples, judge, options);
  EXPECT_TRUE(result.layers[0].kept_old);
  EXPECT_FALSE(Executor(result.graph)(dark).isnan().any().item<bool>());
}

}  // namespace
}  // namespace quboprune
