// With the original network's second moments kept, removing inputs R of a layer and keeping K leaves
//   D = W_R G_RK (G_KK + ridge I)⁻¹   and   b' = b + W_R m_R - D m_K
// to add to its weights: one Cholesky solve, whatever the mask.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <optional>

#include "core/index.h"
#include "coupling/analysis.h"
#include "quboprune/error.h"
#include "quboprune/recover.h"
#include "recover/refit_algebra.h"
#include "recover/refit_bench.h"
#include "recover/refit_linear.h"
#include "recover/refit_moments.h"
#include "recover/refit_targets.h"

namespace quboprune {
namespace {

at::Tensor indices_of(const std::vector<std::int64_t>& list) {
  return at::tensor(list, at::kLong);
}

std::size_t gram_bytes(const LinearLayer& layer) {
  return sizeof(double) * static_cast<std::size_t>(layer.groups() * layer.columns() * layer.columns());
}

}  // namespace

struct GramCache::State {
  explicit State(const ChannelGroups& g) : groups(g) {}

  /// Kept and removed columns of a layer within a convolution group.
  struct Columns {
    std::vector<std::int64_t> kept, removed;
    std::vector<std::uint8_t> channels;  ///< the mask along the channels
  };

  void find_layers(std::size_t memory_limit);
  void gather(const JudgedInputs& judged, const Control& control);
  Columns columns_of(std::size_t k, const Mask& mask) const;
  WeightChange change_of(std::size_t k, const Columns& columns, double ridge) const;
  WeightChange solve(const InputGram& gram, const Columns& columns, double ridge) const;
  at::Tensor kept_outputs(const LinearLayer& layer, const Mask& mask) const;

  const ChannelGroups groups;
  std::size_t memory_limit = 0;
  std::vector<LinearLayer> layers;  // of the original, as grams
  std::vector<InputGram> grams;
  std::vector<std::string> left_out;

