#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "quboprune/channel_groups.h"

namespace quboprune {

/// What `prune --plan` wrote, perhaps edited since. Throws InputError if it isn't a plan.
nlohmann::json read_plan(const std::string& path);

/// Of the file that the plan was made for; empty where it doesn't say.
std::string sha256_of_model(const nlohmann::json& plan);

/// Adds what tells later which of the plan's two lists, "removed" and "layers", was edited.
void sign_plan(nlohmann::json& plan);

/// The mask that a plan describes: by its "removed" list, any member of each group, unless only its "layers"
/// were edited: then by their kept_indices. Throws InputError naming `path` where the network has no such
/// group, layer or channel, or where both lists were edited, or the layers among themselves, into a
/// contradiction.
Mask mask_of(const nlohmann::json& plan, const std::string& path, const ChannelGroups& groups);

}  // namespace quboprune
