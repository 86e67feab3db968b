#include "cli/base/model_report.h"

#include <cmath>
#include <set>

#include "quboprune/batches.h"
#include "quboprune/computed_weights.h"
#include "quboprune/error.h"

namespace quboprune {

using nlohmann::json;

nlohmann::json report_head(const std::string& command, const Context& context) {
  return {{"tool", {{"name", "quboprune"}, {"version", QUBOPRUNE_VERSION}}},
          {"command", command},
          {"arguments", context.arguments},
          {"seed", context.seed}};
}

std::int64_t count_of(const ChannelGroups& groups, Cost cost, const Mask& mask) {
  return std::llround(groups.cost().value(cost, mask));
}

json model_json(const std::string& path, const Model& model, const ChannelGroups& groups) {
  const Mask all(static_cast<std::size_t>(groups.size()), 1);
  return {{"path", path},
          {"sha256", model.sha256()},
          {"parameters", count_of(groups, Cost::params, all)},
          {"macs", count_of(groups, Cost::macs, all)},
          {"filters", groups.size()},
          {"analysed_size", groups.analysed_size()}};
}

json model_json(const std::string& path, const Model& model, std::span<const Sample> samples) {
  try {
    AnalyseOptions options;
    if (!samples.empty()) options.sample = sizes_of(samples.front());
    return model_json(path, model, analyse(as_pruned(model.graph()), options));
  } catch (const InputError&) {  // it runs, but isn't one that could be pruned
    return {{"path", path}, {"sha256", model.sha256()}};
  }
}

json names_of(std::span<const Sample> samples) {
  json names = json::array();
  std::set<std::string> seen;
  for (const Sample& sample : samples)
    if (seen.insert(sample.name).second) names.push_back(sample.name);
  return names;
}

}  // namespace quboprune
