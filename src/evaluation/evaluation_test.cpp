#include "quboprune/evaluation.h"

#include <gtest/gtest.h>

#include "data/test_samples.h"
#include "model/test_net.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

TEST(Targets, AreTheSamplesOwnOrTheOriginalsOutputs) {
  Rng rng(5);
  const Sample sample = testing::random_samples(1, {3, 6, 6}, {3, 6, 6}, rng).front();
  const std::vector<at::Tensor> references{testing::numbers({3, 6, 6}, 1)};
  const auto by = [](Metric metric) {
    Judge judge;
    judge.metric = metric;
    return judge;
  };
  EXPECT_TRUE(target_of(sample, 0, by(Metric::psnr), references).is_same(sample.target));
  EXPECT_TRUE(target_of(sample, 0, by(Metric::output), references).is_same(references[0]));
  EXPECT_THROW(target_of(sample, 0, by(Metric::output), {}), InputError);
  Sample bare = sample;
  bare.target = at::Tensor();
  EXPECT_TRUE(target_of(bare, 0, by(Metric::psnr), references).is_same(references[0]));
  EXPECT_THROW(target_of(bare, 0, by(Metric::psnr), {}), InputError);
}

}  // namespace
}  // namespace quboprune
