#include "quboprune/metrics.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "quboprune/error.h"
#include "quboprune/random.h"

namespace quboprune {
namespace {

at::Tensor random_image(int channels, int rows, int columns, std::uint64_t seed) {
  Rng rng(seed);
  at::Tensor image = at::empty({channels, rows, columns}, at::kFloat);
  float* values = image.data_ptr<float>();
  for (std::int64_t i = 0; i < image.numel(); ++i) values[i] = static_cast<float>(rng.uniform());
  return image;
}

/// Wang et al. 2004, eq. 13, term by term at one window of one channel.
double ssim_at(const at::Tensor& x, const at::Tensor& y, int top, int left) {
  double weights = 0, mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
  for (int i = 0; i < 11; ++i)
    for (int j = 0; j < 11; ++j) {
      const double w = std::exp(-((i - 5) * (i - 5) + (j - 5) * (j - 5)) / 4.5);
      const double a = x[top + i][left + j].item<double>();
      const double b = y[top + i][left + j].item<double>();
      weights += w;
      mx += w * a;
      my += w * b;
      xx += w * a * a;
      yy += w * b * b;
      xy += w * a * b;
    }
  mx /= weights;
  my /= weights;
  const double vx = xx / weights - mx * mx, vy = yy / weights - my * my, cov = xy / weights - mx * my;
  const double c1 = 1e-4, c2 = 9e-4;
  return (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2));
}

TEST(Psnr, FollowsItsDefinition) {
  const at::Tensor target = at::full({3, 4, 4}, 0.5F);
  // A constant difference of 0.1: mean square 0.01, so 20 dB; at a peak of 255, 25.5 is the same.
  EXPECT_NEAR(psnr(target + 0.1F, target), 20.0, 1e-5);
  EXPECT_NEAR(psnr(255 * target + 25.5F, 255 * target, 255), 20.0, 1e-5);
  EXPECT_EQ(psnr(target, target), 100.0);
  EXPECT_TRUE(std::isnan(psnr(target * std::numeric_limits<float>::quiet_NaN(), target)));
  EXPECT_THROW(psnr(target, at::full({3, 4, 5}, 0.5F)), InputError);
}

TEST(Ssim, EqualsTheFormulaWindowByWindow) {
  const at::Tensor x = random_image(1, 13, 14, 1);
  const at::Tensor y = 0.7 * x + 0.3 * random_image(1, 13, 14, 2);
  double sum = 0;
  for (int top = 0; top < 3; ++top)
    for (int left = 0; left < 4; ++left) sum += ssim_at(x[0], y[0], top, left);
  EXPECT_NEAR(ssim(x, y), sum / 12, 1e-9);  // both in double precision
}

TEST(Ssim, KnowsEqualAndConstantImages) {
  const at::Tensor x = random_image(3, 16, 16, 3);
  EXPECT_NEAR(ssim(x, x), 1.0, 1e-12);
  // Two constants have no variance: what is left is the comparison of the means.
  const double a = 0.25, b = 0.75, c1 = 1e-4;
  EXPECT_NEAR(ssim(at::full({1, 11, 11}, a), at::full({1, 11, 11}, b)),
              (2 * a * b + c1) / (a * a + b * b + c1), 1e-6);
  EXPECT_THROW(ssim(at::zeros({3, 10, 20}), at::zeros({3, 10, 20})), InputError);
}

TEST(Ssim, DoesNotDependOnTheScaleOfValues) {
  const at::Tensor x = random_image(3, 20, 20, 4);
  const at::Tensor y = 0.5 * x + 0.5 * random_image(3, 20, 20, 5);
  EXPECT_NEAR(ssim(x, y, 1), ssim(255 * x, 255 * y, 255), 1e-6);  // float32 inputs
}

TEST(Ssim, TakesChannelsOnTheLastAxisToo) {
  const at::Tensor x = random_image(3, 20, 24, 4);
  const at::Tensor y = 0.5 * x + 0.5 * random_image(3, 20, 24, 5);
  EXPECT_EQ(ssim(x.movedim(0, 2), y.movedim(0, 2)), ssim(x, y));
}

TEST(Top1, FindsTheLargest) {
  const at::Tensor scores = at::tensor({0.1F, 2.0F, -1.0F});
  EXPECT_EQ(top1(scores, at::scalar_tensor(1, at::kLong)), 1);
  EXPECT_EQ(top1(scores.view({3, 1, 1}), at::scalar_tensor(2, at::kLong)), 0);
}

/// Two classes on a map of 2 x 2; the second wins everywhere but at the first position.
at::Tensor map_of_scores() {
  return at::log(at::tensor({0.9F, 0.2F, 0.4F, 0.3F, 0.1F, 0.8F, 0.6F, 0.7F})).view({2, 2, 2});
}

TEST(Top1, OfAMapIsTheShareOfPositions) {
  const at::Tensor labels = at::tensor({0, 1, 0, 1}, at::kLong).view({2, 2});
  EXPECT_NEAR(top1(map_of_scores(), labels), 0.75, 1e-12);
  const at::Tensor some = at::tensor({255, -1, 0, 1}, at::kLong).view({2, 2});
  EXPECT_NEAR(top1(map_of_scores(), some), 0.5, 1e-12);
  EXPECT_THROW(top1(map_of_scores(), at::full({2, 2}, 255, at::kLong)), InputError);
  EXPECT_THROW(top1(map_of_scores(), at::full({2, 2}, 2, at::kLong)), InputError);
  EXPECT_THROW(top1(map_of_scores(), labels.view({4, 1})), InputError);
  EXPECT_THROW(top1(map_of_scores(), at::scalar_tensor(1, at::kLong)), InputError);
  // With so many classes 255 is one of them.
  const at::Tensor many = at::one_hot(at::full({1, 2}, 255, at::kLong), 256).permute({2, 0, 1});
  EXPECT_EQ(top1(many.to(at::kFloat), at::full({1, 2}, 255, at::kLong)), 1);
}

TEST(Top1, TakesClassesOnTheLastAxisToo) {
  const at::Tensor labels = at::tensor({0, 1, 0, 1, 1, 0}, at::kLong).view({2, 3});
  const at::Tensor scores = at::rand({4, 2, 3}, at::make_generator<at::CPUGeneratorImpl>(8));
  const double first = top1(scores, labels);
  EXPECT_EQ(top1(scores.movedim(0, 2), labels), first);
  EXPECT_THROW(top1(scores.movedim(0, 1), labels), InputError);
}

TEST(Top1, OfASingleScoreTellsOneClassFromTheOther) {
  const at::Tensor logits = at::tensor({-2.0F, 0.3F, 0.6F, 2.0F}).view({1, 2, 2});
  const at::Tensor labels = at::tensor({0, 0, 1, 1}, at::kLong).view({2, 2});
  EXPECT_NEAR(top1(logits, labels), 0.75, 1e-12);
  EXPECT_NEAR(top1(logits, labels, ClassScores::probabilities), 1, 1e-12);  // above 0.5
  EXPECT_NEAR(top1(logits[0].unsqueeze(2), labels), 0.75, 1e-12);
  EXPECT_EQ(top1(at::tensor({0.2F}), at::scalar_tensor(1, at::kLong)), 1);  // one a sample
  EXPECT_THROW(top1(logits, at::full({2, 2}, 2, at::kLong)), InputError);
  EXPECT_THROW(top1(at::rand({4, 2, 2}), at::zeros({4, 4}, at::kLong)), InputError);  // as many, but classes
  EXPECT_THROW(top1(labels, labels), InputError);                                     // what ArgMax gives
}

TEST(RelativeMse, IsZeroWhenEqualAndOneForZeros) {
  const at::Tensor x = random_image(3, 5, 5, 6);
  EXPECT_EQ(relative_mse(x, x), 0);
  EXPECT_NEAR(relative_mse(at::zeros_like(x), x), 1, 1e-12);
  EXPECT_NEAR(relative_mse(1.1F * x, x), 0.01, 1e-6);
}

TEST(RelativeMse, OfAReferenceOfZerosIsAllOrNothing) {
  const at::Tensor x = random_image(3, 5, 5, 6);
  EXPECT_EQ(relative_mse(x, at::zeros_like(x)), 1);
  EXPECT_EQ(relative_mse(1e-6F * x, at::zeros_like(x)), 1);
  EXPECT_EQ(relative_mse(at::zeros_like(x), at::zeros_like(x)), 0);
}

TEST(SampleLosses, AreMeansOverEachSample) {
  const at::Tensor outputs = at::tensor({1.0F, 2.0F, 3.0F, 5.0F}).view({2, 2});
  const at::Tensor targets = at::tensor({0.0F, 0.0F, 3.0F, 1.0F}).view({2, 2});
  EXPECT_TRUE(at::equal(sample_losses(Loss::l1, outputs, targets), at::tensor({1.5F, 2.0F})));
  EXPECT_TRUE(at::equal(sample_losses(Loss::mse, outputs, targets), at::tensor({2.5F, 8.0F})));
  EXPECT_THROW(sample_losses(Loss::l1, outputs, targets.view({4})), InputError);
  EXPECT_THROW(sample_losses(Loss::l1, outputs, at::Tensor()), InputError);
}

TEST(SampleLosses, CrossEntropyIsMinusTheLogProbability) {
  const at::Tensor scores = at::log(at::tensor({0.2F, 0.8F, 0.5F, 0.5F}).view({2, 2}));
  const at::Tensor losses = sample_losses(Loss::cross_entropy, scores, at::tensor({1, 0}, at::kLong));
  EXPECT_NEAR(losses[0].item<double>(), -std::log(0.8), 1e-6);
  EXPECT_NEAR(losses[1].item<double>(), -std::log(0.5), 1e-6);
  EXPECT_THROW(sample_losses(Loss::cross_entropy, scores, at::tensor({1, 2}, at::kLong)), InputError);
}

TEST(SampleLosses, CrossEntropyOfAMapIsTheMeanOverThePositionsThatCount) {
  const at::Tensor scores = map_of_scores().unsqueeze(0).repeat({2, 1, 1, 1}).requires_grad_();
  const at::Tensor labels = at::tensor({0, 1, 0, 1, 255, -1, 0, 255}, at::kLong).view({2, 2, 2});
  const at::Tensor losses = sample_losses(Loss::cross_entropy, scores, labels);
  EXPECT_NEAR(losses[0].item<double>(), -(std::log(0.9) + std::log(0.8) + std::log(0.4) + std::log(0.7)) / 4,
              1e-6);
  EXPECT_NEAR(losses[1].item<double>(), -std::log(0.4), 1e-6);
  losses.sum().backward();  // only what counts is learnt from
  const at::Tensor learnt = scores.grad()[1].abs().sum(0).flatten();
  EXPECT_EQ(learnt[0].item<float>() + learnt[1].item<float>() + learnt[3].item<float>(), 0);
  EXPECT_GT(learnt[2].item<float>(), 0.1F);
}

/// Losses and gradients of the same numbers as logits, and as what `bounded` makes of them.
void expect_alike(const at::Tensor& logits, const at::Tensor& labels,
                  const std::function<at::Tensor(const at::Tensor&)>& bounded) {
  const at::Tensor one = logits.clone().requires_grad_();
  const at::Tensor two = logits.clone().requires_grad_();
  const at::Tensor losses = sample_losses(Loss::cross_entropy, one, labels);
  const at::Tensor same =
      sample_losses(Loss::cross_entropy, bounded(two), labels, ClassScores::probabilities);
  EXPECT_TRUE(at::allclose(losses, same, 1e-5, 1e-6)) << losses << same;
  losses.sum().backward();
  same.sum().backward();
  EXPECT_TRUE(at::allclose(one.grad(), two.grad(), 1e-4, 1e-6));
}

TEST(SampleLosses, CrossEntropyOfProbabilitiesIsThatOfTheirLogits) {
  const at::Tensor logits = at::randn({3, 5, 2}, at::make_generator<at::CPUGeneratorImpl>(9)) * 3;
  const at::Tensor labels = at::tensor({0, 1, 255, 3, 4, 2}, at::kLong).view({3, 2});
  expect_alike(logits, labels, [](const at::Tensor& t) { return t.softmax(1); });
  // A single score a position: sigmoid of the logit is the probability of class 1.
  const at::Tensor one = logits.slice(1, 0, 1);
  const at::Tensor two_classes = at::tensor({0, 1, 255, 1, 1, 0}, at::kLong).view({3, 2});
  expect_alike(one, two_classes, [](const at::Tensor& t) { return t.sigmoid(); });
  const at::Tensor loss = sample_losses(Loss::cross_entropy, one, two_classes);
  EXPECT_NEAR(loss[1].item<double>(), std::log1p(std::exp(-one[1][0][1].item<double>())), 1e-5);
  // A Sigmoid for each of several classes: their shares of the sum.
  const at::Tensor shares = at::tensor({0.5F, 0.25F, 0.5F}).view({1, 3});
  EXPECT_NEAR(
      sample_losses(Loss::cross_entropy, shares, at::tensor({1}, at::kLong), ClassScores::probabilities)
          .item<double>(),
      std::log(5), 1e-6);
  // A network that died says nothing, which isn't right. (float32 knows logarithms near -87 to 8e-6.)
  const at::Tensor dead = sample_losses(Loss::cross_entropy, at::zeros({1, 3}), at::tensor({1}, at::kLong),
                                        ClassScores::probabilities);
  EXPECT_NEAR(dead.item<double>(), std::log(3), 2e-5);
  // What float32 can't tell from 0 or 1 is no infinity.
  const at::Tensor certain = at::tensor({1.0F, 0.0F}).view({2, 1});
  const at::Tensor wrong =
      sample_losses(Loss::cross_entropy, certain, at::tensor({0, 1}, at::kLong), ClassScores::probabilities);
  EXPECT_TRUE(at::isfinite(wrong).all().item<bool>());
  EXPECT_GT(wrong.min().item<double>(), 10);
}

TEST(Names, RoundTripAndAreChecked) {
  for (const char* name : {"psnr", "ssim", "top1", "loss", "output"})
    EXPECT_EQ(name_of(metric_from_name(name)), name);
  for (const char* name : {"l1", "mse", "cross-entropy", "output"})
    EXPECT_EQ(name_of(loss_from_name(name)), name);
  EXPECT_TRUE(larger_is_better("psnr"));
  EXPECT_FALSE(larger_is_better("output"));
  EXPECT_FALSE(larger_is_better(Metric::loss));
  EXPECT_THROW(metric_from_name("PSNR"), InputError);
  EXPECT_THROW(larger_is_better("speed"), InputError);
}

TEST(Evaluate, NeedsATarget) {
  const at::Tensor x = random_image(3, 12, 12, 7);
  EXPECT_NEAR(evaluate({.metric = Metric::loss}, x + 0.25F, x), 0.25, 1e-6);
  EXPECT_EQ(evaluate({}, x, x), 100);
  EXPECT_THROW(evaluate({}, x, at::Tensor()), InputError);
}

TEST(PairedInterval, CoversTheMeanAboutAsOftenAsItSays) {
  // Of four scenes with an effect each, five samples a scene: of 400 intervals at 90 % some 360 hold the
  // truth. Student's t is exact for normal effects; sums of three uniform ones are near, and four standard
  // errors (of 6) either way are 336 and 384.
  int covered = 0;
  for (std::uint64_t trial = 0; trial < 400; ++trial) {
    Rng rng(trial + 100);
    std::vector<double> a, b;
    std::vector<std::string> scenes;
    for (int scene = 0; scene < 4; ++scene) {
      const double effect = rng.uniform() + rng.uniform() + rng.uniform();
      for (int i = 0; i < 5; ++i) {
        b.push_back(10 * rng.uniform());
        a.push_back(b.back() + effect + 0.1 * rng.uniform());
        scenes.push_back(std::to_string(scene));
      }
    }
    const Interval interval = paired_interval(a, b, 0.9, scenes);
    EXPECT_LE(interval.low, interval.mean);
    EXPECT_GE(interval.high, interval.mean);
    covered += interval.low <= 1.55 && 1.55 <= interval.high;
  }
  EXPECT_GE(covered, 336);
  EXPECT_LE(covered, 384);
}

TEST(PairedInterval, IsStudentsOfTheDifferences) {
  const Interval same = paired_interval({2, 3, 4}, {1, 2, 3});
  EXPECT_EQ(same.low, 1);
  EXPECT_EQ(same.high, 1);
  // Differences 0, 1, 2: a mean of 1 with a standard error of 1/sqrt(3); t for 95 % and 2 degrees is 4.3027.
  const Interval interval = paired_interval({1, 3, 5}, {1, 2, 3});
  EXPECT_NEAR(interval.high - 1, 4.302653 / std::sqrt(3), 1e-6);
  EXPECT_NEAR(interval.low, 2 - interval.high, 1e-12);
  EXPECT_THROW(paired_interval({1}, {1}), InputError);
  EXPECT_THROW(paired_interval({1, 2}, {1}), InputError);
  EXPECT_THROW(paired_interval({1, 2}, {1, 3}, 0.9, {"one", "one"}), InputError);
}

TEST(PairedInterval, CountsScenesNotSamples) {
  // Ten samples each of two scenes that differ: as samples they look precise, as two scenes they don't.
  std::vector<double> a, b(20, 0.0);
  std::vector<std::string> scenes;
  for (int i = 0; i < 20; ++i) {
    a.push_back(i < 10 ? 0 : 1);
    scenes.push_back(i < 10 ? "one" : "two");
  }
  const Interval by_scene = paired_interval(a, b, 0.9, scenes);
  EXPECT_LT(by_scene.low, 0);
  EXPECT_GT(by_scene.high, 1);
  EXPECT_GT(paired_interval(a, b, 0.9).low, 0.25);
}

TEST(ClassDivergences, AreKullbackLeiblers) {
  const at::Tensor labels = at::tensor({0, 2}, at::kLong);
  const at::Tensor to = at::tensor({1.0F, 0.0F, -1.0F, 0.5F, 0.5F, 2.0F}).view({2, 3});
  const at::Tensor from = at::tensor({0.0F, 0.5F, 0.0F, 0.5F, 0.5F, 2.0F}).view({2, 3});
  const at::Tensor p = at::softmax(to, 1), q = at::softmax(from, 1);
  const at::Tensor expected = (p * (p / q).log()).sum(1);  // float32: some 2^-24 of terms below 1
  EXPECT_TRUE(at::allclose(class_divergences(from, to, labels), expected, 1e-5, 1e-6));
  EXPECT_EQ(class_divergences(from, to, labels)[1].item<float>(), 0);
  EXPECT_TRUE(
      at::allclose(class_divergences(q, p, labels, ClassScores::probabilities), expected, 1e-5, 1e-6));
  // Logits that are all as much larger say the same.
  EXPECT_TRUE(at::allclose(class_divergences(to + 3, to, labels), at::zeros({2}), 0, 1e-6));
}

TEST(Top1, OfNoNumbersIsNone) {
  const at::Tensor scores = at::tensor({1.0F, std::numeric_limits<float>::quiet_NaN(), 0.0F});
  EXPECT_TRUE(std::isnan(top1(scores, at::scalar_tensor(0, at::kLong))));
}

}  // namespace
}  // namespace quboprune
