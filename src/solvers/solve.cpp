#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <string>
#include <unordered_set>

#include "core/index.h"
#include "quboprune/error.h"
#include "quboprune/solver.h"
#include "solvers/count_classes.h"
#include "solvers/dominated.h"
#include "solvers/double_descent.h"
#include "solvers/feasible.h"
#include "solvers/penalties.h"
#include "solvers/pool_neighbours.h"
#include "solvers/portfolio.h"
#include "solvers/proof.h"
#include "solvers/roof_dual.h"
#include "solvers/semidefinite_bound.h"
#include "solvers/separable.h"

namespace quboprune {
namespace {

/// Small problems: so much is searched before the proof is tried, in moves (well over what any of up to
/// 100 variables was seen to need) and in share of the time.
constexpr std::int64_t kMovesBeforeProof = 1'000'000;
constexpr std::int64_t kMovesBeforeProofASquare = 1000;  ///< of the free variables' number
constexpr double kSearchShare = 0.3;
constexpr double kSearchShareWithBound = 0.92, kLargestBoundShare = 0.25;
constexpr double kFirstOfPoolShare = 0.7;  ///< of the search for an optimum, where others are wanted too
constexpr double kGreedyShare = 0.6, kDescentShare = 0.05;  ///< at most, of real problems under a count
constexpr double kPoolShare = 0.1, kPoolSeconds = 0.1;      ///< for true energies and neighbours
constexpr int kMostThreads = 1024;
constexpr int kLargestPool = 10'000;  ///< every find is compared with all of them
constexpr std::int64_t kNodesUnderMoves = 20'000;
constexpr std::int64_t kNodesUnderTime = std::int64_t{1} << 50;

void check_sizes(const Qubo& qubo, const Constraint& constraint, const SolverOptions& options) {
  const auto n = static_cast<std::size_t>(qubo.size());
  auto require = [n](const char* what, std::size_t size) {
    if (size != 0 && size != n)
      throw InputError(std::string(what) + " has " + std::to_string(size) + " entries for " +
                       std::to_string(n) + " variables: give one each, or none");
  };
  require("the constraint's costs", constraint.costs.size());
  require("the constraint's fixed variables", constraint.fixed.size());
  require("the start", options.start.size());
  if (std::ranges::any_of(options.start, [](auto value) { return value > 1; }))
    throw InputError("the start has an entry other than 0 and 1");
  const auto names = solver_names();
  if (options.method != "auto" && std::find(names.begin(), names.end(), options.method) == names.end())
    throw InputError("no solver is called '" + options.method + "': use " + solver_choices());
  if (options.threads < 1 || options.threads > kMostThreads)
    throw InputError(fmt::format("{} threads: give 1 to {}", options.threads, kMostThreads));
  if (options.pool_size < 1 || options.pool_size > kLargestPool)
    throw InputError(fmt::format("a pool of {} solutions: keep 1 to {}", options.pool_size, kLargestPool));
  if (options.pool_distance < 1)
    throw InputError(fmt::format("a pool distance of {}: give 1 or more", options.pool_distance));
  if (options.max_moves < 0)
    throw InputError(fmt::format("at most {} moves: give 0 (no limit) or more", options.max_moves));
  if (!(options.seconds >= 0)) throw InputError(fmt::format("{} seconds: give 0 or more", options.seconds));
  for (const std::int8_t value : constraint.fixed)
    if (value < -1 || value > 1)
      throw InputError("a variable is fixed to " + std::to_string(value) + ": give -1 (free), 0 or 1");
  for (double cost : constraint.costs)
    if (!(cost >= 0) || !std::isfinite(cost))
      throw InputError("a cost of the constraint is " + std::to_string(cost) +
                       ": costs must be finite and not negative");
}

/// Sums of squares of sums must stay finite in double precision, and so must quotients of energies and costs.
void check_magnitude(const Qubo& qubo, const Constraint& constraint) {
  const double costs = std::accumulate(constraint.costs.begin(), constraint.costs.end(), 0.0);
  if (costs != 0 && !(costs >= 1e-100 && costs <= 1e100))
    throw InputError(
        "the constraint's costs add up to less than 1e-100 or more than 1e100: scale them and their limit");
  double sum = 0;
  for (const double value : qubo.linear()) sum += std::abs(value);
  for (const Qubo::Pair& pair : qubo.pairs()) sum += std::abs(pair.value);
  for (const Qubo::DenseBlock& block : qubo.dense_blocks())
    for (const double value : block.values) sum += std::abs(value);
  for (const Qubo::LowRank& term : qubo.low_rank()) {
    double size = 0;
    for (const float value : term.factor) size += std::abs(static_cast<double>(value));
    sum += std::abs(term.scale) * size * size;
  }
  if (!(sum + std::abs(qubo.offset()) <= 1e100) || (sum > 0 && sum < 1e-100))
    throw InputError(
        "the problem's coefficients add up to more than 1e100, or to less than 1e-100: divide them all by a "
        "common factor");
}

/// The smallest and largest number of ones (or cost) that the fixed variables leave.
void check_capacity(const Constraint& constraint, std::size_t n) {
  if (!constraint.groups.empty()) {
    if (!constraint.costs.empty())
      throw InputError("costs beside groups with counts of their own: give one or the other");
    count_classes(constraint, n);
    return;
  }
  if (constraint.kind == Constraint::Kind::none) return;
  double least = 0, most = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double cost = constraint.costs.empty() ? 1.0 : constraint.costs[i];
    const int fixed = constraint.fixed.empty() ? -1 : constraint.fixed[i];
    if (fixed == 1) least += cost;
    if (fixed != 0) most += cost;
  }
  const double slack = constraint.costs.empty() ? 1e-9 * std::max(1.0, std::abs(constraint.capacity))
                                                : cost_tolerance(constraint);
  const bool exact = constraint.kind == Constraint::Kind::exactly;
  const bool uncountable =
      constraint.costs.empty() && exact && constraint.capacity != std::floor(constraint.capacity);
  if (!(constraint.capacity > -1e300) || least > constraint.capacity + slack || uncountable ||
      (exact && !(most >= constraint.capacity - slack)))
    throw InputError(
        fmt::format("no selection meets the capacity {}: the variables that are not fixed leave {} to {}; "
                    "change the capacity or free fixed variables",
                    constraint.capacity, least, most));
}

/// Where the fixed variables leave a count none to choose, the others are fixed too.
void fix_what_a_count_decides(Constraint& constraint, std::size_t n) {
  std::size_t ones = 0, free = n;
  for (const std::int8_t value : constraint.fixed) {
    ones += value == 1 ? 1 : 0;
    free -= value >= 0 ? 1 : 0;
  }
  const auto count = static_cast<std::size_t>(std::max(0.0, constraint.capacity));
  const bool all = constraint.kind == Constraint::Kind::exactly && ones + free == count;
  if (ones != count && !all) return;
  constraint.fixed.resize(n, -1);
  for (std::int8_t& value : constraint.fixed) {
    if (value < 0) value = all ? 1 : 0;
  }
}

/// The same constraint without numbers that mean nothing more: a count is whole and at most n, a capacity at
/// most the sum of all costs; where nothing may be spent, what costs something is out.
Constraint normalised(Constraint constraint, std::size_t n) {
  if (constraint.kind == Constraint::Kind::none) return constraint;
  if (constraint.costs.empty()) {
    constraint.capacity = std::floor(std::clamp(constraint.capacity, -1.0, static_cast<double>(n)) + 1e-9);
    if (constraint.groups.empty()) fix_what_a_count_decides(constraint, n);
  } else if (constraint.kind == Constraint::Kind::at_most) {
    const double all = std::accumulate(constraint.costs.begin(), constraint.costs.end(), 0.0);
    constraint.capacity = std::min(constraint.capacity, all);
  }
  if (!constraint.costs.empty() && constraint.capacity == 0) {
    constraint.fixed.resize(n, -1);
    for (std::size_t i = 0; i < n; ++i)
      if (constraint.costs[i] > 0) constraint.fixed[i] = 0;
  }
  return constraint;
}

/// Throws what solve() is documented to throw before it starts; the constraint as the searches take it.
Constraint checked(const Qubo& qubo, const Constraint& constraint, const SolverOptions& options) {
  check_sizes(qubo, constraint, options);
  check_magnitude(qubo, constraint);
  const auto n = static_cast<std::size_t>(qubo.size());
  check_capacity(constraint, n);
  return normalised(constraint, n);
}

Deadline deadline_for(const SolverOptions& options, const Control& control) {
  return {options.seconds, control, options.processor_time ? options.threads : 0};
}

/// True energies, best first, as many as asked or there is time for: a part of what the search took, on top
/// of it. found: what matters most first.
std::vector<Solution> checked_pool(const Qubo& qubo, const Constraint& constraint,
                                   const std::vector<Solution>& found, SolverOptions options,
                                   const Control& control) {
  options.seconds = kPoolShare * options.seconds + kPoolSeconds;
  const Deadline deadline = deadline_for(options, control);
  ElitePool pool(static_cast<std::size_t>(options.pool_size), options.pool_distance);
  for (const Solution& solution : found) {
    if (!pool.members().empty() && deadline.expired()) break;
    pool.insert(solution.x, qubo.energy(solution.x));
  }
  if (!pool.full() && options.pool_distance <= 2 && !deadline.expired())
    add_neighbours(qubo, constraint, deadline, pool);
  return {pool.members().begin(), pool.members().end()};
}

int free_variables(const Qubo& qubo, const Constraint& constraint) {
  int fixed = 0;
  for (const std::int8_t f : constraint.fixed) fixed += f >= 0 ? 1 : 0;
  return qubo.size() - fixed;
}

/// Short runs leave the semidefinite bound its time too, as long as that is a small part.
double search_share_with_bound(int variables, double seconds) {
  const double wanted = 1.3 * semidefinite_seconds(static_cast<std::size_t>(variables)) / seconds;
  return wanted <= kLargestBoundShare ? std::min(kSearchShareWithBound, 1 - wanted) : kSearchShareWithBound;
}

bool by_counts_alone(const Constraint& constraint) {
  return constraint.costs.empty() && constraint.groups.empty() && constraint.kind != Constraint::Kind::none;
}

bool fixed_ones_dwarf_the_others(const Qubo& qubo, const Constraint& constraint) {
  double fixed = 0, free = 0;
  for (std::size_t i = 0; i < constraint.fixed.size(); ++i) {
    double& largest = constraint.fixed[i] < 0 ? free : fixed;
    largest = std::max(largest, std::abs(qubo.linear()[i]));
  }
  return fixed > free;
}

/// Own coefficients of fixed variables are a constant. Where they dwarf the others a search on a grid of
/// integers would see nothing else: it is given the problem without them.
Searched search_without_fixed(const Qubo& qubo, const Constraint& constraint, SolverOptions options,
                              Deadline& deadline) {
  if (!fixed_ones_dwarf_the_others(qubo, constraint)) return search(qubo, constraint, options, deadline);
  Qubo rest = qubo;
  for (int i = 0; i < qubo.size(); ++i) {
    const int value = constraint.fixed[at_index(i)];
    if (value < 0) continue;
    const double own = qubo.linear()[at_index(i)];
    rest.add_linear(i, -own);
    options.target_energy -= value * own;
  }
  return search(rest, constraint, options, deadline);
}

/// The heuristic search; a part of the time and of the patience is left to the proof if one follows.
SolverResult find(const Qubo& qubo, const Constraint& constraint, SolverOptions options, bool proof_follows,
                  const Control& control) {
  // Backward greedy first, and a descent from the best found in the end, in double precision: what the
  // search's grid can't see.
  const Deadline whole = deadline_for(options, control);
  const bool real = has_real_numbers(qubo);
  const bool in_double = by_counts_alone(constraint) && real;
  const std::optional<Qubo> lowered =
      constraint.kind == Constraint::Kind::exactly || !constraint.groups.empty()
          ? std::nullopt
          : with_low_penalties(qubo, constraint.fixed);
  Mask greedy;
  if (constraint.kind == Constraint::Kind::at_most && !constraint.costs.empty() && options.start.empty()) {
    greedy = greedy_within_budget(qubo, constraint, whole);
    options.start = greedy;
    options.seconds = std::max(0.0, options.seconds - whole.elapsed());
  }
  if (in_double) {
    const double seconds = options.seconds;
    options.seconds = kGreedyShare * seconds;
    greedy = backward_greedy(qubo, constraint, deadline_for(options, control));
    options.seconds = std::max(0.0, seconds - whole.elapsed());
  }
  if (real && std::isfinite(whole.seconds()))
    options.seconds = std::max(0.0, options.seconds - kDescentShare * whole.seconds());
  if (options.method == "exact") options.method = "auto";
  const bool limited_by_proof = proof_follows && options.max_moves == 0;
  if (limited_by_proof) {
    const std::int64_t free = free_variables(qubo, constraint);
    options.max_moves =
        std::clamp<std::int64_t>(kMovesBeforeProofASquare * free * free, 1, kMovesBeforeProof);
  }
  Deadline deadline = deadline_for(options, control);
  Searched searched = search_without_fixed(lowered ? *lowered : qubo, constraint, options, deadline);
  auto& found = searched.evolution.best;
  if (real && !found.empty())
    found.insert(found.begin(), {polished(qubo, constraint, found.front().x, whole), 0});
  if (!greedy.empty()) found.insert(found.begin(), {std::move(greedy), 0});
  if (found.empty())
    throw InputError(fmt::format(
        "no selection {} {} could be found in the time given: change it or free fixed variables",
        constraint.kind == Constraint::Kind::exactly ? "of exactly" : "within", constraint.capacity));
  SolverResult result;
  result.pool = checked_pool(qubo, constraint, found, options, control);
  result.moves = searched.evolution.moves;
  result.method = std::move(searched.method);
  result.reason = std::move(searched.evolution.reason);
  if (limited_by_proof && result.reason == "moves") result.reason = "time";
  return result;
}

/// The pool as asked for, after the proof may have put a better one in front.
void trim(SolverResult& result, const SolverOptions& options) {
  ElitePool pool(static_cast<std::size_t>(options.pool_size), options.pool_distance);
  for (const Solution& solution : result.pool) pool.insert(solution.x, solution.energy);
  result.pool.assign(pool.members().begin(), pool.members().end());
}

/// Without any that are fixed the list stays empty: such a problem may be searched by halves.
Constraint with_fixed(Constraint constraint, const std::vector<std::int8_t>& decided) {
  for (std::size_t i = 0; i < decided.size(); ++i) {
    if (decided[i] < 0) continue;
    constraint.fixed.resize(decided.size(), -1);
    constraint.fixed[i] = decided[i];
  }
  return constraint;
}

/// By a bound that holds to the last digit.
void raise_bound(SolverResult& result, double bound) {
  const double energy = result.pool.front().energy;
  result.bound = std::max(result.bound, std::min(bound, energy));
  result.optimal = result.optimal || bound >= energy;
  if (result.optimal) result.reason = "optimal";
}

/// The fixed variables are all there are.
SolverResult nothing_to_choose(const Qubo& qubo, const Constraint& constraint, const Deadline& deadline) {
  SolverResult result;
  Mask x(constraint.fixed.size());
  std::ranges::transform(constraint.fixed, x.begin(), [](std::int8_t value) { return value == 1 ? 1 : 0; });
  result.pool.push_back({x, qubo.energy(x)});
  result.bound = result.pool.front().energy;
  result.persistent.assign(x.size(), -1);
  result.optimal = true;
  result.method = "none";
  result.reason = "optimal";
  result.seconds = deadline.elapsed();
  return result;
}

/// Adds what a search that starts from the best finds: other members of the pool than the optimum.
void add_others(const Qubo& qubo, const Constraint& constraint, SolverOptions options, bool proof_follows,
                const Control& control, SolverResult& result) {
  options.start = result.pool.front().x;
  const SolverResult found = find(qubo, constraint, options, proof_follows, control);
  result.pool.insert(result.pool.end(), found.pool.begin(), found.pool.end());
  result.moves += found.moves;
  trim(result, options);
}

/// The optimum needs no search, but other members of the pool do.
SolverResult solve_sorted(const Qubo& qubo, const Constraint& constraint, const SolverOptions& options,
                          const Control& control) {
  const Deadline deadline = deadline_for(options, control);
  SolverResult result = solve_separable(qubo, constraint);
  if (options.pool_size > 1) add_others(qubo, constraint, options, false, control, result);
  result.seconds = deadline.elapsed();
  return result;
}

}  // namespace

