#pragma once

#include "quboprune/target.h"

namespace quboprune {

/// A mask whose layers (groups by the layer that first produces them; halves that are split off apart) keep
/// multiples of `multiple` channels, the frozen ones counted in, or all, at the same target. How many each
/// layer keeps is chosen to cost least energy in all, by dynamic programming for filters and by best ratio
/// for parameters and MACs; within a layer those with the largest fields stay. Never empties a layer.
/// Filters: exactly the target where multiples can make it, the largest count below it otherwise. Throws
/// InputError if even the smallest counts are above it.
Mask rounded(const Mask& mask, const Qubo& qubo, const ChannelGroups& groups, const Target& target,
             int multiple);

}  // namespace quboprune
