#pragma once

#include <optional>

#include "ops/base/coupling.h"
#include "ops/base/size_list.h"
#include "ops/base/slicing.h"

namespace quboprune {

/// What is known of the shape that a Reshape asks for, so that it can be stated anew when channels go: a list
/// that a Concat joins; the shape of another value, which follows by itself as long as both lose the same;
/// constants, in which at most one entry may be neither fixed nor a copy of the input's; or else what a run
/// computes, where coupling/size_flow.cpp keeps the channels that it doesn't follow.
struct TargetShape {
  SizeList
      list;  ///< entries: a size, 0 (copied from the input's axis), -1, or computed; concat -1: constants
  int like = -1;  ///< the value whose shape it is, -1: of none

  bool computed(int axis) const { return list.computed(axis); }
};

/// Nothing where the shape can't be stated for other numbers of channels. The output's labels must be there.
std::optional<TargetShape> target_shape(const Node& reshape, const Coupling& coupling);

/// Ties the labels of all values that have this shape by way of one list of sizes.
void tie_same_shapes(const Node& reshape, const TargetShape& shape, Coupling& coupling);

/// Do other Reshapes read the same computed shape? One that says its own by constants must then do so: what
/// it read may be stated anew for the others.
bool shares_shape(const Node& reshape, const Coupling& coupling);

/// States the shape for what is left of the output's axes.
void restate_shape(const Node& reshape, const TargetShape& shape, Slicing& slicing);

}  // namespace quboprune
