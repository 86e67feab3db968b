#include "target/fit_cost.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/clock.h"
#include "core/index.h"
#include "quboprune/error.h"
#include "target/unmet_target.h"

namespace quboprune {
namespace {

/// What keeping one more variable, or one less, changes.
class Fields {
 public:
  Fields(const StructuredProblem& problem, const Mask& x) : model_(problem) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (x[i] != 0) model_.flip(i);
    }
  }
  /// E(kept) - E(removed) for variable i, the others as they are.
  double operator[](int i) const {
    const double gain = model_.gain(at_index(i));
    return mask()[at_index(i)] != 0 ? -gain : gain;
  }
  void set(int i, bool kept) {
    if ((mask()[at_index(i)] != 0) != kept) model_.flip(at_index(i));
  }
  const Mask& mask() const { return model_.x(); }

 private:
  StructuredModel model_;
};

double cost_of(const Mask& x, const std::vector<double>& costs) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] != 0 ? costs[i] : 0;
  return sum;
}

/// Under a linear cost, where the problem is too large for a search that keeps costs: a price on the cost,
/// halved towards the capacity. Solutions may lie above it.
SolverResult solve_by_price(const Qubo& qubo, const Constraint& constraint, const SolverOptions& options,
                            const Control& control) {
  constexpr int kPrices = 8;
  double low = 0, high = 0;  // at most what a unit of cost is worth to the dearest of the start's neighbours
  const std::vector<double> slopes = qubo.slopes(options.start);
  for (std::size_t i = 0; i < slopes.size(); ++i)
    if (constraint.costs[i] > 0) high = std::max(high, 2 * std::abs(slopes[i]) / constraint.costs[i]);
  SolverOptions each = options;
  each.seconds = options.seconds / kPrices;
  SolverResult result;
  for (int k = 0; k < kPrices && !control.stopped(); ++k) {
    const double price = k == 0 ? high / 4 : 0.5 * (low + high);
    Qubo priced = qubo;
    for (int i = 0; i < qubo.size(); ++i) priced.add_linear(i, price * constraint.costs[at_index(i)]);
    SolverResult solved = solve(priced, {Constraint::Kind::none, 0, {}, constraint.fixed}, each, control);
    result.moves += solved.moves;
    (cost_of(solved.pool.front().x, constraint.costs) > constraint.capacity ? low : high) = price;
    result.pool.push_back(std::move(solved.pool.front()));
  }
  return result;
}

/// The most that one step of a long way may change before marginal costs are taken anew.
constexpr double kStep = 0.02;

void shed(Fields& fields, const ChannelGroups& groups, Cost kind, double allowed,
          const std::vector<std::int8_t>& fixed) {
  const auto& cost = groups.cost();
  double now = cost.value(kind, fields.mask());
  while (now > allowed) {
    const auto marginal = cost.marginals(kind, fields.mask());
    std::vector<std::pair<double, int>> order;  // energy lost for cost saved
    for (int g = 0; g < groups.size(); ++g) {
      if (fields.mask()[at_index(g)] == 0 || fixed[at_index(g)] == 1) continue;
      order.push_back({-fields[g] / std::max(marginal[at_index(g)], 1e-9), g});
    }
    if (order.empty()) return;
    std::sort(order.begin(), order.end());
    const double step = std::max(0.0, std::min(kStep * now, now - allowed));
    double saved = 0;
    for (const auto& [ratio, g] : order) {
      fields.set(g, false);
      saved += marginal[at_index(g)];
      if (saved >= step) break;
    }
    now = cost.value(kind, fields.mask());
  }
}

void refill(Fields& fields, const ChannelGroups& groups, Cost kind, double allowed,
            const std::vector<std::int8_t>& fixed) {
  const auto& cost = groups.cost();
  double now = cost.value(kind, fields.mask());
  for (;;) {
    const auto marginal = cost.marginals(kind, fields.mask());
    int best = -1;
    double best_ratio = -INFINITY;
    for (int g = 0; g < groups.size(); ++g) {
      if (fields.mask()[at_index(g)] != 0 || fixed[at_index(g)] == 0 || now + marginal[at_index(g)] > allowed)
        continue;
      const double ratio = -fields[g] / std::max(marginal[at_index(g)], 1e-9);
      if (ratio > best_ratio) {
        best_ratio = ratio;
        best = g;
      }
    }
    if (best < 0) return;  // "the largest not above the target": what fits is taken, gain or not
    fields.set(best, true);
    now = cost.value(kind, fields.mask());
  }
}

}  // namespace

void repair_count(const Qubo& qubo, Mask& x, int count, const std::vector<std::int8_t>& fixed) {
  if (kept_count(x) == count) return;
  const StructuredProblem problem(qubo);
  Fields fields(problem, x);
  while (kept_count(fields.mask()) != count) {
    const bool add = kept_count(fields.mask()) < count;
    int best = -1;
    for (int i = 0; i < qubo.size(); ++i) {
      const bool kept = fields.mask()[at_index(i)] != 0;
      if (kept == add || (!fixed.empty() && fixed[at_index(i)] >= 0)) continue;
      if (best < 0 || (add ? fields[i] < fields[best] : fields[i] > fields[best])) best = i;
    }
    if (best < 0) throw InputError("the target can't be met: too many channels are fixed; ask for less");
    fields.set(best, add);
  }
  x = fields.mask();
}

