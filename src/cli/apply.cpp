#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "cli/base/outputs.h"
#include "cli/base/prune_session.h"
#include "cli/commands.h"
#include "quboprune/error.h"
#include "quboprune/file.h"
#include "quboprune/report.h"

namespace quboprune {
namespace {

using nlohmann::json;

struct Options {
  PruneArguments prune;
  std::string output, report, plan;
};

/// The mask that a plan's "removed" list describes, by any member of each group.
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

/// What prune writes: null where it had no --target.
bool is_target(const json& target) {
  return target.is_null() || (target.is_object() && target.contains("kind") && target["kind"].is_string() &&
                              target.contains("removed_fraction") && target["removed_fraction"].is_number());
}

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

void run(Options& o, const Context& context) {
  check_outputs({o.output, o.report}, {o.prune.model, o.prune.data.source, o.plan});
  const json plan = read_plan(o.plan);
  o.prune.refit.seed = context.seed;
  PruneSession session(o.prune, context);
  const Mask mask = mask_of(plan, o.plan, session.groups());
  const auto outcome = session.cut(mask);
  json report = session.header("apply");
  if (plan.contains("target") && !plan["target"].is_null()) report["target"] = plan["target"];
  report["result"] = session.result(mask, outcome);
  report["layers"] = session.layers(mask);
  report["equivalence"] = outcome.equivalence;
  if (outcome.recovered) report["recovery"] = outcome.recovery;
  report["notes"] = session.notes();
  report["stages"] = session.stages().json();
  session.save(o.output, outcome, plan.value("objective", ""));
  write_json(o.report, report);
  fmt::print("{}", terminal_report(report));
}

}  // namespace

void add_apply(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("apply", "Makes a network smaller by a plan that prune wrote");
  auto options = std::make_shared<Options>();
  options->prune.add_network_and_data(*command, false);
  command->add_option("-o,--output", options->output, "The smaller ONNX file")->required();
  command->add_option("--plan", options->plan, "The plan, edited or not")->required();
  options->prune.add_recovery(*command);
  command->add_option("--report", options->report, "Write all figures as JSON");
  add_common_options(*command, context);
  command->callback(
      [options, &context] { context.action = [options, &context] { run(*options, context); }; });
}

}  // namespace quboprune
