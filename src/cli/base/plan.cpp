#include "cli/base/plan.h"

#include <string>
#include <unordered_map>

#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {
namespace {

using nlohmann::json;

/// What prune writes: null where it had no --target.
bool is_target(const json& target) {
  return target.is_null() || (target.is_object() && target.contains("kind") && target["kind"].is_string() &&
                              target.contains("removed_fraction") && target["removed_fraction"].is_number());
}

}  // namespace

json read_plan(const std::string& path) {
  const std::string text = read_file(path);
  json plan;
  try {
    plan = json::parse(text);
  } catch (const json::parse_error& e) {
    throw InputError(path + ": not JSON (" + std::string(e.what()) + ")");
  }
  if (!plan.contains("removed") || !plan["removed"].is_array())
    throw InputError(path + ": a plan has a list \"removed\" of groups; write one with prune --plan");
  if (plan.contains("objective") && !plan["objective"].is_string())
    throw InputError(path + ": \"objective\" isn't a name; leave it out, or write a plan with prune --plan");
  if (!is_target(plan.value("target", json())))
    throw InputError(path +
                     ": \"target\" isn't {\"kind\": name, \"removed_fraction\": number}; leave it out, or " +
                     "write a plan with prune --plan");
  return plan;
}

Mask mask_of(const json& plan, const std::string& path, const ChannelGroups& groups) {
  std::unordered_map<std::string, int> by_name;
  for (int g = 0; g < groups.size(); ++g) {
    by_name[groups.name(g)] = g;
    for (const auto& member : groups.members(g)) by_name[member] = g;
  }
  Mask mask(static_cast<std::size_t>(groups.size()), 1);
  for (const auto& name : plan["removed"]) {
    if (!name.is_string())
      throw InputError(path +
                       ": \"removed\" holds something that isn't a name; write a plan with prune --plan");
    const auto found = by_name.find(name.get<std::string>());
    if (found == by_name.end())
      throw InputError(path + ": this network has no prunable group '" + name.get<std::string>() +
                       "'; quboprune inspect --json lists them");
    mask[static_cast<std::size_t>(found->second)] = 0;
  }
  return mask;
}

}  // namespace quboprune
