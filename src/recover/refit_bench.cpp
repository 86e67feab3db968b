#include "recover/refit_bench.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/index.h"
#include "core/shuffle.h"
#include "coupling/analysis.h"
#include "quboprune/batches.h"
#include "quboprune/error.h"
#include "quboprune/evaluation.h"
#include "quboprune/random.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

constexpr int kBatch = 4;  // small: the suffix of a trial then stays near the cache; no slower than 16
constexpr std::int64_t kElements = std::int64_t{1} << 18;

/// At least one and at most all but one of n.
std::size_t share_of(std::size_t n, double share) {
  const auto wanted = static_cast<std::size_t>(std::lround(share * static_cast<double>(n)));
  return std::clamp<std::size_t>(wanted, 1, n - 1);
}

}  // namespace

CheckSplit check_split(std::span<const Sample> samples, double share, std::uint64_t seed) {
  if (samples.empty()) throw InputError("there are no calibration samples to refit on; give data");
  std::set<std::string> names;
  for (const auto& s : samples) names.insert(s.scene);
  std::vector<std::string> scenes(names.begin(), names.end());
  Rng rng(seed);
  CheckSplit result;
  if (scenes.size() > 1) {
    shuffle(scenes, rng);
    const std::set<std::string> kept_back(
        scenes.begin(), scenes.begin() + static_cast<std::ptrdiff_t>(share_of(scenes.size(), share)));
    for (const auto& s : samples) (kept_back.contains(s.scene) ? result.check : result.fit).push_back(s);
    return result;
  }
  if (samples.size() == 1) {
    result.fit = result.check = {samples[0]};
    result.note =
        "the repair was judged on the very sample that it was fitted on: give more calibration data";
    return result;
  }
  std::vector<std::size_t> order(samples.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  shuffle(order, rng);
  const std::size_t back = share_of(order.size(), share);
  std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(back));
  std::sort(order.begin() + static_cast<std::ptrdiff_t>(back), order.end());
  for (std::size_t i = 0; i < order.size(); ++i)
    (i < back ? result.check : result.fit).push_back(samples[order[i]]);
  result.note =
      "the calibration data are one scene: the repair was judged on other samples of it, which says little "
      "about other scenes";
  return result;
}

void Trial::split(const at::Tensor& outputs, std::size_t count, std::vector<at::Tensor>& into) {
  for (std::size_t k = 0; k < count; ++k) into.push_back(output_of(outputs, k, count));
}

double Trial::score(const std::vector<at::Tensor>& outputs, std::span<const std::size_t> counts) const {
  std::vector<at::Tensor> single;
  for (std::size_t b = 0; b < outputs.size(); ++b) split(outputs[b], counts[b], single);
  std::vector<double> values;
  for (std::size_t s = 0; s < single.size(); ++s) {
    values.push_back(evaluate(judge_, single[s], target_of(samples_[s], s, judge_, references_)));
  }
  return score_of(std::move(values)).mean;
}

std::vector<std::vector<at::Tensor>> batched_inputs(const Graph& graph, const std::vector<Sample>& samples,
                                                    const Judge& judge, std::vector<std::size_t>& counts) {
  if (graph.inputs.empty()) throw InputError("the network has no inputs: there is nothing to refit it on");
  std::vector<std::vector<at::Tensor>> result;
  for (const auto& batch : batches(samples, one_at_a_time(graph) ? 1 : kBatch, kElements)) {
    counts.push_back(batch.samples.size());
    result.push_back(network_inputs(graph, batch, judge));
  }
  return result;
}

FitAndCheck::FitAndCheck(const Graph& graph, std::span<const Sample> calibration, const Judge& judge,
                         const RefitOptions& options)
    : split(check_split(calibration, options.check_share, options.seed)), samples(split.fit) {
  samples.insert(samples.end(), split.check.begin(), split.check.end());
  inputs = batched_inputs(graph, split.fit, judge, counts);
  fit_batches = counts.size();
  for (auto& batch : batched_inputs(graph, split.check, judge, counts)) inputs.push_back(std::move(batch));
}

std::vector<bool> nodes_behind_cut(const ChannelGroups& groups, const Mask& mask) {
  const Graph& graph = groups.analysis().graph;
  std::vector<bool> behind(graph.nodes.size(), false);
  for (const auto& gate : groups.gates()) {
    if (std::any_of(gate.groups.begin(), gate.groups.end(),
                    [&](int g) { return g >= 0 && mask[at_index(g)] == 0; }))
      behind[at_index(gate.node)] = true;
  }
  std::vector<bool> other(graph.values.size(), false);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const auto* list : {&graph.nodes[n].inputs, &graph.nodes[n].captured}) {
      for (int v : *list) {
        if (v >= 0 && other[at_index(v)]) behind[n] = true;
      }
    }
    if (!behind[n]) continue;
    for (int v : graph.nodes[n].outputs) {
      if (v >= 0) other[at_index(v)] = true;
    }
  }
  return behind;
}

Bench::Bench(const ChannelGroups& groups, const Mask& mask, const FitAndCheck& data, const Trial& trial,
             const RefitOptions& options)
    : groups_(groups),
      mask_(mask),
      data_(data),
      trial_(trial),
      cut_graph_(slice(groups, mask)),
      graph_(cut_graph_),
      // The live values and the trials' own must fit.
      cut_(graph_, data.inputs, options.memory_limit / 2),
      behind_cut_(nodes_behind_cut(groups, mask)) {
  metric_ = cut_metric_ = score(0, {});
}

double Bench::score(int node, const Changes& changes) {
  std::vector<at::Tensor> outputs;
  for (std::size_t b = data_.fit_batches; b < data_.batches(); ++b)
    outputs.push_back(cut_.finish(node, b, changes));
  return trial_.score(outputs, data_.check_counts());
}

void Bench::accept(const Changes& changes, double metric) {
  for (const auto& [value, tensor] : changes) graph_.values[at_index(value)].constant = tensor;
  cut_.apply(changes);
  metric_ = metric;
}

at::Tensor Bench::kept(int value, int axis) const {
  const auto indices = groups_.kept(value, axis, mask_);
  return indices ? at::tensor(*indices, at::kLong) : at::Tensor();
}

void check_options(const RefitOptions& o) {
  if (!(o.check_share > 0 && o.check_share < 1))
    throw InputError("refit: the share of scenes kept back for checking must lie between 0 and 1");
  if (o.ridges.empty() || std::any_of(o.ridges.begin(), o.ridges.end(), [](double r) { return !(r > 0); }))
    throw InputError("refit: ridges must be given, each above 0");
  if (!(o.positions_per_unknown >= 1)) throw InputError("refit: positions_per_unknown must be at least 1");
}

}  // namespace quboprune
