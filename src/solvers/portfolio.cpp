#include "solvers/portfolio.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "quboprune/error.h"
#include "solvers/anneal.h"
#include "solvers/convex_bound.h"
#include "solvers/convex_relaxation.h"
#include "solvers/count_classes.h"
#include "solvers/dense_tabu.h"
#include "solvers/knapsack_tabu.h"

namespace quboprune {
namespace {

/// Below this density a flip by rows of neighbours beats a pass over the whole row, and long annealing
/// beats tabu search on the answers: measured on G-set (0.02 to 6 %) and bqp (10 %).
constexpr double kSparse = 0.05;
/// The same under a count, by which swaps and not flips are searched (bench_solver, counted): half of the
/// ones on random graphs, tabu ends 0.2 % lower at 1 and 6 %, annealing 1.4 % at 0.2 %; on blocks as in
/// pruning tabu ends lower wherever they differ.
constexpr double kSparseUnderCount = 0.005;
constexpr int kSmall = 400;
/// Of the minimum over fractions of a convex problem: hundreds of steps settle it, and a fifth of the time is
/// enough for them wherever there is time to search.
constexpr int kRelaxationSteps = 1000;
constexpr double kRelaxationShare = 0.2;
/// Rows up to this many variables are multiplied out.
constexpr int kLargestDense = kMostVariablesWithCosts;

/// From here on a large population takes too long to fill and to settle: on p5000.1 after 4 and 12 million
/// flips, three seeds each, one of 8 met the best known 4 times of 6, of 12 or 20 twice.
constexpr int kFewParents = 2500;

/// Parents of an annealed population: ten, but six in between, as measured by processor time. Six against ten
/// met the best known of G22 (2000 vertices, 3 s) 4 times of 5 against 2 and of G32 (2000, 3 to 4 s) 5 of 5
/// against 1 of 3; but of G14 (800, 5 s) 1 of 5 against 3 of 3, and on G55 (5000, 10 s) found 10292 against
/// 10298, three seeds each.
std::size_t annealed_population(int variables) {
  return variables >= 1500 && variables < 4000 ? 6 : 10;
}

bool has_costs(const Constraint& constraint) {
  return constraint.kind != Constraint::Kind::none && !constraint.costs.empty();
}

double density(const Qubo& qubo) {
  const double n = qubo.size();
  if (!qubo.low_rank().empty()) return 1;
  return n > 1 ? std::min(1.0, 2 * static_cast<double>(coupling_count(qubo)) / (n * (n - 1))) : 1;
}

/// E(x) = E(1 - x) for all x: pairs only, and every linear term is minus half its row.
bool is_mirrored(const Qubo& qubo, const Constraint& constraint) {
  if (constraint.kind != Constraint::Kind::none || !constraint.fixed.empty() || !constraint.groups.empty())
    return false;
  if (!qubo.dense_blocks().empty() || !qubo.low_rank().empty()) return false;
  std::vector<double> rest(qubo.linear().begin(), qubo.linear().end());
  double largest = 0;
  for (const Qubo::Pair& pair : qubo.pairs()) {
    rest[static_cast<std::size_t>(pair.i)] += 0.5 * pair.value;
    rest[static_cast<std::size_t>(pair.j)] += 0.5 * pair.value;
    largest = std::max(largest, std::abs(pair.value));
  }
  return std::all_of(rest.begin(), rest.end(), [&](double r) { return std::abs(r) <= 1e-9 * largest; });
}

EvolveOptions evolve_options(const Qubo& qubo, const Constraint& constraint, const SolverOptions& options) {
  EvolveOptions evolve;
  evolve.variables = static_cast<std::size_t>(qubo.size());
  evolve.seed = options.seed;
  evolve.threads = options.threads;
  evolve.max_moves = options.max_moves;
  evolve.keep = static_cast<std::size_t>(options.pool_size);
  evolve.keep_distance = options.pool_distance;
  evolve.target = options.target_energy;
  evolve.start = options.start;
  if (!constraint.groups.empty()) {
    double ones = 0, free = 0;
    for (const CountClass& counted : count_classes(constraint, evolve.variables)) {
      ones += counted.exact() ? counted.most : 0.5 * static_cast<double>(counted.fewest + counted.most);
      free += static_cast<double>(counted.free.size());
    }
    evolve.density = free > 0 ? ones / free : 0.5;
  } else if (constraint.kind != Constraint::Kind::none) {
    double total = 0;
    for (double cost : constraint.costs) total += cost;
    if (constraint.costs.empty()) total = qubo.size();
    evolve.density = total > 0 ? std::clamp(constraint.capacity / total, 0.0, 1.0) : 0.5;
  }
  return evolve;
}

/// The minimum of a convex E over fractions as chances of what starts hold, and rounded as the first of them.
void draw_near_relaxed_minimum(const Qubo& qubo, const Constraint& constraint, const Deadline& deadline,
                               EvolveOptions& evolve) {
  if (!is_convex(qubo) || !constraint.groups.empty()) return;
  evolve.chances = relaxed_minimum(qubo, constraint, kRelaxationSteps, kRelaxationShare, deadline);
  if (!evolve.start.empty()) return;
  for (const double chance : evolve.chances) evolve.start.push_back(chance > 0.5 ? 1 : 0);
}

/// So many sweeps that ten tasks take about half the time given, at 1e8 proposals a second: long anneals
/// are better ones, if there is time for enough of them to breed from.
template <typename Model>
typename Anneal<Model>::Schedule schedule_for(const Qubo& qubo, const SolverOptions& options) {
  typename Anneal<Model>::Schedule schedule;
  if (options.max_moves > 0) return schedule;
  const double sweeps = 0.05 * options.seconds * options.threads * 1e8 / qubo.size();
  schedule.sweeps = static_cast<int>(std::clamp(sweeps, 100.0, 8000.0));
  return schedule;
}

Searched anneal(const Qubo& qubo, const Constraint& constraint, const SolverOptions& options,
                Deadline& deadline) {
  if (has_costs(constraint))
    throw InputError("annealing keeps counts, not costs: use the method tabu, or auto");
  EvolveOptions evolve_with = evolve_options(qubo, constraint, options);
  evolve_with.mirrored = is_mirrored(qubo, constraint);
  evolve_with.population = annealed_population(qubo.size());
  draw_near_relaxed_minimum(qubo, constraint, deadline, evolve_with);
  const StructuredProblem problem(qubo);
  MakeImprover make = [&]() -> std::unique_ptr<Improver> {
    if (problem.whole)
      return std::make_unique<Anneal<SparseModel>>(problem, constraint,
                                                   schedule_for<SparseModel>(qubo, options));
    return std::make_unique<Anneal<StructuredModel>>(problem, constraint,
                                                     schedule_for<StructuredModel>(qubo, options));
  };
  return {evolve(make, evolve_with, deadline), "anneal"};
}

Searched tabu(const Qubo& qubo, const Constraint& constraint, const SolverOptions& options,
              Deadline& deadline) {
  const bool costs = has_costs(constraint);
  if (!constraint.groups.empty())
    throw InputError("tabu search keeps one count, not groups: use the method anneal, or auto");
  if (qubo.size() > kLargestDense)
    throw InputError("tabu search keeps whole rows and takes up to " + std::to_string(kLargestDense) +
                     " variables, not " + std::to_string(qubo.size()) +
                     ": use the method anneal (which takes no costs), or fewer variables");
  EvolveOptions evolve_with = evolve_options(qubo, constraint, options);
  evolve_with.mirrored = is_mirrored(qubo, constraint);
  draw_near_relaxed_minimum(qubo, constraint, deadline, evolve_with);
  if (constraint.kind == Constraint::Kind::none && qubo.size() >= kFewParents) evolve_with.population = 8;
  const DenseMatrix matrix(qubo);
  const std::vector<std::int32_t> couplings = costs ? wide_couplings(matrix) : std::vector<std::int32_t>();
  MakeImprover make = [&]() -> std::unique_ptr<Improver> {
    if (costs) return std::make_unique<KnapsackTabu>(matrix, couplings, constraint);
    return std::make_unique<DenseTabu>(matrix, constraint);
  };
  return {evolve(make, evolve_with, deadline), "tabu"};
}

/// Every search by its name: what there is, in one place.
struct Named {
  const char* name;
  Searched (*run)(const Qubo&, const Constraint&, const SolverOptions&, Deadline&);
};
constexpr Named kSearches[] = {{"tabu", tabu}, {"anneal", anneal}};

/// About how long it takes to multiply the couplings out: measured at 10,000 variables.
double dense_seconds(const Qubo& qubo) {
  double rank = 0;
  for (const auto& term : qubo.low_rank()) rank += term.rank;
  return static_cast<double>(qubo.size()) * qubo.size() * (4e-8 + 1e-9 * rank);
}

const char* fitting_search(const Qubo& qubo, const Constraint& constraint, double seconds) {
  const bool large =
      qubo.size() > kLargestDense || (!qubo.low_rank().empty() && dense_seconds(qubo) > seconds);
  const bool counted = constraint.kind != Constraint::Kind::none;
  const bool sparse = qubo.size() > kSmall && density(qubo) < (counted ? kSparseUnderCount : kSparse);
  const bool groups = !constraint.groups.empty();
  return !has_costs(constraint) && (large || sparse || groups) ? "anneal" : "tabu";
}

}  // namespace

std::vector<std::string> portfolio_names() {
  std::vector<std::string> names;
  for (const Named& search : kSearches) names.emplace_back(search.name);
  return names;
}

Searched search(const Qubo& qubo, const Constraint& constraint, const SolverOptions& options,
                Deadline& deadline) {
  const std::string name =
      options.method == "auto" ? fitting_search(qubo, constraint, options.seconds) : options.method;
  const auto* found = std::find_if(std::begin(kSearches), std::end(kSearches),
                                   [&](const Named& s) { return s.name == name; });
  return found->run(qubo, constraint, options, deadline);
}

}  // namespace quboprune
