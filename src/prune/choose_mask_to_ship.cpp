#include <fmt/format.h>

#include <memory>
#include <optional>

#include "judging/calibration_parts.h"
#include "judging/cross_fit.h"
#include "judging/shipped_judge.h"
#include "prune/candidates.h"
#include "prune/settle_branches.h"
#include "quboprune/evaluation.h"
#include "quboprune/prune.h"

namespace quboprune {
namespace {

/// Is any mask measured at all?
bool measures(const ChooseOptions& options) {
  const std::vector<Setting> settings = settings_for(options, false);
  return options.refine != "none" || settings.size() > 1 || options.rounds.asked > 1 ||
         objective_named(settings.front().objective).measures_masks;
}

/// Nothing is compared, so nothing has to be kept apart.
CalibrationParts undivided(std::span<const Sample> calibration) {
  const std::vector<Sample> all(calibration.begin(), calibration.end());
  return {.fit = all, .search = all, .check = {}};
}

std::vector<Sample> joined(std::vector<Sample> some, const std::vector<Sample>& others) {
  some.insert(some.end(), others.begin(), others.end());
  return some;
}

void note_left_out(Choice& choice, const std::vector<std::string>& layers) {
  if (layers.empty()) return;
  choice.notes.push_back(
      fmt::format("{} {} too many inputs for the quick repair that masks are compared by: {}", layers.size(),
                  layers.size() == 1 ? "layer has" : "layers have", fmt::join(layers, ", ")));
}

}  // namespace

Choice choose_mask_to_ship(const ChannelGroups& groups, const Scores& scores,
                           std::span<const Sample> calibration, const Judge& judge,
                           const ChooseOptions& options, const Shipping& shipping, const Control& control) {
  constexpr int kRoundSamples = 32;  // gradients near the network as it then is: more tell little
  const bool repaired = shipping.refit != nullptr;
  const bool quickly = repaired && shipping.refit_aware;
  const CalibrationParts parts =
      measures(options) ? calibration_parts(calibration, quickly) : undivided(calibration);
  EvaluatorOptions with;
  with.refit = quickly && measures(options);
  if (with.refit)
    with.grams = std::make_shared<GramCache>(groups, parts.fit, judge, with.memory_limit, control);
  const auto measured = thinned(parts.search, shipping.search_samples);
  const Judge comparing = deciding(judge);
  const MaskEvaluator evaluator(groups, measured, comparing, with, control);
  std::optional<MaskEvaluator> refined;
  if (judge.metric != comparing.metric && options.refine != "none")
    refined.emplace(groups, measured, judge, with, control);

  ChooseOptions shipped = options;
  auto& kept = shipped.formulator.kept;
  if (!kept) kept = std::make_shared<KeptValues>();
  if (control.stopped()) shipped.search.state.clear();
  shipped.formulator.samples = {calibration.begin(), calibration.end()};
  shipped.rounds.samples = thinned(calibration, kRoundSamples);
  if (repaired) shipped.rounds.tried = 1;
  // A refined mask's repair is fitted on what the search has seen anyway.
  const std::vector<Sample> seen = with.refit ? joined(parts.search, parts.fit) : parts.search;
  Evidence evidence{.settings = evaluator, .refinement = refined ? *refined : evaluator};
  std::optional<ShippedJudge> unseen;  // the original's pass, which only a new mask needs
  if (!parts.check.empty()) {
    evidence.scenes = scene_of_each(calibration);
    evidence.as_shipped = [&](std::span<const Mask> masks) {
      return shipped_values(groups, masks, calibration, comparing, shipping.refit, *kept, control);
    };
    evidence.check = [&](const Mask& mask) {
      return kept->get("refined", mask, control, [&] {
        if (!unseen) unseen.emplace(groups, seen, parts.check, judge, shipping.refit, control);
        return (*unseen)(mask);
      });
    };
  }
  Choice choice = choose_mask(groups, scores, evidence, shipped, control);
  settle_branches(groups, options.target, choice);
  if (with.refit) note_left_out(choice, with.grams->left_out());
  const std::string unsaved_search = choice.refinement ? choice.refinement->search.unsaved : "";
  for (const std::string& why : {kept->unsaved(), unsaved_search}) {
    if (!why.empty()) choice.notes.push_back("what was measured isn't kept for another run: " + why);
  }
  return choice;
}

}  // namespace quboprune
