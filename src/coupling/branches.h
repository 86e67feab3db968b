#pragma once

#include <optional>
#include <vector>

#include "quboprune/channel_groups.h"

namespace quboprune {

/// What becomes of a value when all channels of some axis have gone.
enum class Fate : char {
  live,     ///< it stays
  nothing,  ///< an axis of it is empty
  folded    ///< it is computed from nothing and constants: the same for every input and position
};

/// By value, when the groups marked in `gone` are removed, all of them. Nothing where the network can't do
/// without: what is left of a branch must be added (or multiplied) to something that stays.
///
///     h ─┬─ Conv ─ Relu ─ Conv ─ BatchNorm ─┬─ Add        h ─── Add
///        └──────────────────────────────────┘    becomes        bias
std::optional<std::vector<Fate>> fates(const ChannelGroups& groups, const std::vector<char>& gone);

/// What becomes of each value without the branches() that a mask removes as a whole; empty where it removes
/// none. Throws InputError where the network can't do without them.
std::vector<Fate> fates_of(const ChannelGroups& groups, const Mask& mask);

/// The mask without what nothing reads any more where it empties a branch: of three layers in a row both
/// widths between them go, as all three layers do. Such masks may empty covers().
Mask with_whole_branches(const ChannelGroups& groups, Mask mask);

/// Sets of groups that may all go, any of the sets or all together: the inner channels of residual branches.
std::vector<std::vector<int>> removable_branches(const ChannelGroups& groups);

}  // namespace quboprune
