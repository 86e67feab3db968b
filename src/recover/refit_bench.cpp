#include "recover/refit_bench.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "coupling/analysis.h"
#include "quboprune/error.h"
#include "quboprune/random.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

constexpr int kBatch = 4;  // small: the suffix of a trial then stays near the cache; no slower than 16
constexpr std::int64_t kElements = std::int64_t{1} << 18;

std::size_t at_index(int i) {
  return static_cast<std::size_t>(i);
}

template <typename T>
void shuffle(std::vector<T>& items, Rng& rng) {
  for (std::size_t i = items.size(); i > 1; --i)
    std::swap(items[i - 1], items[rng.below(static_cast<std::uint32_t>(i))]);
}

/// At least one and at most all but one of n.
std::size_t share_of(std::size_t n, double share) {
  const auto wanted = static_cast<std::size_t>(std::lround(share * static_cast<double>(n)));
  return std::clamp<std::size_t>(wanted, 1, n - 1);
}

}  // namespace

CheckSplit split_scenes(std::span<const Sample> samples, double share, std::uint64_t seed) {
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
  if (outputs.dim() > 0 && outputs.size(0) == static_cast<std::int64_t>(count)) {
    for (std::int64_t k = 0; k < outputs.size(0); ++k) into.push_back(outputs[k]);
  } else if (count == 1) {
    into.push_back(outputs);
  } else {
    throw InputError("the network's first output has no batch axis; give samples one at a time");
  }
}

double Trial::score(const std::vector<at::Tensor>& outputs, const std::vector<std::size_t>& counts) const {
  std::vector<at::Tensor> single;
  for (std::size_t b = 0; b < outputs.size(); ++b) split(outputs[b], counts[b], single);
  std::vector<double> values;
  for (std::size_t s = 0; s < single.size(); ++s) {
    values.push_back(evaluate(judge_.metric, judge_.loss, single[s],
                              target_of(samples_[s], s, judge_, references_), judge_.peak));
  }
  return score_of(std::move(values)).mean;
}

std::vector<std::vector<at::Tensor>> batched_inputs(const Graph& graph, const std::vector<Sample>& samples,
                                                    const Judge& judge, std::vector<std::size_t>& counts) {
  if (graph.inputs.empty()) throw InputError("the network has no inputs: there is nothing to refit it on");
  std::vector<std::vector<at::Tensor>> result;
  for (const auto& batch : batches(samples, one_at_a_time(graph) ? 1 : kBatch, kElements)) {
    counts.push_back(batch.samples.size());
    result.push_back(network_inputs(graph, batch.input, judge));
  }
  return result;
}

std::vector<std::vector<at::Tensor>> Bench::inputs_of(const Graph& graph, const Judge& judge) {
  auto result = batched_inputs(graph, split_.fit, judge, counts_);
  fit_batches_ = counts_.size();
  for (auto& inputs : batched_inputs(graph, split_.check, judge, counts_))
    result.push_back(std::move(inputs));
  return result;
}

Bench::Bench(const ChannelGroups& groups, const Mask& mask, std::span<const Sample> calibration,
             const Judge& judge, const RefitOptions& options)
    : groups_(groups),
      mask_(mask),
      judge_(judge),
      cut_graph_(slice(groups, mask)),
      graph_(cut_graph_),
      split_(split_scenes(calibration, options.check_share, options.seed)),
      inputs_(inputs_of(groups.analysis().graph, judge)),
      trial_(split_.check, judge),
      dense_(groups.analysis().graph, inputs_, false),
      cut_(graph_, inputs_, false) {
  samples_ = split_.fit;
  samples_.insert(samples_.end(), split_.check.begin(), split_.check.end());
  // Both networks' live values and the trials' own must fit; else everything is run from the inputs anew.
  if (2 * dense_.live_bytes() < options.memory_limit / 4 * 3) {
    dense_ = Lockstep(groups.analysis().graph, inputs_, true);
    cut_ = Lockstep(graph_, inputs_, true);
  }
  std::vector<at::Tensor> outputs;
  for (std::size_t b = fit_batches_; b < batches(); ++b) {
    outputs.push_back(dense_.finish(0, b, {}));
    trial_.add_references(outputs.back(), counts_[b]);
  }
  dense_metric_ = trial_.score(outputs, check_counts());
  metric_ = cut_metric_ = score(0, {});
  find_affected();
}

double Bench::fit_size() const {
  double elements = 0;
  for (std::size_t b = 0; b < fit_batches_; ++b) elements += static_cast<double>(inputs_[b].front().numel());
  return elements / static_cast<double>(inputs_[0].front().numel());
}

std::vector<std::size_t> Bench::check_counts() const {
  return {counts_.begin() + static_cast<std::ptrdiff_t>(fit_batches_), counts_.end()};
}

double Bench::score(int node, const Changes& changes) {
  std::vector<at::Tensor> outputs;
  for (std::size_t b = fit_batches_; b < batches(); ++b) outputs.push_back(cut_.finish(node, b, changes));
  return trial_.score(outputs, {counts_.begin() + static_cast<std::ptrdiff_t>(fit_batches_), counts_.end()});
}

void Bench::accept(const Changes& changes, double metric) {
  for (const auto& [value, tensor] : changes) graph_.values[at_index(value)].constant = tensor;
  cut_.apply(changes);
  metric_ = metric;
}

void Bench::find_affected() {
  reads_cut_.assign(graph_.nodes.size(), false);
  for (const auto& gate : groups_.gates()) {
    if (std::any_of(gate.groups.begin(), gate.groups.end(),
                    [&](int g) { return g >= 0 && mask_[at_index(g)] == 0; }))
      reads_cut_[at_index(gate.node)] = true;
  }
  affected_ = reads_cut_;
  std::vector<bool> other(graph_.values.size(), false);
  for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
    for (const auto* list : {&graph_.nodes[n].inputs, &graph_.nodes[n].captured}) {
      for (int v : *list) {
        if (v >= 0 && other[at_index(v)]) affected_[n] = true;
      }
    }
    if (!affected_[n]) continue;
    for (int v : graph_.nodes[n].outputs) {
      if (v >= 0) other[at_index(v)] = true;
    }
  }
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
