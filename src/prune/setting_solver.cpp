#include "prune/setting_solver.h"

#include "prune/rounds.h"

namespace quboprune {
namespace {

Formulation formulated(const Formulator& formulator, const Setting& setting, const Target& target) {
  Formulation f = formulator(setting.objective, setting.options);
  // A linear objective over a count needs no search.
  const bool linear = setting.greedy || (target.kind == Cost::filters && !f.qubo.has_couplings());
  if (linear && f.solving == Solving::search) f.solving = Solving::sorting;
  return f;
}

}  // namespace

SettingSolver::SettingSolver(const ChannelGroups& groups, const Scores& scores,
                             const MaskEvaluator& evaluator, const ChooseOptions& options,
                             const Control& control)
    : groups_(groups),
      scores_(scores),
      evaluator_(evaluator),
      options_(options),
      control_(control),
      formulator_(groups, scores, evaluator, options.target, options.formulator, control) {}

Choice SettingSolver::operator()(const Setting& setting, double seconds) const {
  SolverOptions solver = options_.solver;
  solver.seconds = seconds;
  Choice choice;
  choice.objective = setting.objective;
  choice.formulation = formulated(formulator_, setting, options_.target);
  if (setting.rounds > 1) {
    if (Mask found = in_rounds(setting, solver); !found.empty()) {
      choice.formulation.mask = std::move(found);
      choice.formulation.solving = Solving::given;
      choice.rounds = setting.rounds;
    }
  }
  choice.solved =
      solve_at_target(choice.formulation, groups_, options_.target, solver, options_.capacity, control_);
  if (choice.rounds > 1) choice.solved.method = "rounds";
  choice.mask = choice.solved.pool.front().x;
  return choice;
}

double SettingSolver::predicted(const Choice& choice, const Mask& mask) const {
  return formulator_.predicted(choice.formulation, mask);
}

Mask SettingSolver::in_rounds(const Setting& setting, SolverOptions solver) const {
  solver.seconds /= setting.rounds;
  RoundsOptions rounds = options_.rounds;
  if (rounds.samples.empty()) rounds.samples = evaluator_.samples();
  rounds.score.similarity = objective_named(setting.objective).similarity;
  rounds.score.weight_gradients = objective_named(setting.objective).weight_gradients;
  FormulatorOptions of_a_round = options_.formulator;
  of_a_round.kept = nullptr;  // its groups are others
  const auto choose = [&](const ChannelGroups& groups, const Scores& scores, const MaskEvaluator& evaluator,
                          const Target& target) {
    const Formulator formulator(groups, scores, evaluator, target, of_a_round, control_);
    return solve_at_target(formulated(formulator, setting, target), groups, target, solver, options_.capacity,
                           control_)
        .pool.front()
        .x;
  };
  return mask_in_rounds(groups_, scores_, evaluator_, options_.target, setting.rounds, rounds, choose,
                        control_);
}

}  // namespace quboprune
