#include "quboprune/noise.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <opencv2/core.hpp>

#include "data/mosaic.h"
#include "data/noise_kind.h"
#include "data/tone_curve.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

at::Tensor flat(double value, int channels = 3, int side = 128) {
  return at::full({channels, side, side}, value);
}

double correlation(const at::Tensor& noise, int dy, int dx) {
  const at::Tensor centred = noise - noise.mean();
  const auto h = noise.size(-2), w = noise.size(-1);
  const at::Tensor a = centred.slice(-2, 0, h - dy).slice(-1, 0, w - dx);
  const at::Tensor b = centred.slice(-2, dy, h).slice(-1, dx, w);
  return ((a * b).mean() / centred.square().mean()).item<double>();
}

double psnr_of(const at::Tensor& noise) {
  return -10 * std::log10(noise.square().mean().item<double>() + 1e-12);
}

TEST(GaussianNoise, HasItsSigmaAndIsWhite) {
  Rng rng(1);
  const at::Tensor clean = flat(0.9);
  const at::Tensor noise = NoiseModel("gaussian:25").draw(clean, rng) - clean;
  // 49152 values: standard errors 0.32 % of sigma, 0.0005 for the mean and 0.0045 for correlations; 4 of
  // each.
  EXPECT_NEAR(noise.std().item<double>() * 255, 25, 25 * 0.013);
  EXPECT_NEAR(noise.mean().item<double>(), 0, 0.002);
  EXPECT_NEAR(correlation(noise, 0, 1), 0, 0.018);
  EXPECT_NEAR(correlation(noise, 1, 0), 0, 0.018);
  EXPECT_GT((noise + clean).max().item<double>(), 1);  // not clipped
}

TEST(GaussianNoise, DrawsSigmaFromItsRange) {
  const NoiseModel model("gaussian:5-50");
  Rng rng(2);
  double smallest = 1e9, largest = 0;
  for (int i = 0; i < 100; ++i) {
    const double sigma = (model.draw(flat(0.5, 1, 32), rng) - 0.5).std().item<double>() * 255;
    smallest = std::min(smallest, sigma);
    largest = std::max(largest, sigma);
  }
  EXPECT_GT(smallest, 4.4);
  EXPECT_LT(smallest, 9);
  EXPECT_GT(largest, 46);
  EXPECT_LT(largest, 56);
}

TEST(PoissonGaussianNoise, VarianceGrowsWithTheValue) {
  const NoiseModel model("poisson-gaussian:0.01,0.05");
  Rng rng(3);
  for (const double value : {0.0, 0.2, 0.8}) {
    const at::Tensor noise = model.draw(flat(value), rng) - value;
    EXPECT_NEAR(noise.var().item<double>(), 0.01 * value + 0.0025, 0.026 * (0.01 * value + 0.0025));
  }
}

TEST(CameraNoise, IsSeededAndLooksLikeAFile) {
  const NoiseModel model("camera");
  const at::Tensor clean = at::rand({3, 48, 64});
  const auto draw = [&](std::uint64_t seed) {
    Rng rng(seed);
    return model.draw(clean, rng);
  };
  EXPECT_TRUE(at::equal(draw(1), draw(1)));
  EXPECT_FALSE(at::equal(draw(1), draw(2)));
  for (std::uint64_t seed = 0; seed < 20; ++seed) EXPECT_EQ(draw(seed).sizes(), clean.sizes());
  Rng rng(4);
  EXPECT_EQ(model.draw(flat(0.5, 1, 33), rng).sizes(), at::IntArrayRef({1, 33, 33}));
}

TEST(CameraNoise, KeepsToItsRangeOfStrengths) {
  // At the value that strengths refer to, on a flat image, where JPEG can but take noise away. Weak noise
  // meets the tone curve where it is straight; strong noise (20 dB) goes below black, where the curve is
  // steep: up to 3 dB more. One image in 20 stays clean.
  for (const auto& [psnr, slack] : {std::pair{36, 0.7}, std::pair{30, 1.0}, std::pair{20, 3.0}}) {
    const NoiseModel model("camera:" + std::to_string(psnr) + "-" + std::to_string(psnr));
    Rng rng(5);
    int near_range = 0;
    for (int i = 0; i < 100; ++i) {
      const double drawn = psnr_of(model.draw(flat(0.3, 3, 64), rng) - 0.3);
      EXPECT_GT(drawn, psnr - slack);
      near_range += drawn < psnr + 2 ? 1 : 0;
    }
    EXPECT_GT(near_range, 60) << psnr;
  }
}

