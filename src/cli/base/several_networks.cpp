#include "cli/base/several_networks.h"

#include "cli/base/prune_report.h"

namespace quboprune {

using nlohmann::json;

json network_entry(PruneSession& session, const std::string& name, const Choice& choice,
                   const PruneSession::Outcome& outcome, const std::string& refine) {
  json entry = {{"name", name},
                {"objective", choice.objective},
                {"rounds", choice.rounds},
                {"round_to", choice.round_to},
                {"result", result_json(session, choice.mask, outcome)},
                {"layers", layers_json(session.groups(), choice.mask)},
                {"equivalence", outcome.equivalence}};
  add_choice(entry, session, choice, refine);
  return entry;
}

void write_network(json& entry, PruneSession& session, const std::string& path,
                   const PruneSession::Outcome& outcome, const std::string& objective) {
  session.save(path, outcome, objective);
  if (json latency = latency_json(session, path); !latency.empty()) entry["latency"] = std::move(latency);
}

}  // namespace quboprune
