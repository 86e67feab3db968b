#include <fmt/core.h>

#include <memory>

#include "cli/base/outputs.h"
#include "cli/base/prune_session.h"
#include "cli/commands.h"
#include "quboprune/error.h"
#include "quboprune/formulator.h"
#include "quboprune/problem_io.h"

namespace quboprune {
namespace {

struct Options {
  PruneArguments prune;
  std::string output;
};

void run(Options& o, const Context& context) {
  check_outputs({o.output}, {o.prune.model, o.prune.data.source});
  Target target{Cost::filters, 0.5};
  if (!o.prune.target.empty()) target = target_from_text(o.prune.target);
  if (target.kind != Cost::filters)
    throw InputError("formulate: a QUBO file states a count of filters; use --target filters=FRACTION");
  if (o.prune.choose.round_to > 1)
    throw InputError(
        "formulate: a QUBO file states one count, not multiples; leave --round-to out here and give it to "
        "quboprune prune --mask, which rounds what a solver found");
  PruneSession session(o.prune, context);
  o.prune.choose.formulation.seed = context.seed;
  const int count = static_cast<int>(allowance(session.groups(), target));
  const Formulator formulator(session.groups(), session.scores(o.prune.choose.objective),
                              session.on_calibration(), target, o.prune.choose.formulator, context.control);
  const Formulation f = formulator(o.prune.choose.objective, o.prune.choose.formulation);
  Problem problem;
  problem.qubo = f.qubo;
  // dimod's BQM as JSON can't hold a constraint; all others state it.
  const bool holds_count = !o.output.ends_with(".json") || o.output.ends_with(".cqm.json");
  if (holds_count && !o.prune.target.empty() && !f.penalised)
    problem.constraint = {Constraint::Kind::exactly, static_cast<double>(count)};
  write_problem(problem, o.output);
  fmt::print("{}: {} variables (1 = kept)", o.output, f.qubo.size());
  if (!o.prune.target.empty())
    fmt::print("; the target keeps {}: quboprune solve {} --capacity {}", count, o.output, count);
  fmt::print("\n");
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
  options->prune.add_choice(*command);
  add_common_options(*command, context);
  command->callback(
      [options, &context] { context.action = [options, &context] { run(*options, context); }; });
}

}  // namespace quboprune
