#include "solvers/dense_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "quboprune/random.h"
#include "solvers/tabu_list.h"

namespace quboprune {
namespace {

/// Whole couplings up to `largest`, so that the narrow types are all met; n beyond one key group.
Qubo whole_qubo(int n, int largest, int step, std::uint64_t seed) {
  Rng rng(seed);
  auto draw = [&] {
    return step *
           (static_cast<int>(rng.below(static_cast<std::uint32_t>(2 * largest / step + 1))) - largest / step);
  };
  Qubo qubo(n);
  for (int i = 0; i < n; ++i) {
    qubo.add_linear(i, draw() + 1);
    for (int j = i + 1; j < n; ++j)
      if (rng.below(4) == 0) qubo.add_pair(i, j, draw());
  }
  return qubo;
}

struct Width {
  int largest, step, bytes, factor;
};

class DenseStateTest : public testing::TestWithParam<Width> {};

TEST_P(DenseStateTest, FieldsAndEnergyStayThoseFromScratch) {
  const auto [largest, step, bytes, factor] = GetParam();
  const int n = 600;
  const Qubo qubo = whole_qubo(n, largest, step, 5);
  const DenseMatrix matrix(qubo);
  ASSERT_TRUE(matrix.exact());
  ASSERT_EQ(matrix.bytes(), bytes);
  ASSERT_EQ(matrix.factor(), factor);
  std::vector<double> couplings, diagonal;
  qubo.to_dense(couplings, diagonal);
  DenseState state(matrix, {});
  Rng rng(9);
  for (int move = 0; move < 300; ++move) {
    const std::size_t i = rng.below(n), j = rng.below(n);
    if (state.on(i) && !state.on(j))
      state.swap(i, j);
    else
      state.flip(i);
    state.release(i);
    state.release(j);
  }
  EXPECT_EQ(static_cast<double>(state.energy()), qubo.energy(state.x()));
  for (std::size_t i = 0; i < state.size(); ++i) {
    double field = diagonal[i];
    for (std::size_t j = 0; j < state.size(); ++j)
      if (state.on(j)) field += couplings[i * state.size() + j];
    ASSERT_EQ(static_cast<double>(state.field(i)), field);
  }
}

TEST_P(DenseStateTest, TheBestMovesAreThoseOfAScan) {
  const auto [largest, step, bytes, factor] = GetParam();
  const DenseMatrix matrix(whole_qubo(700, largest, step, 6));
  std::vector<std::int8_t> fixed(700, -1);
  fixed[3] = 1;
  fixed[600] = 0;
  DenseState state(matrix, fixed);
  TabuList tabu(700, 20);
  Rng rng(2);
  for (int move = 0; move < 200; ++move) {
    const std::size_t i = rng.below(700);
    if (!state.is_free(i)) continue;
    tabu.advance(state);
    if (!state.is_free(i)) continue;
    state.flip(i);
    tabu.forbid(state, i, 1 + static_cast<int>(rng.below(20)));
    std::int64_t addition = DenseState::kNoGain, removal = DenseState::kNoGain;
    for (std::size_t k = 0; k < 700; ++k)
      if (state.is_free(k)) {
        std::int64_t& best = state.on(k) ? removal : addition;
        best = std::min(best, state.gain(k));
      }
    ASSERT_EQ(state.addition_gain(), addition);
    ASSERT_EQ(state.removal_gain(), removal);
    if (const std::size_t best = state.best_addition(rng()); best != DenseState::kNone) {
      EXPECT_EQ(state.gain(best), addition);
      EXPECT_FALSE(state.on(best));
    }
    if (const std::size_t best = state.best_removal(rng()); best != DenseState::kNone) {
      EXPECT_EQ(state.gain(best), removal);
      EXPECT_TRUE(state.on(best));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, DenseStateTest,
                         testing::Values(Width{100, 1, 1, 1}, Width{200, 2, 1, 2}, Width{200, 1, 2, 1},
                                         Width{40000, 1, 4, 1}));

TEST(DenseMatrix, RealNumbersAreRoundedFinely) {
  Rng rng(3);
  Qubo qubo(60);
  for (int i = 0; i < 60; ++i)
    for (int j = i + 1; j < 60; ++j) qubo.add_pair(i, j, rng.uniform() - 0.5);
  const DenseMatrix matrix(qubo);
  EXPECT_FALSE(matrix.exact());
  DenseState state(matrix, {});
  for (std::size_t i = 0; i < 60; i += 2) state.flip(i);
  // 435 couplings, each off by half a step at most.
  EXPECT_NEAR(static_cast<double>(state.energy()) * matrix.scale(), qubo.energy(state.x()),
              435 * 0.5 * matrix.scale());
  EXPECT_LT(matrix.scale(), 1e-6);
}

}  // namespace
}  // namespace quboprune
