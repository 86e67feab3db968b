#include "quboprune/measured.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "coupling/analysis.h"
#include "prune/calibration_parts.h"

namespace quboprune {
namespace {

double mean_distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return a.empty() ? 0 : sum / static_cast<double>(a.size());
}

bool empties_an_axis(const ChannelGroups& groups, const Mask& mask) {
  const auto covers = groups.covers();
  return std::any_of(covers.begin(), covers.end(), [&](const std::vector<int>& set) {
    return std::none_of(set.begin(), set.end(),
                        [&](int g) { return mask[static_cast<std::size_t>(g)] != 0; });
  });
}

/// A network's metric on some of an evaluator's samples.
class SomeSamples {
 public:
  SomeSamples(const ChannelGroups& groups, const MaskEvaluator& evaluator, int count)
      : evaluator_(evaluator), samples_(thinned(evaluator.samples(), count)) {
    originals_ = outputs_of(Executor(groups.analysis().graph), samples_, evaluator.judge());
  }
  std::vector<double> metrics(const Mask& mask) const {
    return evaluate_network(Executor(evaluator_.cut(mask)), samples_, evaluator_.judge(), originals_).samples;
  }

 private:
  const MaskEvaluator& evaluator_;
  std::vector<Sample> samples_;
  std::vector<at::Tensor> originals_;
};

/// Entries that are NaN get what `stand_in` makes of the others.
template <class F>
void fill(std::vector<double>& effects, F&& stand_in) {
  std::vector<double> known;
  for (double e : effects) {
    if (!std::isnan(e)) known.push_back(e);
  }
  const double value = known.empty() ? 1 : stand_in(known);
  for (double& e : effects) {
    if (std::isnan(e)) e = value;
  }
}

}  // namespace

std::vector<double> measured_effects(const ChannelGroups& groups, const MaskEvaluator& evaluator, int samples,
                                     const Control& control) {
  const auto n = static_cast<std::size_t>(groups.size());
  const SomeSamples some(groups, evaluator, samples);
  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> effects(n, unknown);
  Mask mask(n, 1);
  const std::vector<double> original = some.metrics(mask);
  for (std::size_t g = 0; g < n && !control.stopped(); ++g) {
    mask[g] = 0;
    if (!empties_an_axis(groups, mask)) effects[g] = mean_distance(some.metrics(mask), original);
    mask[g] = 1;
    control.report("measure groups", static_cast<double>(g + 1), static_cast<double>(n), unknown);
  }
  fill(effects, [&](const std::vector<double>& known) {
    if (!control.stopped()) return *std::max_element(known.begin(), known.end());
    return std::accumulate(known.begin(), known.end(), 0.0) / static_cast<double>(known.size());
  });
  return effects;
}

}  // namespace quboprune
