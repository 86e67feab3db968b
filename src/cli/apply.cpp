#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/base/ignored_options.h"
#include "cli/base/outputs.h"
#include "cli/base/plan.h"
#include "cli/base/prune_report.h"
#include "cli/base/prune_session.h"
#include "cli/commands.h"
#include "coupling/branches.h"
#include "quboprune/report.h"

namespace quboprune {
namespace {

using nlohmann::json;

struct Options {
  PruneArguments prune;
  std::string output, report, plan;
};

/// Adds the plan's target where the mask still meets it.
void add_target(json& report, const json& plan, const Mask& mask, PruneSession& session) {
  const json target = plan.value("target", json());
  if (!target.is_object()) return;
  const Target wanted{cost_from_name(target["kind"]), target["removed_fraction"]};
  const double kept = session.groups().cost().value(wanted.kind, mask);
  const double most = allowance(session.groups(), wanted);
  if (wanted.kind == Cost::filters ? kept == most : kept <= most) {
    report["target"] = target;
    session.set_target(wanted);
  } else {
    session.note("the plan doesn't meet its own target any more: it was edited, or is another network's");
  }
}

/// Options that were given and have no say.
void say_ignored(const Options& o, const CLI::App& command, PruneSession& session) {
  if (o.prune.data.source.empty())
    session.note(ignored_options(
        command,
        {"--noise", "--crop", "--heldout-crop", "--calibration", "--heldout", "--split", "--metric", "--loss",
         "--input", "--channels", "--value-scale", "--size-multiple", "--mean", "--std", "--work"},
        "no data were given"));
  session.note(o.prune.without_say(command));
}

void run(Options& o, const CLI::App& command, const Context& context) {
  check_outputs({o.output, o.report},
                {o.prune.model, o.prune.data.source, o.prune.data.options.split, o.plan});
  const json plan = read_plan(o.plan);
  take_up_analysis(plan, o.plan, o.prune.layers);
  PruneSession session(o.prune, context);
  say_ignored(o, command, session);
  if (const std::string made_for = sha256_of_model(plan);
      !made_for.empty() && made_for != session.model().sha256())
    session.note(o.plan + " was made for another file; what it names is removed from this one");
  const Mask mask = with_whole_branches(session.groups(), mask_of(plan, o.plan, session.groups()));
  const auto outcome = session.cut(mask);
  session.save(o.output, outcome, plan.value("objective", ""));  // before what may fail of judging it
  json report = report_header(session, "apply");
  add_target(report, plan, mask, session);
  report["result"] = result_json(session, mask, outcome);
  report["removed"] = removed_groups_json(session.groups(), mask);
  report["layers"] = layers_json(session.groups(), mask);
  report["equivalence"] = outcome.equivalence;
  if (outcome.recovered) report["recovery"] = outcome.recovery;
  if (json latency = latency_json(session, o.output); !latency.empty())
    report["latency"] = std::move(latency);
  finish_report(report, session);
  write_json(o.report, report);
  fmt::print("{}", terminal_report(report));
  fail_if_unusable(session);
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
  command->callback([options, command, &context] {
    context.action = [options, command, &context] { run(*options, *command, context); };
  });
}

}  // namespace quboprune
