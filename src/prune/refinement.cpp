#include "prune/refinement.h"

#include <map>
#include <memory>

#include "quboprune/error.h"
#include "quboprune/metrics.h"
#include "target/fit_cost.h"

namespace quboprune {
namespace {

/// What the search's masks obey: the start's count, or by repair the rounder's multiples or the target's
/// allowance.
MaskConstraint constraint(const Choice& choice, const ChannelGroups& groups, const Rounder* rounder,
                          const Target& target, const std::vector<std::int8_t>& fixed) {
  MaskConstraint c;
  if (rounder != nullptr) {
    c.repair = [rounder, &qubo = choice.formulation.qubo](Mask& mask) {
      try {
        mask = rounder->nearest(mask, qubo);
      } catch (const UnmetTarget&) {
        return false;  // its beam kept other ways than this mask's
      }
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

/// One channel of each layer is held, so that none is emptied: of those that the start keeps, which has to
/// obey.
std::vector<std::int8_t> held(const Choice& choice, const ChannelGroups& groups) {
  std::vector<double> importance = choice.formulation.importance;
  for (std::size_t g = 0; g < importance.size(); ++g)
    if (choice.mask[g] == 0) importance[g] = -std::numeric_limits<double>::infinity();
  auto fixed = guard_layers(groups, importance);
  for (std::size_t g = 0; g < fixed.size(); ++g) {
    if (fixed[g] == 1 && choice.mask[g] == 0) fixed[g] = -1;
  }
  return fixed;
}

/// Layers that hold groups, numbered as they come: fewer numbers than groups, as the search wants them.
std::vector<int> layer_blocks(const ChannelGroups& groups) {
  std::map<int, int> numbers;
  std::vector<int> blocks;
  for (int g = 0; g < groups.size(); ++g)
    blocks.push_back(numbers.try_emplace(groups.layer_of(g), static_cast<int>(numbers.size())).first->second);
  return blocks;
}

/// The solver's mask and what was found as they would ship, on samples that the search didn't see. None where
/// that is stopped.
std::optional<Refinement::Check> checked(const Mask& start, const Mask& found, const Evidence& evidence) {
  const Metric metric = evidence.refinement.judge().metric;
  const auto unseen = [&](const Mask& mask) {
    return metric_of(mean(lower_is_better(evidence.check(mask), metric)), metric);
  };
  try {
    return Refinement::Check{unseen(start), unseen(found)};
  } catch (const Stopped&) {
    return std::nullopt;
  }
}

}  // namespace

void refine(Choice& choice, const ChannelGroups& groups, const Evidence& evidence, const Rounder* rounder,
            const ChooseOptions& options, const Control& control) {
  const MaskEvaluator& evaluator = evidence.refinement;
  SearchOptions search = options.search;
  search.method = options.refine;
  search.fixed = held(choice, groups);
  search.prior = choice.formulation.importance;
  search.blocks = layer_blocks(groups);
  std::vector<Mask> seeds{choice.mask};
  for (const auto& solution : choice.solved.pool) {
    if (solution.x != choice.mask) seeds.push_back(solution.x);
  }
  Refinement r;
  r.search =
      search_masks(evaluator.objective(), groups.size(),
                   constraint(choice, groups, rounder, options.target, search.fixed), seeds, search, control);
  const double start = evaluator.value(choice.mask);
  r.start = evaluator.metric(start);
  // The search's repair may have changed the seed itself, of which it then saw something else.
  r.seed_kept = !(r.search.value < start);
  if (evidence.check && !r.seed_kept) {
    const Metric metric = evaluator.judge().metric;
    r.check = checked(choice.mask, r.search.best, evidence);
    if (r.check) r.seed_kept = !(error_of(r.check->best, metric) < error_of(r.check->start, metric));
  }
  r.best = r.seed_kept ? r.start : evaluator.metric(r.search.value);
  if (!r.seed_kept) choice.mask = r.search.best;
  choice.refinement = std::move(r);
}

}  // namespace quboprune