std::vector<std::string> solver_names() {
  std::vector<std::string> names = portfolio_names();
  names.push_back("exact");  // whatever search finds its start
  return names;
}

std::string solver_choices() {
  std::string text = "auto";
  const std::vector<std::string> names = solver_names();
  for (std::size_t k = 0; k < names.size(); ++k) text += (k + 1 < names.size() ? ", " : " or ") + names[k];
  return text;
}

SolverResult solve(const Qubo& qubo, const Constraint& given, const SolverOptions& options,
                   const Control& control) {
  Constraint constraint = checked(qubo, given, options);
  const auto n = static_cast<std::size_t>(qubo.size());
  const Deadline deadline = deadline_for(options, control);
  if (free_variables(qubo, constraint) == 0) return nothing_to_choose(qubo, constraint, deadline);
  if (is_separable(qubo, constraint)) return solve_sorted(qubo, constraint, options, control);
  const Constraint undecided = constraint;
  std::vector<std::int8_t> decided = dominated(qubo, constraint);
  const RoofDual roof = roof_dual(qubo, with_fixed(constraint, decided), options.seconds);
  for (std::size_t i = 0; i < n; ++i) decided[i] = std::max(decided[i], roof.persistent[i]);
  constraint = with_fixed(std::move(constraint), decided);
  const bool exact = options.method == "exact";
  const bool small = free_variables(qubo, constraint) <= kProvedUnasked;
  SolverOptions search_options = options;
  search_options.seconds = std::max(0.0, options.seconds - deadline.elapsed());
  if (exact || small)
    search_options.seconds *= kSearchShare;
  else if (options.bound)
    search_options.seconds *= search_share_with_bound(free_variables(qubo, constraint), options.seconds);
  // Nothing lies below it: who reaches it is done.
  if (options.pool_size == 1) search_options.target_energy = std::max(options.target_energy, roof.bound);
  // What no optimum has, others of the pool may have.
  const bool others = options.pool_size > 1 && std::ranges::any_of(decided, [](auto d) { return d >= 0; });
  if (others) search_options.seconds *= kFirstOfPoolShare;
  const bool all_decided = free_variables(qubo, constraint) == 0;
  SolverResult result = all_decided ? nothing_to_choose(qubo, constraint, deadline)
                                    : find(qubo, constraint, search_options, exact || small, control);
  if (others && result.reason != "target" && result.reason != "stopped") {
    search_options.seconds *= (1 - kFirstOfPoolShare) / kFirstOfPoolShare;
    add_others(qubo, undecided, search_options, exact || small, control, result);
  }
  if (all_decided) {
    result.persistent = decided;
    result.seconds = deadline.elapsed();
    return result;
  }
  const bool wanted = exact || small || options.bound;
  if (wanted) raise_bound(result, roof.bound);
  // The grid's energy reached the roof dual's bound, and not what was asked for: by the true one it may not.
  if (result.reason == "target" && !(result.pool.front().energy <= options.target_energy))
    result.reason = result.pool.front().energy <= roof.bound ? "optimal" : "time";
  // A target reached or a stop asked for ends all work; a count of moves must not depend on the clock.
  const bool on = result.reason != "target" && result.reason != "stopped";
  if (on && wanted && !result.optimal) {
    const std::int64_t nodes = options.max_moves > 0 ? kNodesUnderMoves : kNodesUnderTime;
    prove(qubo, constraint, exact, nodes, deadline, result);
    trim(result, options);
  }
  if (wanted) {
    result.persistent.resize(n, -1);
    for (std::size_t i = 0; i < n; ++i)
      if (decided[i] >= 0) result.persistent[i] = decided[i];
  }
  result.seconds = deadline.elapsed();
  return result;
}

