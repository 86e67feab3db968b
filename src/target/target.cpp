#include "quboprune/target.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/clock.h"
#include "core/index.h"
#include "quboprune/error.h"
#include "target/fit_cost.h"
#include "target/in_order.h"
#include "target/unmet_target.h"

namespace quboprune {
namespace {

SolverResult as_result(const Qubo& qubo, Mask x, const std::string& method) {
  SolverResult result;
  result.pool.push_back({x, qubo.energy(x)});
  result.method = method;
  result.reason = "done";
  return result;
}

constexpr double kFurthest = 1e12;  // multipliers, in typical slopes

/// The largest change of the energy that a variable makes where none or all are kept: the unit of
/// multipliers.
double typical_slope(const Qubo& qubo) {
  double largest = 0;
  for (const auto kept : {std::uint8_t{0}, std::uint8_t{1}}) {
    for (const double slope : qubo.slopes(Mask(at_index(qubo.size()), kept)))
      largest = std::max(largest, std::abs(slope));
  }
  return largest > 0 ? largest : 1;
}

/// Removes in ascending importance until the cost fits, as greedy methods do; then what was removed last for
/// more than was asked comes back, the most important first, as long as it fits.
SolverResult sort_and_cut(const Formulation& f, const ChannelGroups& groups, const Target& target,
                          const std::vector<std::int8_t>& fixed) {
  const std::vector<int> order = least_important_first(f.importance);
  Mask mask(f.importance.size(), 1);
  take_out(
      groups, target, order, [&](int g, const Mask&) { return fixed[at_index(g)] != 1; }, mask);
  if (groups.cost().value(target.kind, mask) > allowance(groups, target))
    throw unmet_target(groups, target, mask);
  put_back(groups, target, order, mask);
  return as_result(f.qubo, std::move(mask), "sort and cut");
}

/// How many are kept. Throws UnmetTarget where more are guarded.
int attainable_count(const ChannelGroups& groups, const Target& target,
                     const std::vector<std::int8_t>& fixed) {
  const int count = static_cast<int>(allowance(groups, target));
  if (count < static_cast<int>(std::count(fixed.begin(), fixed.end(), 1)))
    throw unmet_target(groups, target, fixed);
  return count;
}

SolverResult exactly(const Formulation& f, const ChannelGroups& groups, const Target& target,
                     const std::vector<std::int8_t>& fixed, const SolverOptions& options, CapacityMode mode,
                     const Control& control) {
  const int count = attainable_count(groups, target, fixed);
  if (mode == CapacityMode::bisect) {
    const BisectResult found = bisect_capacity(f.qubo, count, fixed, options, control);
    SolverResult result = as_result(f.qubo, found.x, "bisect");
    result.seconds = found.seconds;
    result.moves = found.moves;
    result.reason = found.reached       ? "a multiplier gives the count"
                    : control.stopped() ? "stopped"
                    : found.out_of_time ? "time"
                                        : "no multiplier gives the count: repaired";
    return result;
  }
  return solve(f.qubo, {Constraint::Kind::exactly, static_cast<double>(count), {}, fixed}, options, control);
}

/// The baseline as published: the penalty alone holds the count, and what it misses is cut or added by the
/// norm.
SolverResult penalised(const Formulation& f, const ChannelGroups& groups, const Target& target,
                       const std::vector<std::int8_t>& fixed, const SolverOptions& options,
                       const Control& control) {
  if (target.kind != Cost::filters) return sort_and_cut(f, groups, target, fixed);
  const int count = attainable_count(groups, target, fixed);
  SolverResult result = solve(f.qubo, {Constraint::Kind::none, 0, {}, fixed}, options, control);
  change_pool(
      result, f.qubo, [&](Mask& mask) { repair_count(f.qubo, mask, count, fixed); },
      "the penalty missed the count: repaired");
  return result;
}

}  // namespace

Target target_from_text(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos)
    throw InputError("target '" + text + "': write KIND=FRACTION, as filters=0.36");
  Target target;
  target.kind = cost_from_name(text.substr(0, equals));
  std::size_t used = 0;
  const std::string number = text.substr(equals + 1);
  try {
    target.removed = std::stod(number, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != number.size() || !(target.removed > 0) || !(target.removed < 1)) {
    throw InputError("target '" + text +
                     "': the fraction removed must be a number between 0 and 1, both excluded");
  }
  return target;
}

double allowance(const ChannelGroups& groups, const Target& target) {
  if (target.kind == Cost::filters) return groups.size() - std::round(target.removed * groups.size());
  return (1 - target.removed) * groups.cost().value(target.kind, Mask(at_index(groups.size()), 1));
}

std::vector<std::int8_t> guard_layers(const ChannelGroups& groups, const std::vector<double>& importance) {
  if (static_cast<int>(importance.size()) != groups.size())
    throw InputError(fmt::format("{} importances for {} groups", importance.size(), groups.size()));
  std::vector<std::int8_t> fixed(at_index(groups.size()), -1);
  auto covers = groups.covers();
  // Small sets first: what they must keep may serve the larger ones that hold them.
  std::stable_sort(covers.begin(), covers.end(),
                   [](const auto& a, const auto& b) { return a.size() < b.size(); });
  for (const auto& set : covers) {
    if (std::any_of(set.begin(), set.end(), [&](int g) { return fixed[at_index(g)] == 1; })) continue;
    const int best = *std::max_element(set.begin(), set.end(), [&](int a, int b) {
      return importance[at_index(a)] < importance[at_index(b)];
    });
    fixed[at_index(best)] = 1;
  }
  return fixed;
}

SolverResult solve_at_target(const Formulation& f, const ChannelGroups& groups, const Target& target,
                             const SolverOptions& options, CapacityMode mode, const Control& control) {
  if (groups.size() == 0)
    throw InputError("nothing in this network can be pruned; quboprune inspect says why");
  if (f.solving == Solving::given) return as_result(f.qubo, f.mask, "elimination");
  const auto fixed = guard_layers(groups, f.importance);
  if (f.solving == Solving::unbounded) return penalised(f, groups, target, fixed, options, control);
  if (f.solving != Solving::search) return sort_and_cut(f, groups, target, fixed);
  if (target.kind == Cost::filters) return exactly(f, groups, target, fixed, options, mode, control);
  return fit_cost(f, groups, target, fixed, options, control);
}

BisectResult bisect_capacity(const Qubo& qubo, int count, const std::vector<std::int8_t>& fixed,
                             const SolverOptions& options, const Control& control) {
  BisectResult best;
  const double unit = typical_slope(qubo);
  double low = -unit;  // multiplier that keeps too few
  double high = unit;  // and one that keeps too many
  const auto solve_with = [&](double m) {
    Qubo shifted = qubo;
    for (int i = 0; i < qubo.size(); ++i) shifted.add_linear(i, -m);
    SolverOptions each = options;
    each.pool_size = 1;
    each.seconds = options.seconds / 20;
    each.target_energy = SolverOptions{}.target_energy;  // the caller's is without the multiplier
    each.bound = false;
    ++best.solves;
    const SolverResult solved = solve(shifted, {Constraint::Kind::none, 0, {}, fixed}, each, control);
    best.moves += solved.moves;
    return solved.pool.front().x;
  };
  const auto start = std::chrono::steady_clock::now();
  const auto goes_on = [&] { return seconds_since(start) < options.seconds && !control.stopped(); };
  Mask few = solve_with(low);
  while (kept_count(few) > count && low > -kFurthest * unit && goes_on()) few = solve_with(low *= 4);
  Mask many = solve_with(high);
  while (kept_count(many) < count && high < kFurthest * unit && goes_on()) many = solve_with(high *= 4);
  for (int k = 0; k < 40 && kept_count(few) != count && kept_count(many) != count && goes_on(); ++k) {
    const double middle = 0.5 * (low + high);
    const Mask x = solve_with(middle);
    (kept_count(x) <= count ? few : many) = x;
    (kept_count(x) <= count ? low : high) = middle;
  }
  best.out_of_time = !goes_on();
  best.reached = kept_count(few) == count || kept_count(many) == count;
  best.multiplier = kept_count(few) == count ? low : high;
  Mask other = many;
  best.x = few;
  repair_count(qubo, best.x, count, fixed);
  repair_count(qubo, other, count, fixed);
  if (qubo.energy(other) < qubo.energy(best.x)) best.x = other;
  best.energy = qubo.energy(best.x);
  best.seconds = seconds_since(start);
  return best;
}

}  // namespace quboprune
