#include "quboprune/tensor_train.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "quboprune/error.h"

namespace quboprune {
namespace {

CountRule exactly(int n, int k) {
  return {std::vector<int>(static_cast<std::size_t>(n), 1), k, k};
}

TensorTrain random_train(CountRule rule, int rank, std::uint64_t seed, double spread = 1) {
  TensorTrain train(std::move(rule), rank);
  Rng rng(seed);
  for (double& t : train.parameters()) t = spread * (2 * rng.uniform() - 1);
  train.prepare();
  return train;
}

Mask mask_of(int n, unsigned bits) {
  Mask x(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) x[static_cast<std::size_t>(i)] = (bits >> i) & 1U;
  return x;
}

/// Pairs with and without padding, and the rank that has loops of its own.
constexpr int kRanks[] = {2, 3, 5};

std::vector<CountRule> small_rules() {
  return {exactly(10, 4),
          exactly(12, 12),
          exactly(9, 0),
          {std::vector<int>(8, 0), 0, 0},
          {{3, 1, 0, 2, 5, 1, 4, 2}, 6, 9},
          {{1, 1, 1, 1, 1, 1}, 3, 3, {1, -1, 0, -1, -1, -1}}};
}

TEST(TensorTrain, ProbabilitiesOfAllMasksSumToOne) {
  for (const int rank : kRanks)
    for (const CountRule& rule : small_rules()) {
      const TensorTrain train = random_train(rule, rank, 7);
      double sum = 0;
      for (unsigned bits = 0; bits < 1U << train.size(); ++bits)
        sum += std::exp(train.log_likelihood(mask_of(train.size(), bits)));
      EXPECT_NEAR(sum, 1, 1e-11);  // a few thousand terms, each good to about 1e-15 relative
    }
}

/// u' A_1[x_1] ... A_n[x_n] u, with nothing done for its range.
double product(const TensorTrain& train, const Mask& x) {
  const auto r = static_cast<std::size_t>(train.rank());
  std::vector<double> row(r, 1.0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::vector<double> next(r, 0.0);
    for (std::size_t a = 0; a < r; ++a)
      for (std::size_t b = 0; b < r; ++b)
        next[b] += row[a] * std::exp(train.parameters()[((i * 2 + x[i]) * r + a) * r + b]);
    row = next;
  }
  double sum = 0;
  for (const double value : row) sum += value;
  return sum;
}

TEST(TensorTrain, CoresAreExponentialsOverTheirWholeRange) {
  TensorTrain train({{0}, 0, 0}, 1);
  for (int step = -4000; step <= 4000; ++step) {
    const double theta = 0.01 * step;
    train.parameters()[1] = theta;
    train.prepare();
    const double normaliser = theta > 0 ? theta + std::log1p(std::exp(-theta)) : std::log1p(std::exp(theta));
    // An exponential is good to 4 units in the last place, logarithms of up to 40 to half of one.
    EXPECT_NEAR(train.log_likelihood({1}), theta - normaliser, 4 * 2.3e-16 + 4 * 3.6e-15) << theta;
    EXPECT_NEAR(train.log_likelihood({0}), -normaliser, 4 * 2.3e-16 + 4 * 3.6e-15) << theta;
  }
}

TEST(TensorTrain, ProbabilitiesAndMarginalsMatchEnumeration) {
  for (const CountRule& rule : small_rules()) {
    TensorTrain train = random_train(rule, 3, 9);
    const auto n = static_cast<std::size_t>(train.size());
    std::vector<Mask> obeying;
    std::vector<double> marginal(n, 0.0);
    double partition = 0;
    for (unsigned bits = 0; bits < 1U << n; ++bits) {
      const Mask x = mask_of(train.size(), bits);
      int count = 0;
      bool allowed = true;
      for (std::size_t i = 0; i < n; ++i) {
        count += x[i] * rule.weights[i];
        allowed = allowed && (rule.fixed.empty() || rule.fixed[i] < 0 || rule.fixed[i] == x[i]);
      }
      if (!allowed || count < rule.lowest || count > rule.highest) {
        EXPECT_EQ(train.log_likelihood(x), -INFINITY);
        continue;
      }
      const double weight = product(train, x);
      partition += weight;
      for (std::size_t i = 0; i < n; ++i) marginal[i] += x[i] * weight;
      obeying.push_back(x);
    }
    for (const Mask& x : obeying)
      EXPECT_NEAR(train.log_likelihood(x), std::log(product(train, x) / partition), 1e-12);
    // Entries of A_i[1] together: d log P(x) = [x_i = 1] - P(x_i = 1).
    const std::vector<Mask> one = {obeying.front()};
    std::vector<double> gradient(train.parameters().size());
    train.gradient(one, gradient);
    for (std::size_t i = 0; i < n; ++i) {
      double sum = 0;
      for (std::size_t e = 0; e < 9; ++e) sum += gradient[(i * 2 + 1) * 9 + e];
      EXPECT_NEAR(one[0][i] - sum, marginal[i] / partition, 1e-12);
    }
  }
}

void expect_gradient_of_differences(TensorTrain train) {
  Rng rng(3);
  const std::vector<Mask> masks = train.sample(3, rng);
  std::vector<double> gradient(train.parameters().size());
  const double mean = train.gradient(masks, gradient);
  const auto value = [&] {
    train.prepare();
    double sum = 0;
    for (const Mask& x : masks) sum += train.log_likelihood(x) / 3;
    return sum;
  };
  EXPECT_NEAR(mean, value(), 1e-11);
  const double step = 1e-5;  // error of a central difference: step²·third derivative + 1e-15/step
  for (std::size_t p = 0; p < gradient.size(); ++p) {
    const double kept = train.parameters()[p];
    train.parameters()[p] = kept + step;
    const double above = value();
    train.parameters()[p] = kept - step;
    const double below = value();
    train.parameters()[p] = kept;
    EXPECT_NEAR(gradient[p], (above - below) / (2 * step), 1e-7);
  }
}

TEST(TensorTrain, GradientMatchesDifferences) {
  for (const int rank : kRanks)
    for (const CountRule& rule : small_rules()) expect_gradient_of_differences(random_train(rule, rank, 11));
}

TEST(TensorTrain, SamplesObeyTheRuleAndFollowTheProbabilities) {
  for (const int rank : kRanks)
    for (const CountRule& rule : small_rules()) {
      const TensorTrain train = random_train(rule, rank, 5);
      Rng rng(1);
      std::vector<int> seen(1U << train.size(), 0);
      const int draws = 20000;
      for (const Mask& x : train.sample(draws, rng)) {
        ASSERT_TRUE(std::isfinite(train.log_likelihood(x)));
        unsigned bits = 0;
        for (std::size_t i = 0; i < x.size(); ++i) bits |= static_cast<unsigned>(x[i]) << i;
        ++seen[bits];
      }
      for (unsigned bits = 0; bits < seen.size(); ++bits) {
        const double p = std::exp(train.log_likelihood(mask_of(train.size(), bits)));
        // Five standard deviations of a binomial, plus one for the rarest.
        EXPECT_LE(std::abs(seen[bits] - draws * p), 5 * std::sqrt(draws * p * (1 - p)) + 1);
      }
    }
}

TEST(TensorTrain, LongTrainsStaySafeAndExact) {
  // Far from what the cores ask for alone: odds of e^6 for ones, and only 150 of 10,000 allowed.
  TensorTrain train(exactly(10000, 150), 2);
  for (std::size_t p = 0; p < train.parameters().size(); ++p)
    train.parameters()[p] = (p / 4) % 2 == 1 ? 6 : 0;
  train.prepare();
  Rng rng(2);
  const std::vector<Mask> masks = train.sample(3, rng);
  std::vector<double> gradient(train.parameters().size());
  EXPECT_NEAR(train.gradient(masks, gradient), train.log_likelihood(masks[0]), 1e-6);
  for (const double g : gradient) ASSERT_TRUE(std::isfinite(g));
  for (const Mask& x : masks) {
    EXPECT_EQ(kept_count(x), 150);
    // All masks are equally likely here: log P = -log C(10000, 150); log-gamma is good to about 1e-10.
    const double expected = -(std::lgamma(10001) - std::lgamma(151) - std::lgamma(9851));
    EXPECT_NEAR(train.log_likelihood(x), expected, 1e-6);
  }
}

TEST(TensorTrain, ImpossibleRulesAreTheCallersFault) {
  EXPECT_THROW(TensorTrain(exactly(5, 6), 2), InputError);
  EXPECT_THROW(TensorTrain(exactly(5, -1), 2), InputError);
  EXPECT_THROW(TensorTrain({{2, 2}, 3, 3}, 2), InputError);
  EXPECT_THROW(TensorTrain({{1, 1}, 1, 1, {0, 0}}, 2), InputError);
  EXPECT_THROW(TensorTrain({{1, 1}, 1, 1, {0}}, 2), InputError);
}

}  // namespace
}  // namespace quboprune
