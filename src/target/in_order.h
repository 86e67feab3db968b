#pragma once

#include <functional>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/target.h"

// Masks by an order of the groups alone, as greedy methods make them.
namespace quboprune {

/// The groups' numbers, the least important first; of equals as they are numbered.
std::vector<int> least_important_first(const std::vector<double>& importance);

/// Takes groups out, the first of `order` first, until the target is met or none is left that may go.
/// may_go(group, mask): asked of a kept group.
void take_out(const ChannelGroups& groups, const Target& target, const std::vector<int>& order,
              const std::function<bool(int, const Mask&)>& may_go, Mask& mask);

/// Puts back what still fits, the last of `order` first; a count is so made exact.
void put_back(const ChannelGroups& groups, const Target& target, const std::vector<int>& order, Mask& mask);

}  // namespace quboprune
