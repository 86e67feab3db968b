#include "prune/refinement.h"

#include <memory>

#include "prune/candidates.h"
#include "refine/fit_cost.h"

namespace quboprune {
namespace {

/// What the search's masks obey: the start's count, or by repair the rounder's multiples or the target's
/// allowance.
MaskConstraint constraint(const Choice& choice, const ChannelGroups& groups, const Rounder* rounder,
                          const Target& target, const std::vector<std::int8_t>& fixed) {
  MaskConstraint c;
  if (rounder != nullptr) {
    c.repair = [rounder, &qubo = choice.formulation.qubo](Mask& mask) {
      mask = rounder->nearest(mask, qubo);
      return true;
    };
    return c;
  }
  if (target.kind == Cost::filters) {
    c.kind = MaskConstraint::Kind::exactly;
    c.count = kept_count(choice.mask);
    return c;
  }
  const auto fitter = std::make_shared<CostFitter>(choice.formulation.qubo, groups, target.kind,
                                                   allowance(groups, target), fixed);
  c.repair = [fitter](Mask& mask) { return fitter->fit(mask); };
  return c;
}

/// One channel of each layer is held, so that none is emptied. A guard that the start itself does without (it
/// keeps another channel of that layer) isn't held: the start has to obey.
std::vector<std::int8_t> held(const Choice& choice, const ChannelGroups& groups) {
  auto fixed = guard_layers(groups, choice.formulation.importance);
  for (std::size_t g = 0; g < fixed.size(); ++g) {
    if (fixed[g] == 1 && choice.mask[g] == 0) fixed[g] = -1;
  }
  return fixed;
}

/// Both masks as they would ship, on samples that the search didn't see.
void check(Choice& choice, const MaskEvaluator& evaluator, const ChooseOptions& options) {
  const auto seen = [&](const Mask& mask) {
    return mean(lower_is_better(options.check(mask), evaluator.judge().metric));
  };
  const double start = seen(choice.mask);
  const double best = seen(choice.search.best);
  choice.check_start = evaluator.metric(start);
  choice.check_best = evaluator.metric(best);
  choice.seed_kept = !(best < start);
}

}  // namespace

void refine(Choice& choice, const ChannelGroups& groups, const MaskEvaluator& evaluator,
            const Rounder* rounder, const ChooseOptions& options, const Control& control) {
  SearchOptions search = options.search;
  search.method = options.refine;
  search.fixed = held(choice, groups);
  search.prior = choice.formulation.importance;
  search.blocks.clear();
  for (int g = 0; g < groups.size(); ++g) search.blocks.push_back(groups.layer_of(g) + 1);
  std::vector<Mask> seeds{choice.mask};
  for (const auto& solution : choice.solved.pool) {
    if (solution.x != choice.mask) seeds.push_back(solution.x);
  }
  choice.search =
      search_masks(evaluator.objective(), groups.size(),
                   constraint(choice, groups, rounder, options.target, search.fixed), seeds, search, control);
  choice.start = evaluator.metric(evaluator.value(choice.mask));
  choice.best = evaluator.metric(choice.search.value);
  choice.refined = true;
  if (options.check && choice.search.best != choice.mask) check(choice, evaluator, options);
  if (choice.seed_kept)
    choice.best = choice.start;
  else
    choice.mask = choice.search.best;
}

}  // namespace quboprune
