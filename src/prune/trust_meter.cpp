#include "prune/trust_meter.h"

#include <fmt/format.h>

#include <limits>
#include <string>
#include <vector>

#include "judging/calibration_parts.h"

namespace quboprune {

Trust measured_trust(const ChannelGroups& groups, const MaskEvaluator& evaluator,
                     std::span<const Predictor> objectives, const ChooseOptions& options, KeptValues& kept,
                     const Control& control) {
  if (control.stopped()) return {};
  std::vector<Mask> seeds;
  for (const auto& objective : objectives) seeds.push_back(objective.mask);
  const auto masks =
      trust_masks(groups, options.target, seeds, options.trust_masks, options.formulation.seed);
  const MaskEvaluator few(groups, thinned(evaluator.samples(), options.trust_samples), evaluator.judge(),
                          evaluator.options(), control);
  const std::string question =
      fmt::format("on {} of {} samples{}", few.samples().size(), evaluator.samples().size(),
                  few.options().refit ? ", after the quick repair" : "");
  Trust trust;
  for (const Mask& mask : masks) {
    if (control.stopped()) break;
    trust.values.push_back(
        kept.get(question, mask, control, [&] { return std::vector{few.value(mask)}; }).front());
    control.report("trust", static_cast<double>(trust.values.size()), static_cast<double>(masks.size()),
                   std::numeric_limits<double>::quiet_NaN());
  }
  if (control.stopped() || masks.empty()) return {};
  for (const auto& objective : objectives) {
    auto& energies = trust.energies.emplace_back();
    for (const Mask& mask : masks) energies.push_back(objective.predicted(mask));
    trust.correlations.emplace_back(objective.name, spearman(energies, trust.values));
  }
  return trust;
}

}  // namespace quboprune
