#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "quboprune/channel_groups.h"

namespace quboprune {

/// What `prune --plan` wrote, perhaps edited since. Throws InputError if it isn't a plan.
nlohmann::json read_plan(const std::string& path);

/// The mask that a plan's "removed" list describes, by any member of each group. Throws InputError naming
/// `path` where the network has no such group.
Mask mask_of(const nlohmann::json& plan, const std::string& path, const ChannelGroups& groups);

}  // namespace quboprune
