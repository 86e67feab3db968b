#include "cli/base/plan.h"

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {
namespace {

using nlohmann::json;

/// What prune writes: null where it had no --target.
bool is_target(const json& target) {
  if (target.is_null()) return true;
  const bool whole = target.is_object() && target.contains("kind") && target.contains("removed_fraction");
  return whole && (target["kind"] == "filters" || target["kind"] == "params" || target["kind"] == "macs") &&
         target["removed_fraction"].is_number();
}

std::string digest(const json& part) {
  return sha256_of_bytes(part.dump(-1, ' ', false, json::error_handler_t::replace)).substr(0, 16);
}

/// Was this part of the plan changed since prune wrote it? True where that can't be told.
bool edited(const json& plan, const char* part) {
  const json& written = plan.value("as_written", json::object());
  return !written.is_object() || !written.contains(part) || written[part] != digest(plan[part]);
}

Mask mask_of_removed(const json& removed, const std::string& path, const ChannelGroups& groups) {
  std::unordered_map<std::string, int> by_name;
  for (int g = 0; g < groups.size(); ++g) {
    by_name[groups.name(g)] = g;
    for (const auto& member : groups.members(g)) by_name[member] = g;
  }
  Mask mask(static_cast<std::size_t>(groups.size()), 1);
  for (const auto& name : removed) {
    if (!name.is_string())
      throw InputError(path +
                       ": \"removed\" holds something that isn't a name; write a plan with prune --plan");
    const auto found = by_name.find(name.get<std::string>());
    if (found == by_name.end())
      throw InputError(path + ": this network has no prunable group '" + name.get<std::string>() +
                       "'; quboprune inspect --json lists them (with --shrink-norms others too)");
    mask[static_cast<std::size_t>(found->second)] = 0;
  }
  return mask;
}

/// For each channel of a layer whether the plan keeps it.
std::vector<bool> kept_channels(const json& entry, const std::string& path, const Layer& layer) {
  std::vector<bool> kept(layer.groups.size(), false);
  for (const auto& index : entry["kept_indices"]) {
    if (!index.is_number_integer() || index.get<std::int64_t>() < 0 ||
        index.get<std::int64_t>() >= static_cast<std::int64_t>(kept.size()))
      throw InputError(path + ": \"kept_indices\" of layer '" + layer.name + "' holds " + index.dump() +
                       "; its channels are 0 to " + std::to_string(kept.size() - 1));
    kept[index.get<std::size_t>()] = true;
  }
  return kept;
}

/// Layers that the plan doesn't list say nothing; those that it lists must agree on what they share.
Mask mask_of_layers(const json& list, const std::string& path, const ChannelGroups& groups) {
  std::unordered_map<std::string, const Layer*> by_name;
  for (const auto& layer : groups.layers()) by_name[layer.name] = &layer;
  std::vector<std::string> goes(static_cast<std::size_t>(groups.size())), stays(goes.size());
  std::set<std::string> listed;
  for (const auto& entry : list) {
    if (!entry.is_object() || !entry.value("name", json()).is_string() ||
        !entry.value("kept_indices", json()).is_array())
      throw InputError(path +
                       ": \"layers\" isn't a list of {\"name\": name, \"kept_indices\": numbers}; leave it " +
                       "out, or write a plan with prune --plan");
    const auto found = by_name.find(entry["name"].get<std::string>());
    if (found == by_name.end())
      throw InputError(path + ": this network has no layer '" + entry["name"].get<std::string>() +
                       "'; quboprune inspect lists them");
    const Layer& layer = *found->second;
    if (!listed.insert(layer.name).second)
      throw InputError(path + ": \"layers\" lists '" + layer.name + "' twice; say once what it keeps");
    const auto kept = kept_channels(entry, path, layer);
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const std::string name = layer.name + ":" + std::to_string(i);
      if (layer.groups[i] >= 0) {
        (kept[i] ? stays : goes)[static_cast<std::size_t>(layer.groups[i])] = name;
      } else if (!kept[i]) {
        throw InputError(path + ": \"layers\" removes '" + name +
                         "', which must stay; quboprune inspect says why");
      }
    }
  }
  Mask mask(goes.size(), 1);
  for (std::size_t g = 0; g < goes.size(); ++g) {
    if (!goes[g].empty() && !stays[g].empty())
      throw InputError(path + ": \"layers\" removes '" + goes[g] + "' and keeps '" + stays[g] +
                       "', which go together; change both, or \"removed\" instead");
    if (!goes[g].empty()) mask[g] = 0;
  }
  return mask;
}

}  // namespace

