#include "solvers/separable.h"

#include <algorithm>

namespace quboprune {

bool is_separable(const Qubo& qubo, const Constraint& constraint) {
  if (!constraint.costs.empty() || !constraint.groups.empty() || !qubo.low_rank().empty()) return false;
  bool none = true;
  qubo.for_each_coupling([&](int, int, double value) { none = none && value == 0; });
  return none;
}

SolverResult solve_separable(const Qubo& qubo, const Constraint& constraint) {
  const auto n = static_cast<std::size_t>(qubo.size());
  const auto linear = qubo.linear();
  Mask x(n, 0);
  std::vector<std::size_t> open;
  std::size_t ones = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const int fixed = constraint.fixed.empty() ? -1 : constraint.fixed[i];
    if (fixed < 0) open.push_back(i);
    if (fixed == 1) x[i] = 1, ++ones;
  }
  std::sort(open.begin(), open.end(), [&](std::size_t a, std::size_t b) {
    return linear[a] != linear[b] ? linear[a] < linear[b] : a < b;
  });
  // As many as are worth having, as far as the count goes.
  const auto worth = static_cast<std::size_t>(
      std::count_if(open.begin(), open.end(), [&](std::size_t i) { return linear[i] < 0; }));
  std::size_t taken = worth;
  if (constraint.kind != Constraint::Kind::none) {
    const auto room =
        static_cast<std::size_t>(std::max(0.0, constraint.capacity - static_cast<double>(ones)));
    taken = constraint.kind == Constraint::Kind::exactly ? room : std::min(worth, room);
  }
  for (std::size_t k = 0; k < taken; ++k) x[open[k]] = 1;
  // What is exactly as good could stand in another's place: a tie at the border, or worth nothing either way.
  const bool border = taken > 0 && taken < open.size() && linear[open[taken - 1]] == linear[open[taken]];
  SolverResult result;
  result.persistent.assign(n, -1);
  for (std::size_t k = 0; k < open.size(); ++k) {
    const double value = linear[open[k]];
    const bool idle = constraint.kind != Constraint::Kind::exactly && value == 0;
    const bool tied = border && value == linear[open[taken]];
    if (!idle && !tied) result.persistent[open[k]] = static_cast<std::int8_t>(k < taken ? 1 : 0);
  }
  result.bound = qubo.energy(x);
  result.pool.push_back({std::move(x), result.bound});
  result.optimal = true;
  result.method = "sorting";
  result.reason = "optimal";
  return result;
}

}  // namespace quboprune
