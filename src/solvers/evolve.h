#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "quboprune/solver.h"
#include "solvers/elite_pool.h"
#include "solvers/improver.h"

namespace quboprune {

struct EvolveOptions {
  std::size_t variables = 0;
  /// Chance that a variable of a random start is 1.
  double density = 0.5;
  /// The same for each variable; empty: `density`.
  std::vector<double> chances{};
  std::size_t population = 20;
  /// Tasks without a change of the population after which a new one is begun.
  int patience = 60;
  std::uint64_t seed = 1;
  int threads = 1;
  std::int64_t max_moves = 0;
  std::size_t keep = 1;  ///< solutions returned
  int keep_distance = 1;
  double target = -std::numeric_limits<double>::infinity();  ///< an energy that is good enough
  /// A solution and its complement are the same one (max-cut): aligned before they meet.
  bool mirrored = false;
  Mask start{};
};

struct Evolution {
  std::vector<Solution>
      best;  ///< best first, energies as the improvers gave them; empty if none was feasible
  std::int64_t moves = 0;
  std::string reason;
};

using MakeImprover = std::function<std::unique_ptr<Improver>()>;

/// A memetic search: random starts are improved until the population is full, then children of two parents
/// (what they share is kept, the rest drawn from either: backbone crossover) and perturbed members
/// are improved and compete for a place; a population that has settled makes way for a new one, and the
/// champions of earlier ones join every second one.
///
/// Tasks form one sequence: task t is bred from the population after results 0..t-lag were taken up in
/// order, so the result doesn't depend on the number of threads up to `lag` = 4, nor on their speed
/// (unless time ends the search). Source: Wu and Hao 2013 (memetic, max diversity), Wang et al. 2012 (path
/// relinking for QUBO); the lagged sequence is ours.
Evolution evolve(const MakeImprover& make_improver, const EvolveOptions& options, Deadline& deadline);

}  // namespace quboprune
