#include "quboprune/measured.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "core/index.h"
#include "judging/calibration_parts.h"

namespace quboprune {
namespace {

double mean_distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return a.empty() ? 0 : sum / static_cast<double>(a.size());
}

/// Entries that aren't known, or beyond any number as the removal let the network overflow, get what
/// `stand_in` makes of the others.
template <class F>
void fill(std::vector<double>& effects, F&& stand_in) {
  std::vector<double> known;
  for (double e : effects) {
    if (std::isfinite(e)) known.push_back(e);
  }
  const double value = known.empty() ? 1 : stand_in(known);
  for (double& e : effects) {
    if (!std::isfinite(e)) e = value;
  }
}

}  // namespace

std::vector<double> measured_effects(const ChannelGroups& groups, const MaskEvaluator& evaluator, int samples,
                                     KeptValues& kept, const Control& control) {
  constexpr int kAtOnce = 32;  // masks: what they compute alike is computed once
  const int n = groups.size();
  const MaskEvaluator some(groups, thinned(evaluator.samples(), samples), evaluator.judge(),
                           evaluator.options(), control);
  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  const Mask all(at_index(n), 1);
  const std::string question =
      fmt::format("each group's effect on {} of {} samples{}", some.samples().size(),
                  evaluator.samples().size(), some.options().refit ? ", after the quick repair" : "");
  const KeptValues::Values* before = kept.find(question, all);
  std::vector<double> effects = before ? *before : std::vector<double>(at_index(n), unknown);
  const std::vector<double> original = some.by_sample({&all, 1}).front();
  for (int first = 0; first < n && !control.stopped(); first += kAtOnce) {
    const int end = std::min(n, first + kAtOnce);
    std::vector<int> asked;
    for (int g = first; g < end; ++g) {
      if (std::isnan(effects[at_index(g)])) asked.push_back(g);
    }
    if (asked.empty()) continue;
    std::vector<Mask> masks(asked.size(), all);
    for (std::size_t k = 0; k < asked.size(); ++k) masks[k][at_index(asked[k])] = 0;
    const auto metrics = some.by_sample(masks);
    for (std::size_t k = 0; k < asked.size(); ++k) {
      if (!metrics[k].empty()) effects[at_index(asked[k])] = mean_distance(metrics[k], original);
    }
    if (!control.stopped()) kept.keep(question, all, effects);
    control.report("measure groups", end, n, unknown);
  }
  fill(effects, [&](const std::vector<double>& known) {
    if (!control.stopped()) return *std::max_element(known.begin(), known.end());
    return std::accumulate(known.begin(), known.end(), 0.0) / static_cast<double>(known.size());
  });
  return effects;
}

}  // namespace quboprune
