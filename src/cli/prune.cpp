#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/base/ignored_options.h"
#include "cli/base/mask_file.h"
#include "cli/base/outputs.h"
#include "cli/base/plan.h"
#include "cli/base/prune_report.h"
#include "cli/base/prune_session.h"
#include "cli/commands.h"
#include "core/threads.h"
#include "coupling/branches.h"
#include "multiples/rounding.h"
#include "quboprune/error.h"
#include "quboprune/file.h"
#include "quboprune/report.h"

namespace quboprune {
namespace {

using nlohmann::json;

struct Options {
  PruneArguments prune;
  std::string output, report, html, plan, mask;
};

json plan_of(const PruneSession& session, const Choice& choice, const json& header, const json& target) {
  json removed = json::array();
  for (int g = 0; g < session.groups().size(); ++g) {
    if (choice.mask[static_cast<std::size_t>(g)] == 0) removed.push_back(session.groups().name(g));
  }
  json plan = {{"tool", header["tool"]},
               {"model", header["model"]},
               {"target", target},
               {"objective", choice.objective},
               {"removed", removed},
               {"layers", layers_json(session.groups(), choice.mask)},
               {"analysis", analysis_json(session.arguments().layers)}};
  sign_plan(plan);
  return plan;
}

/// Both networks in ONNX Runtime, where it is at hand.
void add_latency(json& report, const Options& o, PruneSession& session, int round_to) {
  const json latency = latency_json(session, o.output);
  if (latency.empty()) return;
  const double dense = latency["dense_ms"];
  const double pruned = latency["pruned_ms"];
  if (pruned >= dense)
    session.note(fmt::format("no faster in ONNX Runtime: {:.2f} ms where the original takes {:.2f}; {}",
                             pruned, dense,
                             round_to > 4 ? "remove more, or multiply-adds (macs=) instead of filters"
                                          : "give --round-to 8 or 16, or remove more"));
  report["latency"] = latency;
}

/// Kernels work on blocks of channels: an odd count costs as much as the next block, or a slower kernel.
void advise_blocks(PruneSession& session, const Mask& mask, int round_to) {
  constexpr int kBlock = 8;
  // By such a multiple all that were cut are uneven.
  const int cut = uneven_layers(session.groups(), mask, std::numeric_limits<int>::max());
  const int odd = uneven_layers(session.groups(), mask, kBlock);
  if (round_to % kBlock != 0 && odd > 0)
    session.note(
        fmt::format("{} of the {} layers that were cut keep a number of channels that isn't a multiple of "
                    "{}: runtimes work in "
                    "blocks, so --round-to 8 or 16 is usually faster at the same number of MACs",
                    odd, cut, kBlock));
}

/// Multiples that a layer doesn't keep to: it is whole, or makes up what the target asks.
void say_exceptions(PruneSession& session, const Mask& mask, int round_to) {
  if (round_to <= 1) return;
  std::vector<std::string> names;
  for (const auto& layer : session.groups().layers()) {
    if (!layer.weighted || std::ranges::none_of(layer.groups, [](int g) { return g >= 0; })) continue;
    const int kept = places_left(layer.groups, mask);
    if (kept % round_to != 0) names.push_back(fmt::format("{} ({})", layer.name, kept));
  }
  if (!names.empty())
    session.note(fmt::format("not in multiples of {}, as whole or for the target's sake: {}", round_to,
                             fmt::join(names, ", ")));
}

/// What multiples leave unused of a target.
void say_slack(PruneSession& session, const Mask& mask, const Target& target, int round_to) {
  const auto& groups = session.groups();
  const double all = groups.cost().value(target.kind, Mask(mask.size(), 1));
  const double kept = groups.cost().value(target.kind, mask);
  const double slack = allowance(groups, target) - kept;
  if (round_to > 1 && slack > 0.0005 * all)
    session.note(
        fmt::format("{:.1f} % of the {} stay where the target leaves {:.1f} %: no multiples "
                    "of {} that the search tried come nearer",
                    100 * kept / all, name_of(target.kind), 100 * (kept + slack) / all, round_to));
}

void prepare(Options& o) {
  check_outputs({o.output, o.report, o.html, o.plan},
                {o.prune.model, o.prune.data.source, o.prune.data.options.split, o.mask});
  if (o.prune.target.empty() && o.mask.empty())
    throw InputError("--target is required: say what to remove, such as filters=0.36 (or give --mask)");
  if (!o.prune.target.empty()) o.prune.choose.target = target_from_text(o.prune.target);
}

/// The mask that --mask gives, with --round-to the nearest of multiples; it must meet the target where one is
/// given too.
Choice given_choice(const Options& o, PruneSession& session) {
  Choice choice;
  choice.objective = "given mask";
  const ChannelGroups& groups = session.groups();
  choice.mask = with_whole_branches(groups, read_mask(o.mask, groups.size()));
  const int multiple = o.prune.choose.round_to;
  const bool aimed = !o.prune.target.empty();
  const Target target =
      aimed ? o.prune.choose.target
            : Target{Cost::filters, 1 - static_cast<double>(kept_count(choice.mask)) / groups.size()};
  choice.round_to = std::max(multiple, 1);
  if (multiple > 1) choice.mask = Rounder(groups, target, multiple).nearest(choice.mask, Qubo(groups.size()));
  if (!aimed) return choice;
  const double most = allowance(groups, target);
  const double kept = groups.cost().value(target.kind, choice.mask);
  const bool met = target.kind == Cost::filters && multiple <= 1 ? kept == most : kept <= most;
  if (!met)
    throw InputError(
        fmt::format("{}: keeps {} where --target {} leaves {}: leave --target out, or solve with "
                    "that capacity",
                    o.mask, kept, o.prune.target, most));
  return choice;
}

/// How the mask was found and what speaks for it.
void add_search(json& report, const Options& o, PruneSession& session, const Choice& choice) {
  add_choice(report, session, choice, o.prune.choose.refine);
  report["removed"] = removed_json(session, choice);
}

/// Options that were given and have no say.
void say_ignored(const Options& o, const CLI::App& command, PruneSession& session) {
  if (!o.mask.empty()) {
    session.note(ignored_options(
        command, {"--objective",   "--refine",     "--rounds",         "--no-tune",
                  "--of-live",     "--solver",     "--solver-time",    "--capacity-mode",
                  "--evaluations", "--time-limit", "--refine-samples", "--refine-before-refit",
                  "--alpha",       "--beta",       "--gamma",          "--cross",
                  "--centred",     "--per-layer",  "--penalty",        "--probes"},
        "a mask was given, so none is chosen"));
  } else {
    session.note(o.prune.without_say_of_count(command));
    session.note(PruneArguments::without_say_in({o.prune.choose.objective}, command));
    session.note(o.prune.without_say_unrefined(command));
  }
  session.note(o.prune.without_say(command));
}

void run(Options& o, const CLI::App& command, const Context& context) {
  prepare(o);
  PruneSession session(o.prune, context);
  say_ignored(o, command, session);
  if (o.mask.empty()) {
    o.prune.choose.target = session.find_target(o.prune.choose.objective);
  } else if (!o.prune.target.empty()) {
    session.set_target(o.prune.choose.target);
  }
  const Choice choice = o.mask.empty() ? session.choose(o.prune.choose) : given_choice(o, session);
  const auto outcome = session.cut(choice.mask);
  session.save(o.output, outcome, choice.objective);  // before what may fail of judging it
  advise_blocks(session, choice.mask, choice.round_to);
  say_exceptions(session, choice.mask, choice.round_to);
  say_nothing_removed(session, choice.mask);
  if (!o.prune.target.empty()) say_slack(session, choice.mask, o.prune.choose.target, choice.round_to);
  json report = report_header(session, "prune");
  if (!o.prune.target.empty()) report["target"] = target_json(o.prune.choose.target);
  report["objective"] = choice.objective;
  report["rounds"] = choice.rounds;
  report["round_to"] = choice.round_to;
  report["result"] = result_json(session, choice.mask, outcome);
  report["layers"] = layers_json(session.groups(), choice.mask);
  report["equivalence"] = outcome.equivalence;
  if (outcome.recovered) report["recovery"] = outcome.recovery;
  if (o.mask.empty()) {
    add_search(report, o, session, choice);
  } else {
    report["removed"] = removed_groups_json(session.groups(), choice.mask);
  }
  add_latency(report, o, session, choice.round_to);
  finish_report(report, session);
  write_json(o.plan, plan_of(session, choice, report, report.value("target", json())));
  write_json(o.report, report);
  if (!o.html.empty()) {
    json page = report;
    page["images"] = images_json(session, outcome);
    write_file_atomically(o.html, html_report(page));
  }
  fmt::print("{}", terminal_report(report));
  fail_if_unusable(session);
}

}  // namespace

void add_prune(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("prune", "Makes a network smaller");
  auto options = std::make_shared<Options>();
  options->prune.recover = "refit";
  options->prune.choose.objective = "auto";
  options->prune.choose.refine = "tt+local";
  options->prune.choose.search.evaluations = 200;
  options->prune.add_network_and_data(*command, true);
  command->add_option("-o,--output", options->output, "The smaller ONNX file")->required();
  command->add_option("--target", options->prune.target,
                      "What to remove: filters=0.36, params=0.5, macs=0.36");
  command->add_option(
      "--mask", options->mask,
      "Keep what this solution keeps instead of searching: the report of quboprune solve on a "
      "problem of formulate, or a text of 0s and 1s");
  options->prune.add_objective(*command);
  options->prune.add_choice(*command);
  options->prune.add_recovery(*command);
  options->prune.add_refinement(*command);
  command->add_option("--report", options->report, "Write all figures as JSON");
  command->add_option("--html", options->html, "Write a page to read and keep");
  command->add_option("--plan", options->plan,
                      "Write what was removed, to be edited and used again by apply");
  add_common_options(*command, context);
  command->callback([options, command, &context] {
    context.action = [options, command, &context] { run(*options, *command, context); };
  });
}

}  // namespace quboprune
