#include "search/surrogate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace quboprune {
namespace {

constexpr int kVariables = 16;

/// w'x + x'Qx with entries between -1 and 1.
struct Quadratic {
  explicit Quadratic(Rng& rng) {
    for (auto& entry : weights) entry = 2 * rng.uniform() - 1;
    for (auto& entry : couplings) entry = 2 * rng.uniform() - 1;
  }
  double operator()(const Mask& x) const {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (!x[i]) continue;
      sum += weights[i];
      for (std::size_t j = 0; j < x.size(); ++j) sum += x[j] ? couplings[i * x.size() + j] : 0;
    }
    return sum;
  }
  std::array<double, kVariables> weights{};
  std::array<double, kVariables * kVariables> couplings{};
};

class ExtendedModel : public ::testing::Test {
 protected:
  void add(const Mask& x) {
    masks_.push_back(x);
    model_.add(x, objective_(x), true);
  }
  Mask random_mask() {
    Mask x(kVariables);
    for (auto& bit : x) bit = static_cast<std::uint8_t>(rng_.below(2));
    return x;
  }
  Mask best() const {
    return *std::min_element(masks_.begin(), masks_.end(),
                             [&](const Mask& a, const Mask& b) { return objective_(a) < objective_(b); });
  }
  void fit() { model_.fit(best(), objective_(best())); }
  /// Standard deviation of the errors of predicted differences from the best mask, over masks [first, end).
  /// An error common to all is the noise of the best one's own value, and changes no choice.
  double error(std::size_t first, std::size_t end) {
    const double mean = 0;
    const auto linear = model_.draw({&mean, 1}, rng_).front();
    const auto count = static_cast<double>(end - first);
    double sum = 0, square = 0;
    for (std::size_t k = first; k < end; ++k) {
      const double e = model_.predict(masks_[k], linear) - (objective_(masks_[k]) - objective_(best()));
      sum += e / count;
      square += e * e / count;
    }
    return std::sqrt(square - sum * sum);
  }

  Rng rng_{3};
  const Quadratic objective_{rng_};
  std::vector<Mask> masks_;
  Surrogate model_{kVariables, {}, {}, 200};
};

// Fewer masks than the quadratic has coefficients (136): a mask that the model wasn't told of isn't known.
// What error is left on those that it was told of is the noise that the evidence allows.
TEST_F(ExtendedModel, KnowsTheMasksThatItWasExtendedBy) {
  for (int k = 0; k < 75; ++k) add(random_mask());
  fit();
  while (masks_.size() < 83) {
    const Mask x = random_mask();
    if (objective_(x) > objective_(best())) add(x);
  }
  const double told = error(0, 75);
  ASSERT_GT(error(75, 83), 3 * told);
  fit();
  EXPECT_LT(error(75, 83), 2 * told);
  EXPECT_LT(error(0, 75), 2 * told);
}

TEST_F(ExtendedModel, FollowsTheBestMaskWithoutAFitFromScratch) {
  for (int k = 0; k < 75; ++k) add(random_mask());
  fit();
  const double told = error(0, 75);
  const Mask before = best();
  for (int k = 0; k < 3; ++k) {
    Mask better = best();
    for (std::size_t i = 0; i < better.size(); ++i) {
      Mask flipped = better;
      flipped[i] ^= 1U;
      if (objective_(flipped) < objective_(better)) better = flipped;
    }
    if (better != best()) add(better);
  }
  ASSERT_NE(best(), before);
  fit();
  EXPECT_LT(error(0, masks_.size()), 2 * told);
}

TEST(Surrogate, OfFarMasksOnlyThoseThatItAskedForMatter) {
  const Mask centre(kVariables, 0), far(kVariables, 1);
  Surrogate model(kVariables, {}, {}, 10);
  model.add(centre, 0, false);
  for (std::size_t i = 0; i < kVariables; ++i) {
    Mask near = centre;
    near[i] = 1;
    model.add(near, 1 + static_cast<double>(i), true);
  }
  Rng rng(1);
  const double mean = 0;
  model.fit(centre, 0);
  const auto before = model.draw({&mean, 1}, rng);
  model.add(far, 100, false);
  model.fit(centre, 0);
  EXPECT_EQ(model.draw({&mean, 1}, rng), before);
  model.add(far, 100, true);
  model.fit(centre, 0);
  EXPECT_NE(model.draw({&mean, 1}, rng), before);
}

// All masks alike, as by a metric that counts: there is no scale yet by which a ruined one could be cut down.
TEST_F(ExtendedModel, HoldsARuinedMaskForWorseAfterAPlateau) {
  for (int k = 0; k < 40; ++k) model_.add(random_mask(), 3, false);
  const Mask centre = random_mask();
  model_.add(centre, 3, false);
  model_.fit(centre, 3);
  Mask ruined = centre;
  for (int i = 0; i < 6; ++i) ruined[static_cast<std::size_t>(i)] ^= 1U;
  model_.add(ruined, std::numeric_limits<double>::infinity(), true);
  model_.fit(centre, 3);
  const double mean = 0;
  EXPECT_GT(model_.predict(ruined, model_.draw({&mean, 1}, rng_).front()), 0);
}

}  // namespace
}  // namespace quboprune
