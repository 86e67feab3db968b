#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "coupling/branches.h"

namespace quboprune {

/// In the sliced graph, replaces what is left of emptied branches by constants: each node that adds such a
/// rest to something that stays reads a constant instead. The branch's own nodes stay behind unread
/// (without_dead_branches() drops them). `size`: of an axis of a value, after slicing.
void fold_branches(const ChannelGroups& groups, const std::vector<Fate>& fates, Graph& sliced,
                   const std::function<std::int64_t(int value, int axis)>& size);

}  // namespace quboprune
