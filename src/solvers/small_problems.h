#pragma once

// What the tests of this folder compare with: every x of a small problem.

#include <algorithm>
#include <limits>
#include <vector>

#include "quboprune/constraint.h"
#include "quboprune/qubo.h"
#include "quboprune/random.h"
#include "quboprune/solver.h"
#include "solvers/feasible.h"

namespace quboprune {

/// Dense, linear terms too: whole numbers of -100 to 100, or real ones of -1/2 to 1/2.
inline Qubo random_qubo(int n, std::uint64_t seed, bool whole) {
  Rng rng(seed);
  auto draw = [&] { return whole ? static_cast<double>(rng.below(201)) - 100 : rng.uniform() - 0.5; };
  Qubo qubo(n);
  qubo.add_offset(whole ? 7 : 0.25);
  for (int i = 0; i < n; ++i) {
    qubo.add_linear(i, draw());
    for (int j = i + 1; j < n; ++j) qubo.add_pair(i, j, draw());
  }
  return qubo;
}

/// |F (1 - x)|² / 2 and more: what removing the zeros of x costs, as pruning has it.
inline Qubo convex_qubo(int n, int rank, std::uint64_t seed) {
  Rng rng(seed);
  Qubo::LowRank term{rank, 1.0, {}};
  for (int k = 0; k < rank * n; ++k) term.factor.push_back(static_cast<float>(rng.uniform() - 0.4));
  Qubo qubo(n);
  for (int r = 0; r < rank; ++r) {
    const float* row = term.factor.data() + static_cast<std::ptrdiff_t>(r) * n;
    double all = 0;
    for (int i = 0; i < n; ++i) all += static_cast<double>(row[i]);
    qubo.add_offset(all * all / 2);
    for (int i = 0; i < n; ++i) qubo.add_linear(i, -all * static_cast<double>(row[i]));
  }
  qubo.add_low_rank(std::move(term));
  return qubo;
}

/// All feasible x with their energies.
inline std::vector<Solution> all_solutions(const Qubo& qubo, const Constraint& constraint) {
  std::vector<Solution> solutions;
  const auto n = static_cast<std::size_t>(qubo.size());
  for (unsigned bits = 0; bits < (1U << n); ++bits) {
    Mask x(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = (bits >> i) & 1U;
    if (feasible(constraint, x)) solutions.push_back({x, qubo.energy(x)});
  }
  return solutions;
}

inline double brute_force(const Qubo& qubo, const Constraint& constraint) {
  double best = std::numeric_limits<double>::infinity();
  for (const Solution& solution : all_solutions(qubo, constraint)) best = std::min(best, solution.energy);
  return best;
}

/// Every kind of constraint on n variables (12 at least).
inline std::vector<Constraint> constraints_for(int n) {
  std::vector<double> costs;
  for (int i = 0; i < n; ++i) costs.push_back(1 + i % 5);
  std::vector<std::int8_t> fixed(static_cast<std::size_t>(n), -1);
  fixed[1] = 1;
  fixed[4] = 0;
  const std::vector<Constraint::Group> exact = {{{0, 3, 5, 8}, 2, 2}, {{1, 2, 4}, 1, 1}};
  const std::vector<Constraint::Group> ranges = {{{0, 1, 2, 3}, 1, 2}, {{4, 5, 6, 7, 8}, 3, 5}};
  using Kind = Constraint::Kind;
  return {{},
          {Kind::none, 0, {}, fixed},
          {Kind::exactly, 4, {}, {}},
          {Kind::exactly, 5, {}, fixed},
          {Kind::at_most, 4, {}, {}},
          {Kind::at_most, 11, costs, {}},
          {Kind::at_most, 9, costs, fixed},
          {Kind::exactly, 12, costs, {}},
          {Kind::none, 0, {}, {}, exact},
          {Kind::exactly, 6, {}, fixed, exact},
          {Kind::none, 0, {}, fixed, ranges}};
}

}  // namespace quboprune
