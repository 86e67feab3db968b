#include "quboprune/qubo.h"

#include <gtest/gtest.h>

#include <limits>

#include "quboprune/error.h"
#include "quboprune/random.h"

namespace quboprune {
namespace {

Qubo mixed_qubo(int n, std::uint64_t seed) {
  Rng rng(seed);
  Qubo qubo(n);
  qubo.add_offset(1.5);
  for (int i = 0; i < n; ++i) qubo.add_linear(i, rng.uniform() - 0.5);
  for (int e = 0; e < 2 * n; ++e) {
    const int i = static_cast<int>(rng.below(static_cast<std::uint32_t>(n)));
    const int j = static_cast<int>(rng.below(static_cast<std::uint32_t>(n)));
    if (i != j) qubo.add_pair(i, j, rng.uniform() - 0.5);
  }
  Qubo::DenseBlock block{{4, 1, 3}, {0, 1, 2, 1, 0, 3, 2, 3, 0}};
  qubo.add_dense_block(block);
  Qubo::LowRank term{2, -0.5, {}};
  for (int r = 0; r < 2 * n; ++r) term.factor.push_back(static_cast<float>(rng.uniform() - 0.5));
  qubo.add_low_rank(term);
  return qubo;
}

TEST(Qubo, DenseFormHasTheSameEnergy) {
  const int n = 9;
  const Qubo qubo = mixed_qubo(n, 3);
  std::vector<double> couplings, diagonal;
  qubo.to_dense(couplings, diagonal);
  for (unsigned bits = 0; bits < (1U << n); ++bits) {
    Mask x(n);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = (bits >> i) & 1U;
    double energy = qubo.offset();
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (x[i] == 0) continue;
      energy += diagonal[i];
      for (std::size_t j = i + 1; j < x.size(); ++j)
        if (x[j] != 0) energy += couplings[i * x.size() + j];
    }
    ASSERT_NEAR(qubo.energy(x), energy, 1e-12);
  }
}

TEST(Qubo, DenseFormIsSymmetricWithAnEmptyDiagonal) {
  std::vector<double> couplings, diagonal;
  mixed_qubo(9, 4).to_dense(couplings, diagonal);
  for (std::size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(couplings[i * 9 + i], 0.0);
    for (std::size_t j = 0; j < 9; ++j) EXPECT_EQ(couplings[i * 9 + j], couplings[j * 9 + i]);
  }
}

TEST(Qubo, SlopesAreDifferencesOfEnergies) {
  const int n = 9;
  const Qubo qubo = mixed_qubo(n, 5);
  for (unsigned bits = 0; bits < (1U << n); bits += 7) {
    Mask x(n);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = (bits >> i) & 1U;
    const auto slopes = qubo.slopes(x);
    for (std::size_t i = 0; i < x.size(); ++i) {
      Mask with = x;
      Mask without = x;
      with[i] = 1;
      without[i] = 0;
      ASSERT_NEAR(slopes[i], qubo.energy(with) - qubo.energy(without), 1e-12);
    }
  }
}

TEST(Qubo, RefusesWhatDoesNotFit) {
  EXPECT_THROW(Qubo(0), InputError);
  Qubo qubo(3);
  EXPECT_THROW(qubo.add_linear(3, 1), InputError);
  EXPECT_THROW(qubo.add_pair(1, 1, 1), InputError);
  EXPECT_THROW(qubo.add_pair(0, -1, 1), InputError);
  EXPECT_THROW(qubo.add_linear(0, std::numeric_limits<double>::quiet_NaN()), InputError);
  EXPECT_THROW(qubo.add_dense_block({{0, 1}, {0, 1, 2, 0}}), InputError);
  EXPECT_THROW(qubo.add_dense_block({{0, 0}, {0, 1, 1, 0}}), InputError);
  EXPECT_THROW(qubo.add_low_rank({2, 1, {1, 2, 3}}), InputError);
  EXPECT_THROW(qubo.add_offset(std::numeric_limits<double>::infinity()), InputError);
  EXPECT_THROW(qubo.energy(Mask(2)), InputError);
  EXPECT_THROW(qubo.slopes(Mask(2)), InputError);
}

}  // namespace
}  // namespace quboprune
