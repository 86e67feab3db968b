#pragma once

#include "quboprune/constraint.h"
#include "quboprune/mask.h"

namespace quboprune {

/// Whether x (of as many entries as the constraint's problem) obeys it: counts exactly, sums of costs up to
/// their rounding.
bool feasible(const Constraint& constraint, const Mask& x);

}  // namespace quboprune
