#include "solvers/reduced_problem.h"

#include <algorithm>
#include <cmath>

#include "solvers/feasible.h"

namespace quboprune {

ReducedProblem::ReducedProblem(const Qubo& qubo, const Constraint& constraint)
    : fixed_values(static_cast<std::size_t>(qubo.size()), 0),
      offset(qubo.offset()),
      kind(constraint.kind),
      capacity(constraint.capacity) {
  const std::size_t n = fixed_values.size();
  std::vector<double> all, diagonal;
  qubo.to_dense(all, diagonal);
  std::vector<std::size_t> ones;
  for (std::size_t i = 0; i < n; ++i) {
    const int fixed = constraint.fixed.empty() ? -1 : constraint.fixed[i];
    if (fixed < 0) variable.push_back(i);
    if (fixed != 1) continue;
    fixed_values[i] = 1;
    ones.push_back(i);
    capacity -= constraint.costs.empty() ? 1.0 : constraint.costs[i];
  }
  for (std::size_t p = 0; p < ones.size(); ++p) {
    offset += diagonal[ones[p]];
    for (std::size_t q = p + 1; q < ones.size(); ++q) offset += all[ones[p] * n + ones[q]];
  }
  whole_magnitude = std::abs(qubo.offset());
  for (const double v : diagonal) whole_magnitude += std::abs(v);
  for (const double v : all) whole_magnitude += 0.5 * std::abs(v);
  const std::size_t m = variable.size();
  linear.resize(m);
  couplings.assign(m * m, 0.0);
  for (std::size_t p = 0; p < m; ++p) {
    linear[p] = diagonal[variable[p]];
    for (const std::size_t one : ones) linear[p] += all[variable[p] * n + one];
    for (std::size_t q = 0; q < m; ++q) couplings[p * m + q] = all[variable[p] * n + variable[q]];
    if (!constraint.costs.empty()) costs.push_back(constraint.costs[variable[p]]);
  }
  scale_costs(constraint);
  if (!constraint.groups.empty()) add_classes(constraint, n);
  auto is_whole = [](double v) { return v == std::floor(v) && std::abs(v) < 0x1p50; };
  whole = is_whole(offset) && std::all_of(linear.begin(), linear.end(), is_whole) &&
          std::all_of(couplings.begin(), couplings.end(), is_whole);
  for (const double v : linear) magnitude += std::abs(v);
  for (const double v : couplings) magnitude += 0.5 * std::abs(v);
}

/// In units of the largest cost, so that products with values neither overflow nor vanish.
void ReducedProblem::scale_costs(const Constraint& constraint) {
  const double largest = costs.empty() ? 0 : *std::ranges::max_element(costs);
  const double unit = largest > 0 ? largest : 1;
  for (double& cost : costs) cost /= unit;
  if (!costs.empty()) capacity /= unit;
  tolerance = cost_tolerance(constraint) / unit;
  slack = costs.empty() ? 1e-9 : 1e-9 * std::abs(constraint.capacity) / unit;
}

/// The counts of the groups; those of all classes are a capacity that the bounds understand.
void ReducedProblem::add_classes(const Constraint& constraint, std::size_t n) {
  classes = count_classes(constraint, n);
  std::vector<std::uint32_t> place(n, 0);
  for (std::size_t p = 0; p < variable.size(); ++p) place[variable[p]] = static_cast<std::uint32_t>(p);
  int fewest = 0, most = 0;
  for (CountClass& counted : classes) {
    for (std::uint32_t& i : counted.free) i = place[i];
    fewest += counted.fewest;
    most += counted.most;
  }
  kind = fewest == most ? Constraint::Kind::exactly : Constraint::Kind::at_most;
  capacity = most;
}

Mask ReducedProblem::expand(const Mask& x) const {
  Mask full = fixed_values;
  for (std::size_t p = 0; p < x.size(); ++p) full[variable[p]] = x[p];
  return full;
}

}  // namespace quboprune