  using Key = std::tuple<std::size_t, double, std::vector<std::uint8_t>>;
  mutable std::mutex mutex;
  mutable std::map<Key, WeightChange> solved;
  mutable std::size_t solved_bytes = 0;
};

void GramCache::State::find_layers(std::size_t limit) {
  memory_limit = limit;
  const Graph& graph = groups.analysis().graph;
  std::size_t total = 0;
  std::vector<std::pair<int, LinearLayer>> found;
  for (std::size_t k = 0; k < groups.gates().size(); ++k) {
    const GatePoint& gate = groups.gates()[k];
    if (gate.averages) continue;
    std::string ignored;
    auto layer = LinearLayer::of(graph, graph, gate.node, ignored);
    if (!layer || layer->is_scale() || layer->data_input() != gate.input) continue;
    total += gram_bytes(*layer);
    found.emplace_back(static_cast<int>(k), std::move(*layer));
  }
  while (total > limit) {
    const auto largest = std::max_element(found.begin(), found.end(), [](const auto& a, const auto& b) {
      return gram_bytes(a.second) < gram_bytes(b.second);
    });
    total -= gram_bytes(largest->second);
    left_out.push_back(graph.nodes[at_index(largest->second.node())].name);
    found.erase(largest);
  }
  for (auto& [gate, layer] : found) {
    InputGram gram;
    gram.gate = gate;
    gram.node = layer.node();
    gram.taps = layer.taps();
    gram.weight = layer.matrix(graph.values[at_index(layer.weight_value())].constant);
    grams.push_back(std::move(gram));
    layers.push_back(std::move(layer));
  }
}

void GramCache::State::gather(const JudgedInputs& judged, const Control& control) {
  const Graph& graph = groups.analysis().graph;
  const auto& inputs = judged.inputs;
  const TargetPass pass =
      gather_targets(graph, judged, layers, {.outputs = false, .fitted = inputs.size()}, control);
  Lockstep network(graph, {inputs.begin(), inputs.end()}, false);
  std::vector<Moments> moments;
  for (const auto& layer : layers) moments.emplace_back(layer.bias().value >= 0);
  for (std::size_t b = 0; b < pass.batches && (b == 0 || !control.stopped()); ++b) {
    for (std::size_t k = 0; k < layers.size(); ++k) {
      const LinearLayer& layer = layers[k];
      const auto found = pass.layers.find(layer.node());
      check(found != pass.layers.end(), "a layer without any position");
      const LayerTargets& targets = found->second;
      const at::Tensor data = network.before(layer.node(), b)[at_index(layer.data_value())];
      const at::Tensor& positions = targets.positions[b];
      const at::Tensor none = at::empty({layer.groups(), positions.numel(), 0}, at::kFloat);
      moments[k].add(layer.rows(data, targets.shapes[b], positions), none, none, targets.weights[b]);
    }
    control.report("gram", static_cast<double>(b + 1), static_cast<double>(inputs.size()),
                   std::numeric_limits<double>::quiet_NaN());
  }
  for (std::size_t k = 0; k < layers.size(); ++k) {
    grams[k].gram = moments[k].gram();
    grams[k].mean = moments[k].row_mean();
  }
}

GramCache::State::Columns GramCache::State::columns_of(std::size_t k, const Mask& mask) const {
  const InputGram& gram = grams[k];
  const auto& on_axis = groups.gates()[at_index(gram.gate)].groups;
  const auto channels = static_cast<std::size_t>(layers[k].columns() / gram.taps);
  Columns result;
  // A grouped convolution's groups lose the same channels: the first speaks for all.
  for (std::size_t c = 0; c < channels; ++c) {
    const bool kept = on_axis[c] < 0 || mask[at_index(on_axis[c])] != 0;
    result.channels.push_back(kept ? 1 : 0);
    for (int t = 0; t < gram.taps; ++t) {
      (kept ? result.kept : result.removed)
          .push_back(static_cast<std::int64_t>(c) * gram.taps + static_cast<std::int64_t>(t));
    }
  }
  return result;
}

WeightChange GramCache::State::solve(const InputGram& gram, const Columns& columns, double ridge) const {
  const at::Tensor kept = indices_of(columns.kept);
  const at::Tensor removed = indices_of(columns.removed);
  const at::Tensor rows = gram.gram.index_select(1, kept);
  at::Tensor system = rows.index_select(2, kept);
  const double diagonal = system.diagonal(0, 1, 2).mean().item<double>();
  const at::Tensor lost = gram.weight.index_select(2, removed);  // [g, o, r]
  WeightChange change;
  change.delta = at::zeros({lost.size(0), lost.size(1), kept.numel()}, at::kDouble);
  if (diagonal > 0) {
    system.diagonal(0, 1, 2).add_(ridge * diagonal);
    const at::Tensor right = at::bmm(rows.index_select(2, removed), lost.transpose(1, 2));  // [g, k, o]
    if (const auto solution = solve_positive(system, right)) change.delta = solution->transpose(1, 2);
  }
  const auto times = [&](const at::Tensor& matrix, const at::Tensor& columns_kept) {
    return at::matmul(matrix, gram.mean.index_select(1, columns_kept).unsqueeze(2)).squeeze(2);
  };
  change.offset = times(lost, removed) - times(change.delta, kept);
  return change;
}

WeightChange GramCache::State::change_of(std::size_t k, const Columns& columns, double ridge) const {
  const Key key{k, ridge, columns.channels};
  {
    const std::lock_guard lock(mutex);
    const auto found = solved.find(key);
    if (found != solved.end()) return found->second;
  }
  const WeightChange change = solve(grams[k], columns, ridge);
  const std::lock_guard lock(mutex);
  if (solved_bytes > memory_limit) {
    solved.clear();
    solved_bytes = 0;
  }
  if (solved.try_emplace(key, change).second) solved_bytes += change.delta.nbytes();
  return change;
}

at::Tensor GramCache::State::kept_outputs(const LinearLayer& layer, const Mask& mask) const {
  const int y = groups.analysis().graph.nodes[at_index(layer.node())].output(0);
  auto kept = groups.kept(y, layer.channel_axis(), mask);
  if (!kept) return {};
  // A grouped convolution's groups lose the same channels: the first speaks for all.
  kept->resize(kept->size() / static_cast<std::size_t>(layer.groups()));
  return indices_of(*kept);
}

GramCache::GramCache(const ChannelGroups& groups, std::span<const Sample> samples, const Judge& judge,
                     std::size_t memory_limit, const Control& control)
    : state_(std::make_unique<State>(groups)) {
  if (samples.empty()) throw InputError("there are no calibration samples to refit on; give data");
  const at::NoGradGuard no_grad;
  state_->find_layers(memory_limit);
  std::vector<std::size_t> counts;
  const auto inputs =
      batched_inputs(groups.analysis().graph, {samples.begin(), samples.end()}, judge, counts);
  state_->gather({inputs, counts, samples, judge}, control);
}

GramCache::~GramCache() = default;

void GramCache::refit(const Mask& mask, Graph& sliced, double ridge) const {
  state_->groups.check_size(mask);
  if (!(ridge > 0) || !std::isfinite(ridge))
    throw InputError(fmt::format("a ridge of {}: give a number above 0", ridge));
  const at::NoGradGuard no_grad;
  for (std::size_t k = 0; k < state_->grams.size(); ++k) {
    const auto columns = state_->columns_of(k, mask);
    const at::Tensor outputs = state_->kept_outputs(state_->layers[k], mask);
    // Of an emptied branch the sliced network keeps a stand-in that nothing reads.
    const bool emptied = columns.kept.empty() || (outputs.defined() && outputs.numel() == 0);
    if (columns.removed.empty() || emptied) continue;
    std::string ignored;
    const auto layer =
        LinearLayer::of(sliced, state_->groups.analysis().graph, state_->layers[k].node(), ignored);
    if (!layer) continue;
    WeightChange change = state_->change_of(k, columns, ridge);
    if (outputs.defined()) {
      change.delta = change.delta.index_select(1, outputs);
      change.offset = change.offset.index_select(1, outputs);
    }
    Constant& weight = sliced.values[at_index(layer->weight_value())].constant;
    weight = layer->changed(weight, change.delta);
    if (layer->bias().value < 0) continue;
    Constant& bias = sliced.values[at_index(layer->bias().value)].constant;
    bias = layer->changed_bias(bias, change.offset);
  }
}

std::vector<InputGram> GramCache::take_grams() && {
  return std::move(state_->grams);
}

const std::vector<std::string>& GramCache::left_out() const {
  return state_->left_out;
}

}  // namespace quboprune
