#include "solvers/convex_bound.h"

#include <gtest/gtest.h>

#include <cmath>

#include "quboprune/random.h"
#include "solvers/small_problems.h"

namespace quboprune {
namespace {

const Control kAlone;
const Deadline kPatient{1e9, kAlone};
constexpr double kGap = 1e-2;

/// So many steps bring some duality gap to at most `gap`: 27/4 C / (k + 2), C the largest |F d|² of any d
/// with entries of at most 1 (Jaggi, ICML 2013, theorem 2).
int steps_for(const Qubo& qubo, double gap) {
  double c = 0;
  for (const Qubo::LowRank& term : qubo.low_rank())
    for (std::size_t r = 0; r < static_cast<std::size_t>(term.rank); ++r) {
      double sum = 0;
      for (std::size_t i = 0; i < qubo.linear().size(); ++i)
        sum += std::abs(static_cast<double>(term.factor[r * qubo.linear().size() + i]));
      c += term.scale * sum * sum;
    }
  return static_cast<int>(std::ceil(6.75 * c / gap));
}

TEST(ConvexBound, IsBelowEverySolutionAndNotBelowWhatASumOfSquaresIs) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed)
    for (const int rank : {2, 15}) {
      const Qubo qubo = convex_qubo(12, rank, seed);
      for (const Constraint& constraint : constraints_for(12)) {
        const double bound =
            convex_bound(qubo, ReducedProblem(qubo, constraint), steps_for(qubo, kGap), kPatient);
        EXPECT_LE(bound, brute_force(qubo, constraint));
        EXPECT_GE(bound, -kGap);  // the relaxation's minimum isn't below 0
      }
    }
}

TEST(ConvexBound, ClosesTheGapOfALargeProblem) {
  const Qubo qubo = convex_qubo(200, 40, 1);
  const SolverResult result = solve(qubo, {.kind = Constraint::Kind::exactly, .capacity = 130},
                                    {.seconds = 60, .max_moves = 100'000, .bound = true});
  ASSERT_GT(result.pool[0].energy, 0);
  EXPECT_GT(result.bound, 0.5 * result.pool[0].energy);
  EXPECT_LE(result.bound, result.pool[0].energy);
}

TEST(ConvexBound, IsNoneWhereTheEnergyIsNotConvex) {
  Qubo qubo = convex_qubo(12, 3, 1);
  qubo.add_pair(0, 1, -1);
  EXPECT_EQ(convex_bound(qubo, ReducedProblem(qubo, {}), 10, kPatient), -INFINITY);
  Qubo hollow = convex_qubo(12, 3, 1);
  hollow.add_low_rank({1, -0.5, std::vector<float>(12, 1.0F)});
  EXPECT_FALSE(is_convex(hollow));
}

TEST(SpinBound, IsBelowEverySolutionAndCountsTheEdgesOfACut) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const Qubo qubo = random_qubo(12, seed, seed % 2 == 0);
    for (const Constraint& constraint : constraints_for(12))
      EXPECT_LE(spin_bound(ReducedProblem(qubo, constraint)), brute_force(qubo, constraint));
  }
  Qubo cut(4);  // minus the edges between x and the rest; of a ring all four can be
  for (int i = 0; i < 4; ++i) {
    cut.add_linear(i, -2);
    cut.add_pair(i, (i + 1) % 4, 2);
  }
  EXPECT_DOUBLE_EQ(spin_bound(ReducedProblem(cut, {})), -4);
}

}  // namespace
}  // namespace quboprune
