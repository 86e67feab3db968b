#pragma once

#include "quboprune/constraint.h"
#include "quboprune/mask.h"

namespace quboprune {

/// How far a sum of costs may be above its limit by rounding, or off an exact total and still meet it: a
/// 10^-12 and a 10^-10 of it. The latter is less than one unit of whole costs below 2^31 in sum. 0 for
/// counts.
double cost_tolerance(const Constraint& constraint);

/// Whether x (of as many entries as the constraint's problem) obeys it: counts exactly, sums of costs up to
/// cost_tolerance().
bool feasible(const Constraint& constraint, const Mask& x);

}  // namespace quboprune
