#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/base/prune_session.h"

namespace quboprune {

/// One of a report's several networks (of compare's "methods", of sweep's "budgets"): "name", "objective",
/// "rounds", "round_to", "result", "layers", "equivalence", and how the mask was found (add_choice()).
nlohmann::json network_entry(PruneSession& session, const std::string& name, const Choice& choice,
                             const PruneSession::Outcome& outcome, const std::string& refine);

/// Writes the network and times it: "latency" of the entry, where that can be had.
void write_network(nlohmann::json& entry, PruneSession& session, const std::string& path,
                   const PruneSession::Outcome& outcome, const std::string& objective);

}  // namespace quboprune
