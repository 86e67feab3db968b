#include "quboprune/mask_evaluator.h"

#include <cmath>
#include <limits>

#include "coupling/analysis.h"
#include "quboprune/error.h"
#include "quboprune/surgery.h"

namespace quboprune {

MaskEvaluator::MaskEvaluator(const ChannelGroups& groups, std::vector<Sample> samples, const Judge& judge,
                             const EvaluatorOptions& options, const Control& control)
    : groups_(groups), samples_(std::move(samples)), judge_(judge), options_(options) {
  bool targets =
      judge.metric != Metric::output && !(judge.metric == Metric::loss && judge.loss == Loss::output);
  for (const auto& s : samples_) targets = targets && s.target.defined();
  if (!targets) references_ = outputs_of(Executor(groups.analysis().graph), samples_, judge, control);
  if (options.refit)
    grams_ = std::make_unique<GramCache>(groups, samples_, judge, options.memory_limit, control);
}

Graph MaskEvaluator::cut(const Mask& mask) const {
  Graph graph = slice(groups_, mask);
  if (grams_) grams_->refit(mask, graph, options_.ridge);
  return graph;
}

Score MaskEvaluator::score(const Graph& network) const {
  return evaluate_network(Executor(network), samples_, judge_, references_);
}

double MaskEvaluator::value(const Mask& mask) const {
  for (const auto& set : groups_.cost().covers()) {
    bool any = false;
    for (int g : set) any = any || mask[static_cast<std::size_t>(g)] != 0;
    if (!any) return std::numeric_limits<double>::infinity();
  }
  const double mean = score(cut(mask)).mean;
  if (std::isnan(mean)) return std::numeric_limits<double>::infinity();
  return larger_is_better(judge_.metric) ? -mean : mean;
}

std::vector<double> MaskEvaluator::operator()(std::span<const Mask> masks) const {
  std::vector<double> values;
  values.reserve(masks.size());
  for (const auto& mask : masks) values.push_back(value(mask));
  return values;
}

}  // namespace quboprune
