#pragma once

#include <vector>

#include "quboprune/constraint.h"
#include "quboprune/qubo.h"
#include "solvers/improver.h"

namespace quboprune {

/// Where a convex E (is_convex()) comes near its least over 0 <= x <= 1, under the relaxed constraint: n real
/// numbers, fixed ones as they are fixed. The minimum lies where at most rank + 1 are between 0 and 1, so the
/// others say much of where good solutions are. At most `steps` steps of O(rank · n), fewer where they no
/// longer change anything or `share` of the time left is over. Not for groups.
/// Source: accelerated projected gradient (Beck and Teboulle 2009) with restarts (O'Donoghue and Candès
/// 2015); that solutions are searched around it is ours.
std::vector<double> relaxed_minimum(const Qubo& qubo, const Constraint& constraint, int steps, double share,
                                    const Deadline& deadline);

}  // namespace quboprune
