#include "solvers/penalties.h"

#include <gtest/gtest.h>

#include "quboprune/random.h"

namespace quboprune {
namespace {

Mask mask_of(std::uint32_t bits, int n) {
  Mask x(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) x[static_cast<std::size_t>(i)] = (bits >> i) & 1U;
  return x;
}

/// Coefficients of at most 10, and some pairs that are penalised.
Qubo penalised(int n, double penalty, std::uint64_t seed) {
  Rng rng(seed);
  Qubo qubo(n);
  for (int i = 0; i < n; ++i) {
    qubo.add_linear(i, 20 * rng.uniform() - 15);
    for (int j = 0; j < i; ++j) {
      const double b = rng.uniform() < 0.2 ? penalty : 4 * rng.uniform() - 2;
      qubo.add_pair(j, i, b);
    }
  }
  return qubo;
}

TEST(LowPenalties, HaveTheSameBestMasksAndEnergies) {
  constexpr int n = 10;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const Qubo qubo = penalised(n, 1e12, seed);
    const auto low = with_low_penalties(qubo);
    ASSERT_TRUE(low.has_value());
    double best = 0, best_low = 0;
    std::uint32_t at = 0, at_low = 0;
    for (std::uint32_t bits = 0; bits < 1U << n; ++bits) {
      const double e = qubo.energy(mask_of(bits, n)), l = low->energy(mask_of(bits, n));
      EXPECT_LE(l, e + 1e-9);
      if (e < best) best = e, at = bits;
      if (l < best_low) best_low = l, at_low = bits;
    }
    EXPECT_EQ(at, at_low);
    EXPECT_NEAR(best, best_low, 1e-9);
  }
}

TEST(LowPenalties, OfWhatIsFixedAreWhatTheOtherBrings) {
  constexpr int n = 10;
  std::vector<std::int8_t> fixed(n, -1);
  fixed[2] = fixed[7] = 1;
  int compared = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const Qubo qubo = penalised(n, 1e9, seed);
    const auto low = with_low_penalties(qubo, fixed);
    if (!low) continue;  // both are penalised together
    ++compared;
    double best = 1e300, best_low = 1e300;
    std::uint32_t at = 0, at_low = 0;
    for (std::uint32_t bits = 0; bits < 1U << n; ++bits) {
      const Mask x = mask_of(bits, n);
      if (x[2] == 0 || x[7] == 0) continue;
      if (const double e = qubo.energy(x); e < best) best = e, at = bits;
      if (const double l = low->energy(x); l < best_low) best_low = l, at_low = bits;
    }
    EXPECT_EQ(at, at_low) << seed;
  }
  EXPECT_GT(compared, 20);
}

TEST(LowPenalties, AreLeftAloneWhereTheyHideNothing) {
  EXPECT_FALSE(with_low_penalties(penalised(10, 1e3, 1)).has_value());
  Qubo plain(3);
  plain.add_pair(0, 1, 5);
  plain.add_linear(2, -3);
  EXPECT_FALSE(with_low_penalties(plain).has_value());
}

TEST(LowPenalties, InABlockAreLoweredOnBothSides) {
  Qubo qubo(3);
  for (int i = 0; i < 3; ++i) qubo.add_linear(i, -1 - i);
  Qubo::DenseBlock block{{0, 1, 2}, {0, 1e10, 1, 1e10, 0, -2, 1, -2, 0}};
  qubo.add_dense_block(block);
  const auto low = with_low_penalties(qubo);
  ASSERT_TRUE(low.has_value());
  const auto& values = low->dense_blocks()[0].values;
  EXPECT_EQ(values[1], values[3]);
  EXPECT_GT(values[1], 1) << "more than the first one brings";
  EXPECT_LT(values[1], 100);
  EXPECT_EQ(values[5], -2);
}

}  // namespace
}  // namespace quboprune
