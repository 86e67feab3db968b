#pragma once

#include <cstdint>
#include <vector>

#include "quboprune/target.h"

namespace quboprune {

/// The error for a target that can't be met with one channel left in each layer: how much can be removed at
/// most, in the target's unit and as a fraction. `least`: the smallest mask there is.
UnmetTarget unmet_target(const ChannelGroups& groups, const Target& target, const Mask& least);
/// The same where `least` keeps just what is fixed at 1.
UnmetTarget unmet_target(const ChannelGroups& groups, const Target& target,
                         const std::vector<std::int8_t>& fixed);

}  // namespace quboprune
