#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "cli/base/outputs.h"
#include "cli/base/prune_session.h"
#include "cli/commands.h"
#include "quboprune/error.h"
#include "quboprune/evaluation.h"
#include "quboprune/formulator.h"
#include "quboprune/problem_io.h"

namespace quboprune {
namespace {

struct Options {
  PruneArguments prune;
  std::string output;
};

/// Some objectives are made for a count.
void say_count(const Options& o, int count, int all) {
  const std::string& objective = o.prune.choose.objective;
  if (o.prune.target.empty() && objective_named(objective).wants_count)
    fmt::print(stderr, "formulate: {} is made for a count: without --target for {} of {} filters kept\n",
               objective, count, all);
}

/// What to do with the problem next; quboprune solve doesn't read .lp.
std::string next_step(const Options& o, int count) {
  if (o.prune.target.empty()) return "";
  if (o.output.ends_with(".lp")) return fmt::format("; it states that {} are kept", count);
  return fmt::format("; the target keeps {}: quboprune solve {} --capacity {}", count, o.output, count);
}

void run(Options& o, const Context& context) {
  check_outputs({o.output}, {o.prune.model, o.prune.data.source, o.prune.data.options.split});
  written_format(o.output);  // before any work
  Target target{Cost::filters, 0.5};
  if (!o.prune.target.empty()) target = target_from_text(o.prune.target);
  if (target.kind != Cost::filters)
    throw InputError("formulate: a QUBO file states a count of filters; use --target filters=FRACTION");
  PruneSession session(o.prune, context);
  if (!o.prune.target.empty()) target = session.find_target(o.prune.choose.objective);
  const int count = static_cast<int>(allowance(session.groups(), target));
  say_count(o, count, session.groups().size());
  const Scores& scores = session.scores(o.prune.choose.objective);
  const MaskEvaluator evaluator(session.groups(), session.on_calibration().samples(),
                                deciding(session.judge()), {}, context.control);
  o.prune.choose.formulator.kept = session.kept_values();
  const Formulator formulator(session.groups(), scores, evaluator, target, o.prune.choose.formulator,
                              context.control);
  const Formulation f = formulator(o.prune.choose.objective, o.prune.choose.formulation);
  // Half-measured it would be another problem, which no one who solves it could tell.
  if (context.control.stopped()) throw Stopped("stopped while formulating: nothing was written");
  Problem problem;
  problem.qubo = f.qubo;
  // dimod's BQM as JSON can't hold a constraint; all others state it.
  const bool holds_count = !o.output.ends_with(".json") || o.output.ends_with(".cqm.json");
  if (holds_count && !o.prune.target.empty() && f.solving != Solving::unbounded)
    problem.constraint = {Constraint::Kind::exactly, static_cast<double>(count)};
  write_problem(problem, o.output);
  fmt::print("{}: {} variables (1 = kept){}\n", o.output, f.qubo.size(), next_step(o, count));
}

}  // namespace

void add_formulate(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("formulate", "Writes the QUBO of a network for other solvers");
  auto options = std::make_shared<Options>();
  options->prune.add_network_and_data(*command, true);
  command
      ->add_option("-o,--output", options->output,
                   "COO text; by its ending .json (dimod's BQM), .cqm.json or .lp instead")
      ->required();
  command
      ->add_option("--objective", options->prune.choose.objective,
                   "hybrid, gauss-newton, gate-fisher, measured, reconstruction, l1-qubo, ...")
      ->capture_default_str();
  command->add_option("--target", options->prune.target, "filters=FRACTION: says how many to keep");
  options->prune.add_formulation(*command);
  add_common_options(*command, context);
  command->callback(
      [options, &context] { context.action = [options, &context] { run(*options, context); }; });
}

}  // namespace quboprune
