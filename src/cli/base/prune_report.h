#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/base/prune_session.h"

namespace quboprune {

/// Parts of a report (docs/report.md) that commands which cut a network share.
///
/// "tool", "command", "arguments", "seed", "model" and, with data, "data".
nlohmann::json report_header(const PruneSession& session, const std::string& command);
/// "target": what was asked for.
nlohmann::json target_json(const Target& target);
/// "result": sizes, and the metric of each stage on both parts.
nlohmann::json result_json(PruneSession& session, const Mask& mask, const PruneSession::Outcome& outcome);
/// "layers": which channels are kept.
nlohmann::json layers_json(const ChannelGroups& groups, const Mask& mask);
/// "removed" of a mask that wasn't chosen here: the groups and their members.
nlohmann::json removed_groups_json(const ChannelGroups& groups, const Mask& mask);
/// "removed": each removed group's importance, and the kept groups that resemble it.
nlohmann::json removed_json(PruneSession& session, const Choice& choice);
/// "images" for the page: held-out ones before and after.
nlohmann::json images_json(const PruneSession& session, const PruneSession::Outcome& outcome);
/// "latency" of a network that was written, beside the original in ONNX Runtime. Empty where that isn't at
/// hand, where work was stopped, or where it couldn't time both, which is noted. One that it runs the
/// original of, but not this, is what PruneSession::unusable() then says.
nlohmann::json latency_json(PruneSession& session, const std::string& written);
/// Notes a target so small that it rounds to nothing.
void say_nothing_removed(PruneSession& session, const Mask& mask);
/// Adds how the mask was found and what speaks for it: "solver", "tried", "trust", "trust_points", "reason",
/// "refinement" (by the method `refine`).
void add_choice(nlohmann::json& report, const PruneSession& session, const Choice& choice,
                const std::string& refine);
/// Adds "notes", a stop among them, and "stages".
void finish_report(nlohmann::json& report, PruneSession& session);
/// For the end, when everything was written and printed: throws InternalError with what unusable() says.
void fail_if_unusable(const PruneSession& session);

}  // namespace quboprune