TEST(CameraNoise, ReachesFromWhiteToSmooth) {
  const NoiseModel model("camera:25-25");
  Rng rng(6);
  double least = 1, most = 0;
  for (int i = 0; i < 60; ++i) {
    const double next = correlation(model.draw(flat(0.4, 3, 64), rng) - 0.4, 0, 1);
    least = std::min(least, next);
    most = std::max(most, next);
  }
  EXPECT_LT(least, 0.03);
  EXPECT_GT(most, 0.75);
}

TEST(Mosaic, BilinearNoiseCorrelatesAsCalculated) {
  // Red, of which one pixel in four is measured. In one dimension pixels are x0, (x0+x2)/2, x2, ...: mean
  // variance 3/4, covariance 1/2 with the next and 1/8 with the one after; in two the products.
  Rng rng(7);
  const cv::Mat noise = demosaic_noise({600, 600}, {1, 1, 1}, 0, rng);
  std::vector<cv::Mat> planes;
  cv::split(noise, planes);
  const at::Tensor red = at::from_blob(planes[0].data, {600, 600}, at::kFloat).clone();
  EXPECT_NEAR(red.var().item<double>(), 9.0 / 16, 0.02);
  EXPECT_NEAR(correlation(red, 0, 1), 2.0 / 3, 0.02);
  EXPECT_NEAR(correlation(red, 0, 2), 1.0 / 6, 0.02);
  EXPECT_NEAR(correlation(red, 1, 1), 4.0 / 9, 0.02);
  EXPECT_NEAR(correlation(red, 0, 4), 0, 0.02);
}

TEST(Mosaic, InterpolationKeepsAConstant) {
  // Each channel's interpolation weights, corrections included, sum to 1: seen by the noise's slow part.
  // Averages over 16x16 blocks of the noise of a channel keep the variance of as many measured pixels.
  Rng rng(8);
  const cv::Mat noise = demosaic_noise({1024, 1024}, {1, 1, 1}, 1, rng);
  std::vector<cv::Mat> planes;
  cv::split(noise, planes);
  for (std::size_t c = 0; c < 3; ++c) {
    const at::Tensor plane = at::from_blob(planes[c].data, {1024, 1024}, at::kFloat).clone();
    const at::Tensor blocks = plane.view({64, 16, 64, 16}).mean({1, 3});
    const double measured = c == 1 ? 128 : 64;  // of 256 pixels
    // Blocks lose a little at their edges; 4096 blocks give 2.2 % standard error.
    EXPECT_NEAR(blocks.var().item<double>() * measured, 1, 0.15) << "channel " << c;
  }
}

TEST(ToneCurve, IsItsOwnInverseAndHasItsSlope) {
  for (const auto& [gamma, contrast] :
       {std::pair{1.6F, 0.0F}, std::pair{2.2F, 0.5F}, std::pair{2.6F, 0.9F}}) {
    const ToneCurve tone(gamma, contrast);
    for (float e = 0.02F; e < 1; e += 0.02F) {
      EXPECT_NEAR(tone.encoded(tone.light(e)), e, 2e-3);
      EXPECT_LT(tone.light(e), e);
    }
    const float l = tone.light(0.5F);
    EXPECT_NEAR(tone.slope(0.5F), (tone.encoded(l * 1.01F) - tone.encoded(l * 0.99F)) / (0.02F * l),
                0.02F * tone.slope(0.5F));
    EXPECT_EQ(tone.encoded(0), 0);
    EXPECT_EQ(tone.encoded(2), 1);
  }
}

TEST(CutMean, InvertsTheMeanOfCutNoise) {
  const CutMean cut;
  const cv::Mat noise = [] {
    Rng rng(9);
    return normal_field(500, 500, 1, rng);
  }();
  for (const float after : {0.05F, 0.4F, 1.0F, 2.5F}) {
    double sum = 0;
    for (int i = 0; i < 250000; ++i) sum += std::max(0.0F, cut.inverse(after) + noise.ptr<float>()[i]);
    EXPECT_NEAR(sum / 250000, after, 0.008);  // 4 standard errors of at most 1/500
  }
  EXPECT_EQ(cut.inverse(5), 5);
}

TEST(NoiseModel, RefusesWhatItDoesNotKnow) {
  for (const char* wrong : {"", "gaussian", "gaussian:", "gaussian:x", "gaussian:-5", "gaussian:50-5",
                            "gaussian:300", "poisson-gaussian:0.1", "poisson-gaussian:2,0.1",
                            "camera:", "camera:20", "camera:40-20", "camera:5-20", "snow:3", "gaussian:25,"})
    EXPECT_THROW(NoiseModel{wrong}, InputError) << wrong;
}

}  // namespace
}  // namespace quboprune
