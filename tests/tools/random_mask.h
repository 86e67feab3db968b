#pragma once

#include "quboprune/channel_groups.h"
#include "quboprune/random.h"

namespace quboprune {

/// Removes about `fraction` of the groups at random, never the last of an axis.
inline Mask random_mask(const ChannelGroups& groups, double fraction, std::uint64_t seed) {
  Rng rng(seed);
  Mask mask(static_cast<std::size_t>(groups.size()), 1);
  for (auto& bit : mask) bit = rng.uniform() < fraction ? 0 : 1;
  for (const auto& cover : groups.cost().covers()) {
    bool any = false;
    for (int g : cover) any = any || mask[static_cast<std::size_t>(g)] != 0;
    if (!any) mask[static_cast<std::size_t>(cover[rng.below(static_cast<std::uint32_t>(cover.size()))])] = 1;
  }
  return mask;
}

}  // namespace quboprune
