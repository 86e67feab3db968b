#include "solvers/feasible.h"

#include <cmath>

namespace quboprune {

double cost_tolerance(const Constraint& constraint) {
  if (constraint.costs.empty()) return 0;
  const bool exactly = constraint.kind == Constraint::Kind::exactly;
  return (exactly ? 1e-10 : 1e-12) * std::abs(constraint.capacity);
}

bool feasible(const Constraint& constraint, const Mask& x) {
  double spent = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] != 0) spent += constraint.costs.empty() ? 1.0 : constraint.costs[i];
    if (!constraint.fixed.empty() && constraint.fixed[i] >= 0 && x[i] != constraint.fixed[i]) return false;
  }
  for (const Constraint::Group& group : constraint.groups) {
    int ones = 0;
    for (const int i : group.variables) ones += x[static_cast<std::size_t>(i)];
    if (ones < group.least || ones > group.most) return false;
  }
  if (constraint.kind == Constraint::Kind::none) return true;
  const double over = spent - constraint.capacity, tolerance = cost_tolerance(constraint);
  return over <= tolerance && (constraint.kind == Constraint::Kind::at_most || over >= -tolerance);
}

}  // namespace quboprune
