#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "quboprune/constraint.h"
#include "quboprune/mask.h"
#include "quboprune/progress.h"
#include "quboprune/qubo.h"

namespace quboprune {

/// The search keeps whole rows of couplings where costs are constrained: so many variables at most (int32:
/// 576 MB, and twice that while they are made).
inline constexpr int kMostVariablesWithCosts = 12000;

struct SolverOptions {
  std::string method = "auto";  ///< "auto" or a name of solver_names()
  /// Wall time, at least 0; the search is anytime. Reading the couplings and one descent are done whatever
  /// it says: work that grows with the square of the variables where all are coupled.
  double seconds = 10;
  /// Count `seconds` in the process's processor time, divided by `threads`: for fair runs on a busy machine.
  bool processor_time = false;
  std::int64_t max_moves = 0;  ///< 0: no limit; otherwise the search ends after so many moves (reproducible)
  std::uint64_t seed = 1;
  int threads = 1;        ///< 1 to 1024
  int pool_size = 1;      ///< distinct solutions to keep, best first, as far as time allows; 1 to 10,000
  int pool_distance = 1;  ///< smallest Hamming distance between two of them
  double target_energy = -std::numeric_limits<double>::infinity();  ///< stop when reached
  bool bound = false;                                               ///< also compute a lower bound
  Mask start{};  ///< empty, or where to start; what breaks the constraint is repaired
};

struct Solution {
  Mask x;
  double energy = 0;
};

/// Sorts solutions of one problem by their energies, those of equal energy as they came, and leaves out
/// repetitions.
void best_first(std::vector<Solution>& solutions);

struct SolverResult {
  std::vector<Solution> pool;                               ///< best first; never empty
  double bound = -std::numeric_limits<double>::infinity();  ///< proven lower bound on E
  bool optimal = false;                                     ///< proven
  /// Empty if no bound was computed; otherwise n entries: 0 or 1 where every optimal solution is proved to
  /// have that value, -1 elsewhere (also where the constraint fixes it).
  std::vector<std::int8_t> persistent;
  double seconds = 0;
  std::int64_t moves = 0;  ///< flips; a swap counts two
  std::string method;      ///< what ran
  /// Why it ended: "optimal", "target", "moves", "time" or "stopped"; a sentence where change_pool() or
  /// another way to a mask than solve() had the last word.
  std::string reason;
};

/// Changes a result's solutions after the search, for the reason given. Where one did change, what was proved
/// of those that were found (bound, optimal, persistent) is withdrawn. Sorts them as best_first().
void change_pool(SolverResult& result, const Qubo& qubo, const std::function<void(Mask&)>& change,
                 const std::string& reason);

/// Minimises `qubo` under `constraint`. Throws InputError if no x is feasible, sizes don't fit, an option is
/// out of its range, the method isn't known, the coefficients' sizes add up to
/// more than 1e100 or less than 1e-100, or the time ended before the first feasible x was found.
SolverResult solve(const Qubo& qubo, const Constraint& constraint, const SolverOptions& options,
                   const Control& control = {});

/// A proven lower bound on E, without a search: the better for a good `known`, which obeys the constraint.
/// -infinity where there is no time for one. Throws as solve() does.
double lower_bound(const Qubo& qubo, const Constraint& constraint, const Mask& known,
                   const SolverOptions& options = {}, const Control& control = {});

/// The methods that `SolverOptions::method` takes.
std::vector<std::string> solver_names();
/// These and "auto", as messages and help texts list them: "auto, ... or ...".
std::string solver_choices();

}  // namespace quboprune
