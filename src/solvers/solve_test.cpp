#include <gtest/gtest.h>

#include <limits>

#include "quboprune/error.h"
#include "quboprune/random.h"
#include "quboprune/solver.h"

namespace quboprune {
namespace {

Qubo random_qubo(int n, std::uint64_t seed) {
  Rng rng(seed);
  Qubo qubo(n);
  for (int i = 0; i < n; ++i) {
    qubo.add_linear(i, rng.uniform() - 0.5);
    for (int j = i + 1; j < n; ++j) qubo.add_pair(i, j, rng.uniform() - 0.5);
  }
  return qubo;
}

double brute_force(const Qubo& qubo, const Constraint& constraint) {
  double best = std::numeric_limits<double>::infinity();
  const auto n = static_cast<std::size_t>(qubo.size());
  for (unsigned bits = 0; bits < (1U << n); ++bits) {
    Mask x(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = (bits >> i) & 1U;
    double spent = 0;
    bool allowed = true;
    for (std::size_t i = 0; i < n; ++i) {
      if (x[i] != 0) spent += constraint.costs.empty() ? 1.0 : constraint.costs[i];
      if (!constraint.fixed.empty() && constraint.fixed[i] >= 0)
        allowed = allowed && x[i] == constraint.fixed[i];
    }
    if (constraint.kind == Constraint::Kind::exactly) allowed = allowed && spent == constraint.capacity;
    if (constraint.kind == Constraint::Kind::at_most) allowed = allowed && spent <= constraint.capacity;
    if (allowed) best = std::min(best, qubo.energy(x));
  }
  return best;
}

TEST(Solve, FindsTheBestOfSmallProblems) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Qubo qubo = random_qubo(12, seed);
    std::vector<Constraint> constraints(5);
    constraints[1] = {Constraint::Kind::exactly, 5, {}, {}};
    constraints[2] = {Constraint::Kind::at_most, 3, {}, {}};
    constraints[3] = {Constraint::Kind::exactly, 6, {}, std::vector<std::int8_t>(12, -1)};
    constraints[3].fixed[2] = 1;
    constraints[3].fixed[7] = 0;
    constraints[4] = {Constraint::Kind::at_most, 11, {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}, {}};
    for (const Constraint& constraint : constraints) {
      const SolverResult result = solve(qubo, constraint, {.seconds = 5, .max_moves = 4000, .seed = seed});
      ASSERT_EQ(result.pool.size(), 1U);
      EXPECT_NEAR(result.pool[0].energy, brute_force(qubo, constraint), 1e-9);
      EXPECT_NEAR(qubo.energy(result.pool[0].x), result.pool[0].energy, 1e-12);
    }
  }
}

TEST(Solve, RefusesAnImpossibleCapacity) {
  EXPECT_THROW(solve(random_qubo(4, 1), {Constraint::Kind::exactly, 5, {}, {}}, {.seconds = 0.1}),
               InputError);
}

}  // namespace
}  // namespace quboprune