void best_first(std::vector<Solution>& solutions) {
  std::ranges::stable_sort(solutions, {}, &Solution::energy);
  std::unordered_set<std::string> known;
  std::erase_if(solutions, [&](const Solution& solution) {
    return !known.insert(std::string(solution.x.begin(), solution.x.end())).second;
  });
}

void change_pool(SolverResult& result, const Qubo& qubo, const std::function<void(Mask&)>& change,
                 const std::string& reason) {
  bool changed = false;
  for (auto& solution : result.pool) {
    const Mask found = solution.x;
    change(solution.x);
    if (solution.x == found) continue;
    solution.energy = qubo.energy(solution.x);
    changed = true;
  }
  if (!changed) return;
  best_first(result.pool);
  result.bound = -std::numeric_limits<double>::infinity();
  result.optimal = false;
  result.persistent.clear();
  result.reason = reason;
}

double lower_bound(const Qubo& qubo, const Constraint& given, const Mask& known, const SolverOptions& options,
                   const Control& control) {
  const Constraint constraint = checked(qubo, given, options);
  if (is_separable(qubo, constraint)) return solve_separable(qubo, constraint).bound;
  SolverResult result;
  result.pool.push_back({known, qubo.energy(known)});
  prove(qubo, constraint, /*exact=*/false, kNodesUnderTime, deadline_for(options, control), result);
  return result.bound;
}

}  // namespace quboprune