CostFitter::CostFitter(const Qubo& qubo, const ChannelGroups& groups, Cost kind, double allowed,
                       std::vector<std::int8_t> fixed)
    : qubo_(qubo),
      problem_(qubo_),
      groups_(groups),
      kind_(kind),
      allowed_(allowed),
      fixed_(std::move(fixed)) {}

bool CostFitter::fit(Mask& mask, const std::vector<std::int8_t>& fixed) const {
  for (std::size_t g = 0; g < mask.size(); ++g) {
    if (fixed[g] >= 0) mask[g] = static_cast<std::uint8_t>(fixed[g]);
  }
  Fields fields(problem_, mask);
  shed(fields, groups_, kind_, allowed_, fixed);
  if (groups_.cost().value(kind_, fields.mask()) > allowed_) return false;
  refill(fields, groups_, kind_, allowed_, fixed);
  mask = fields.mask();
  return true;
}

void CostFitter::exchange(Solution& solution) const {
  constexpr std::size_t kMostVariables = 64;
  constexpr int kSweeps = 8;
  const std::size_t n = solution.x.size();
  if (n > kMostVariables) return;
  const auto improved = [&](const std::vector<std::size_t>& turned) {
    std::vector<std::int8_t> held = fixed_;
    for (const std::size_t g : turned) held[g] = solution.x[g] != 0 ? 0 : 1;
    Mask other = solution.x;
    if (!fit(other, held)) return false;
    // What is held out only keeps its place free for others: it may come back where they leave room.
    fit(other);
    const double energy = qubo_.energy(other);
    if (!(energy < solution.energy - 1e-12 * std::abs(solution.energy))) return false;
    solution = {std::move(other), energy};
    return true;
  };
  bool better = true;
  for (int sweep = 0; better && sweep < kSweeps; ++sweep) {
    better = false;
    for (std::size_t g = 0; g < n; ++g) {
      if (fixed_[g] >= 0) continue;
      better = improved({g}) || better;
      for (std::size_t h = 0; h < g; ++h)
        if (fixed_[h] < 0) better = improved({g, h}) || better;
    }
  }
}

SolverResult fit_cost(const Formulation& f, const ChannelGroups& groups, const Target& target,
                      const std::vector<std::int8_t>& fixed, const SolverOptions& options,
                      const Control& control) {
  const double allowed = allowance(groups, target);
  SolverResult result;
  result.method = "linearised cost";
  const auto start = std::chrono::steady_clock::now();
  std::vector<Solution> found;
  Mask mask(at_index(groups.size()), 1);
  const CostFitter fitter(f.qubo, groups, target.kind, allowed, fixed);
  if (!fitter.fit(mask)) throw unmet_target(groups, target, fixed);
  found.push_back({mask, f.qubo.energy(mask)});
  constexpr int kRounds = 4;
  for (int round = 0; round < kRounds && !control.stopped(); ++round) {
    // Around the best mask so far the cost is linear: its marginals, with a capacity that it uses up exactly.
    const Solution best = *std::min_element(found.begin(), found.end(),
                                            [](const auto& a, const auto& b) { return a.energy < b.energy; });
    Constraint constraint{Constraint::Kind::at_most, 0, groups.cost().marginals(target.kind, best.x), fixed};
    constraint.capacity = cost_of(best.x, constraint.costs);
    SolverOptions each = options;
    each.seconds = options.seconds / kRounds;
    each.start = best.x;
    const std::size_t before = found.size();
    const auto search = f.qubo.size() <= kMostVariablesWithCosts ? solve : solve_by_price;
    const SolverResult solved = search(f.qubo, constraint, each, control);
    result.moves += solved.moves;
    for (const auto& solution : solved.pool) {
      Mask fitted = solution.x;
      if (fitter.fit(fitted)) found.push_back({fitted, f.qubo.energy(fitted)});
    }
    if (found.size() == before) break;  // stopped before it had anything
    const double improved = std::min_element(found.begin() + static_cast<std::ptrdiff_t>(before), found.end(),
                                             [](const auto& a, const auto& b) { return a.energy < b.energy; })
                                ->energy;
    if (!(improved < best.energy - 1e-9 * std::abs(best.energy))) break;
  }
  for (auto& solution : found) {
    if (control.stopped()) break;
    fitter.exchange(solution);
  }
  result.reason = control.stopped() ? "stopped" : "done";
  result.seconds = seconds_since(start);
  best_first(found);
  found.resize(std::min(found.size(), at_index(std::max(1, options.pool_size))));
  result.pool = std::move(found);
  return result;
}

}  // namespace quboprune
