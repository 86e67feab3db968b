#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "quboprune/channel_groups.h"

namespace quboprune {

/// What `prune --plan` wrote, perhaps edited since. Throws InputError if it isn't a plan.
nlohmann::json read_plan(const std::string& path);

/// Of the file that the plan was made for; empty where it doesn't say.
std::string sha256_of_model(const nlohmann::json& plan);

/// "analysis": by which of these options the plan's groups came about.
nlohmann::json analysis_json(const AnalyseOptions& options);

/// Has the plan's network analysed as it was for the plan: takes its options where `options` has none of its
/// own. Throws InputError naming `path` where the plan's aren't such.
void take_up_analysis(const nlohmann::json& plan, const std::string& path, AnalyseOptions& options);

/// Adds what tells later which of the plan's two lists, "removed" and "layers", was edited.
void sign_plan(nlohmann::json& plan);

/// The mask that a plan describes: by its "removed" list, any member of each group, unless only its "layers"
/// were edited: then by their kept_indices. Throws InputError naming `path` where the network has no such
/// group, layer or channel, or where both lists were edited, or the layers among themselves, into a
/// contradiction.
Mask mask_of(const nlohmann::json& plan, const std::string& path, const ChannelGroups& groups);

}  // namespace quboprune
