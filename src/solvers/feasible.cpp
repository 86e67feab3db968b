#include "solvers/feasible.h"

#include <algorithm>
#include <cmath>

namespace quboprune {

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
  const double rounding = constraint.costs.empty() ? 0 : 1e-12 * std::abs(constraint.capacity);
  if (constraint.kind == Constraint::Kind::exactly) return std::abs(spent - constraint.capacity) <= rounding;
  return spent <= constraint.capacity + rounding;
}

}  // namespace quboprune
