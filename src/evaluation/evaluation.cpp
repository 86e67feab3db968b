#include "quboprune/evaluation.h"

#include <algorithm>
#include <set>

#include "core/index.h"
#include "quboprune/batches.h"
#include "quboprune/error.h"

namespace quboprune {

ClassScores class_scores_of(const Graph& graph) {
  static const std::set<std::string> bounded = {"Softmax", "Sigmoid", "HardSigmoid"};
  static const std::set<std::string> passing = {
      "Clip",      "Identity", "Cast",   "Reshape", "Flatten",  "Squeeze",          "Unsqueeze",
      "Transpose", "Slice",    "Gather", "Resize",  "Upsample", "DequantizeLinear", "QuantizeLinear"};
  int v = graph.outputs.empty() ? -1 : graph.outputs.front();
  while (v >= 0 && graph.values[at_index(v)].producer >= 0) {
    const Node& node = graph.nodes[at_index(graph.values[at_index(v)].producer)];
    if (node.domain.empty() && bounded.contains(node.op)) return ClassScores::probabilities;
    if (!node.domain.empty() || !passing.contains(node.op) || node.inputs.empty()) break;
    v = node.inputs.front();
  }
  return ClassScores::logits;
}

bool measures_distance(const Judge& judge) {
  return judge.metric == Metric::output || (judge.metric == Metric::loss && judge.loss == Loss::output);
}

std::vector<at::Tensor> references_for(const Graph& original, std::span<const Sample> samples,
                                       const Judge& judge, const Control& control) {
  const bool targets = !measures_distance(judge) && std::all_of(samples.begin(), samples.end(),
                                                                [](auto& s) { return s.target.defined(); });
  return targets ? std::vector<at::Tensor>{} : outputs_of(Executor(original), samples, judge, control);
}

Judge deciding(Judge judge) {
  if (judge.metric == Metric::top1) judge.metric = Metric::loss;
  return judge;
}

at::Tensor target_of(const Sample& sample, std::size_t index, const Judge& judge,
                     std::span<const at::Tensor> references) {
  if (!measures_distance(judge) && sample.target.defined()) return sample.target;
  if (index < references.size()) return references[index];
  throw InputError("sample '" + sample.name +
                   "' has no target: use --metric output (the distance to the original's outputs), or give "
                   "data with targets");
}

Score evaluate_network(const Executor& network, std::span<const Sample> samples, const Judge& judge,
                       std::span<const at::Tensor> references, const Control& control) {
  std::vector<double> values(samples.size());
  for_each_output(network, samples, judge, control, [&](std::size_t s, const at::Tensor& output) {
    values[s] = evaluate(judge, output, target_of(samples[s], s, judge, references));
  });
  return score_of(std::move(values));
}

NetworkJudge::NetworkJudge(const Graph& original, std::vector<Sample> samples, const Judge& judge,
                           const Control& control)
    : samples_(std::move(samples)),
      judge_(judge),
      references_(references_for(original, samples_, judge_, control)) {}

Score NetworkJudge::score(const Graph& network, const Control& control) const {
  return evaluate_network(Executor(network), samples_, judge_, references_, control);
}

}  // namespace quboprune
