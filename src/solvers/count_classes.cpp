#include "solvers/count_classes.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "quboprune/error.h"

namespace quboprune {
namespace {

/// Per variable its group's place plus one; 0: in none.
std::vector<std::size_t> group_of(const Constraint& constraint, std::size_t n) {
  std::vector<std::size_t> group(n, 0);
  for (std::size_t g = 0; g < constraint.groups.size(); ++g)
    for (const int i : constraint.groups[g].variables) {
      if (i < 0 || static_cast<std::size_t>(i) >= n)
        throw InputError("a group names variable " + std::to_string(i) + ": they go from 0 to " +
                         std::to_string(n - 1));
      auto& place = group[static_cast<std::size_t>(i)];
      if (place != 0)
        throw InputError("variable " + std::to_string(i) +
                         " is named twice in groups: groups must not overlap, so merge or split them");
      place = g + 1;
    }
  return group;
}

/// What the count of all variables leaves for those in no group.
void limit_the_rest(const Constraint& constraint, CountClass& rest) {
  if (constraint.kind == Constraint::Kind::none) return;
  const double n = 0x1p30;
  const double capacity = std::clamp(constraint.capacity, -1.0, n);
  rest.most = static_cast<int>(std::floor(capacity + 1e-9));
  for (const Constraint::Group& group : constraint.groups) {
    if (group.least != group.most)
      throw InputError("a count of all variables beside a group of " + std::to_string(group.least) + " to " +
                       std::to_string(group.most) +
                       ": give that group an exact count, or leave the other out");
    rest.most -= group.most;
  }
  if (constraint.kind == Constraint::Kind::exactly) rest.fewest = rest.most;
}

void require_possible(const CountClass& counted, int least, int most, int fixed_ones) {
  const int free = static_cast<int>(counted.free.size());
  if (counted.fewest <= free && counted.most >= 0 && counted.fewest <= counted.most) return;
  throw InputError("no selection has " + std::to_string(least) + " to " + std::to_string(most) + " of " +
                   std::to_string(free + fixed_ones) + " counted variables, of which " +
                   std::to_string(fixed_ones) + " can only be 1: change the count or free fixed variables");
}

}  // namespace

std::vector<CountClass> count_classes(const Constraint& constraint, std::size_t n) {
  const std::vector<std::size_t> group = group_of(constraint, n);
  std::vector<CountClass> classes(constraint.groups.size() + 1);
  classes[0].most = static_cast<int>(n);
  limit_the_rest(constraint, classes[0]);
  for (std::size_t g = 0; g < constraint.groups.size(); ++g) {
    classes[g + 1].fewest = constraint.groups[g].least;
    classes[g + 1].most = constraint.groups[g].most;
  }
  std::vector<int> fixed_ones(classes.size(), 0);
  for (std::size_t i = 0; i < n; ++i) {
    const int fixed = constraint.fixed.empty() ? -1 : constraint.fixed[i];
    if (fixed < 0) classes[group[i]].free.push_back(static_cast<std::uint32_t>(i));
    if (fixed == 1) ++fixed_ones[group[i]];
  }
  for (std::size_t c = 0; c < classes.size(); ++c) {
    CountClass& counted = classes[c];
    const int least = counted.fewest, most = counted.most;
    counted.fewest = std::max(0, least - fixed_ones[c]);
    counted.most = std::min(most - fixed_ones[c], static_cast<int>(counted.free.size()));
    require_possible(counted, least, most, fixed_ones[c]);
  }
  return classes;
}

}  // namespace quboprune