json analysis_json(const AnalyseOptions& o) {
  return {{"scope", o.scope},
          {"freeze", o.freeze},
          {"allow_empty", o.allow_empty},
          {"shrink_norms", o.shrink_norms}};
}

void take_up_analysis(const json& plan, const std::string& path, AnalyseOptions& options) {
  if (!plan.contains("analysis")) return;
  try {
    const json& from = plan["analysis"];
    if (options.scope.empty()) options.scope = from.value("scope", options.scope);
    if (options.freeze.empty()) options.freeze = from.value("freeze", options.freeze);
    options.allow_empty = options.allow_empty || from.value("allow_empty", false);
    options.shrink_norms = options.shrink_norms || from.value("shrink_norms", false);
  } catch (const json::exception&) {
    throw InputError(path + R"(: "analysis" isn't {"scope": names, "freeze": names, "allow_empty": )"
                            R"(true or false, "shrink_norms": likewise}; leave it out)");
  }
}

void sign_plan(json& plan) {
  for (const char* part : {"removed", "layers"}) plan["as_written"][part] = digest(plan[part]);
}

json read_plan(const std::string& path) {
  const std::string text = read_file(path);
  json plan;
  try {
    plan = json::parse(text);
  } catch (const json::parse_error& e) {
    const std::string why = e.what();  // "[json.exception.parse_error.101] parse error at line 1, ..."
    throw InputError(path + ": not JSON (" + why.substr(why.find("] ") + 2) + ")");
  }
  const bool any = plan.contains("removed") || plan.contains("layers");
  if (!any || !plan.value("removed", json::array()).is_array() ||
      !plan.value("layers", json::array()).is_array())
    throw InputError(path +
                     ": a plan has a list \"removed\" of groups, or \"layers\"; write one with prune --plan");
  if (plan.contains("objective") && !plan["objective"].is_string())
    throw InputError(path + ": \"objective\" isn't a name; leave it out, or write a plan with prune --plan");
  if (!is_target(plan.value("target", json())))
    throw InputError(path +
                     ": \"target\" isn't {\"kind\": name, \"removed_fraction\": number}; leave it out, or " +
                     "write a plan with prune --plan");
  return plan;
}

std::string sha256_of_model(const json& plan) {
  const json model = plan.value("model", json());
  return model.is_object() && model.contains("sha256") && model["sha256"].is_string()
             ? model["sha256"].get<std::string>()
             : "";
}

Mask mask_of(const json& plan, const std::string& path, const ChannelGroups& groups) {
  // Of a plan that was edited in one of its two places, the other is old.
  const bool has_removed = plan.contains("removed");
  const bool has_layers = plan.contains("layers") && !plan["layers"].empty();
  if (has_removed && (!has_layers || !edited(plan, "layers")))
    return mask_of_removed(plan["removed"], path, groups);
  const Mask by_layers = mask_of_layers(plan["layers"], path, groups);
  if (!has_removed || !edited(plan, "removed")) return by_layers;
  const Mask mask = mask_of_removed(plan["removed"], path, groups);
  for (std::size_t g = 0; g < mask.size(); ++g) {
    if (mask[g] != by_layers[g])
      throw InputError(path + ": \"removed\" " + (mask[g] != 0 ? "keeps" : "removes") + " '" +
                       groups.name(static_cast<int>(g)) +
                       "', \"layers\" doesn't; take one of the two lists out");
  }
  return mask;
}

}  // namespace quboprune
