#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ops/base/coupling.h"
#include "ops/base/slicing.h"

namespace quboprune {

/// What is known of the shape that a Reshape asks for, so that it can be stated anew when channels go.
///
/// Exports with open sizes join computed entries and fixed ones by a Concat; only the fixed ones are stated
/// anew. Where it is the shape of another value it follows by itself, as long as both lose the same. Else it
/// takes a list of constants, in which at most one entry may be neither fixed nor a copy of the input's.
struct TargetShape {
  static constexpr std::int64_t kComputed =
      -2;  ///< an entry that each run computes, and surgery leaves alone

  std::vector<std::int64_t> entries;  ///< a size, 0 (copied from the input's axis), -1, or kComputed
  int concat = -1;                    ///< the node that joins the entries, -1: there is none
  int like = -1;                      ///< the value whose shape it is, -1: of none

  bool computed(int axis) const { return entries[static_cast<std::size_t>(axis)] == kComputed; }
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
