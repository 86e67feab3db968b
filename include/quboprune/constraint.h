#pragma once

#include <cstdint>
#include <vector>

namespace quboprune {

/// What a solution must obey. The solvers search only among such solutions: no penalty terms.
///
/// exactly: the sum of costs[i] over the kept i is the capacity; at_most: it is not above it.
struct Constraint {
  enum class Kind { none, exactly, at_most };
  Kind kind = Kind::none;
  double capacity = 0;               ///< K, or C when costs are given
  std::vector<double> costs{};       ///< n, each >= 0; empty: every variable costs 1 (a cardinality)
  std::vector<std::int8_t> fixed{};  ///< empty, or n entries: -1 free, 0 or 1 fixed
  /// Of `variables`, `least` to `most` are 1. Groups don't overlap, and stand beside `kind`; not with costs.
  struct Group {
    std::vector<int> variables;
    int least = 0, most = 0;
  };
  std::vector<Group> groups{};
};

}  // namespace quboprune
