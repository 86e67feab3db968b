#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "core/index.h"
#include "coupling/analysis.h"
#include "evaluation/probes.h"
#include "ops/base/layers.h"
#include "quboprune/batches.h"
#include "quboprune/error.h"
#include "quboprune/random.h"
#include "quboprune/scores.h"
#include "scores/gates.h"
#include "scores/similarity.h"

namespace quboprune {
namespace {

/// A layer's weights and the axis that its output channels lie on; axis -1 if it has none of its own.
struct LayerWeight {
  int value = -1;
  int axis = -1;
  /// Grouped transposed convolutions repeat the axis for each part of the inputs, which lie on the first.
  std::int64_t parts = 1;
};

LayerWeight weight_of(const ChannelGroups& groups, const Layer& layer) {
  const Graph& graph = groups.analysis().graph;
  const Node& node = graph.nodes[at_index(layer.node)];
  for (int operand = 0; operand < static_cast<int>(node.inputs.size()); ++operand) {
    const int v = node.input(operand);
    if (v < 0 || !graph.values[at_index(v)].is_constant()) continue;
    const int dims = static_cast<int>(graph.values[at_index(v)].constant.dim());
    if (dims < 2) continue;
    // The inputs' axis may hold the same groups: of a residual matrix product, say.
    std::vector<int> axes{output_axis(node, operand, dims)};
    for (int axis = 0; axis < dims; ++axis) axes.push_back(axis);
    for (const int axis : axes) {
      if (axis < 0) continue;
      const auto on = groups.on_axis(v, axis);
      if (!on.empty() && on == layer.groups) return {v, axis};
    }
    const auto parts = node.integer("group", 1);
    if (node.op == "ConvTranspose" && parts > 1) return {v, 1, parts};
  }
  return {};
}

/// Sums `per_weight` over the weights of each output channel, then over each group's members.
void add_by_group(const Layer& layer, const LayerWeight& weight, const at::Tensor& per_weight,
                  std::vector<double>& into) {
  const at::Tensor by_output =
      weight.parts == 1 ? rows_of(per_weight, weight.axis).sum(0)
                        : per_weight.reshape({weight.parts, -1, per_weight.size(1), per_weight[0][0].numel()})
                              .sum({1, 3})
                              .flatten();
  const at::Tensor sums = by_output.to(at::kDouble).contiguous();
  const auto* data = static_cast<const double*>(sums.data_ptr());
  for (std::size_t i = 0; i < layer.groups.size(); ++i) {
    if (layer.groups[i] >= 0) into[at_index(layer.groups[i])] += data[i];
  }
}

void add_norms(const ChannelGroups& groups, const Executor& network, Scores& s) {
  for (const auto& layer : groups.layers()) {
    const LayerWeight weight = weight_of(groups, layer);
    if (weight.axis < 0) continue;
    const at::Tensor w = network.constant(weight.value).detach().to(at::kFloat);
    add_by_group(layer, weight, w.abs(), s.l1);
    add_by_group(layer, weight, w * w, s.l2);
  }
  for (double& v : s.l2) v = std::sqrt(v);
}

class ScorePass {
 public:
  ScorePass(const ChannelGroups& groups, std::span<const Sample> samples, const Judge& judge,
            const ScoreOptions& options, const Control& control)
      : groups_(groups),
        samples_(samples),
        judge_(judge),
        options_(options),
        control_(control),
        network_(groups.analysis().graph),
        sums_(std::make_unique<SimilaritySums>(groups, options.centred)),
        random_(options.seed) {
    const auto n = at_index(groups.size());
    result_.groups = groups.size();
    for (auto* list : {&result_.l1, &result_.l2, &result_.taylor, &result_.fisher, &result_.energy})
      list->assign(n, 0.0);
    result_.label_free = judge.loss == Loss::output || !samples.front().target.defined();
  }

  Scores run() {
    add_norms(groups_, network_, result_);
    if (options_.weight_gradients && !result_.label_free) watch_weights();
    const bool one_by_one = !run_batches(one_at_a_time(groups_.analysis().graph) ? 1 : options_.batch);
    if (one_by_one) {
      start_again();
      check(run_batches(1), "gates of a single sample can't be told apart");
    }
    finish();
    return std::move(result_);
  }

 private:
  void watch_weights() {
    for (const auto& layer : groups_.layers()) {
      const LayerWeight weight = weight_of(groups_, layer);
      if (weight.axis < 0) continue;
      const at::Tensor leaf =
          network_.constant(weight.value).detach().clone(at::MemoryFormat::Preserve).requires_grad_(true);
      network_.set_constant(weight.value, leaf);
      watched_.push_back({&layer, weight, at::zeros_like(leaf)});
    }
  }

  /// The loss's gradients; the probes' go through the same leaves and are dropped.
  void take_weight_gradients(bool of_loss) {
    const at::NoGradGuard no_grad;
    for (auto& watched : watched_) {
      at::Tensor& gradient = network_.constant(watched.weight.value).mutable_grad();
      if (gradient.defined() && of_loss) watched.gradient.add_(gradient);
      gradient.reset();
    }
  }

  void start_again() {
    result_.gradients.clear();
    result_.probes.clear();
    probe_weight_ = 0;
    for (auto& watched : watched_) watched.gradient.zero_();
    sums_ = std::make_unique<SimilaritySums>(groups_, options_.centred);
  }

  bool run_batches(int largest) {
    std::size_t done = 0;
    for (const auto& batch : batches(samples_, largest)) {
      stop_if_asked();
      const auto inputs = network_inputs(network_.graph(), batch, judge_);
      if (!backward_passes(batch, inputs)) return false;
      done += batch.samples.size();
      control_.report("score", static_cast<double>(done), static_cast<double>(samples_.size()),
                      std::numeric_limits<double>::quiet_NaN());
    }
    return true;
  }

  /// Adds to the similarity sums while the gates are set, once for each value. What a channel does to a mean
  /// is how far it is from it.
  InputHook recording(GateRun& gates, bool record) {
    InputHook inner = gates.hook();
    if (!record) return inner;
    std::multimap<std::pair<int, int>, const GatePoint*>
        first;  // at each place a gate of a value's axis not seen yet
    std::set<std::tuple<int, int, bool>> seen;
    for (const auto& gate : groups_.gates()) {
      const int value = network_.graph().nodes[at_index(gate.node)].inputs[at_index(gate.input)];
      if (seen.insert({value, gate.axis, gate.averages}).second)
        first.insert({{gate.node, gate.input}, &gate});
    }
    return [this, inner, first = std::move(first)](int node, int input, const at::Tensor& tensor) {
      const auto [begin, end] = first.equal_range({node, input});
      for (auto it = begin; it != end; ++it) {
        const at::NoGradGuard no_grad;
        const GatePoint& gate = *it->second;
        sums_->add(gate, gate.averages ? tensor - tensor.mean(gate.axis, true) : tensor);
      }
      return inner(node, input, tensor);
    };
  }

  /// One run forward serves the loss's gradient and every probe's. False if samples can't be told apart.
  bool backward_passes(const Batch& batch, const std::vector<at::Tensor>& inputs) {
    const auto n = static_cast<std::int64_t>(batch.samples.size());
    const int probes = result_.label_free ? std::max(1, options_.probes) : options_.probes;
    GateRun gates(groups_, n);
    RunOptions run;
    run.on_input = recording(gates, options_.similarity);
    run.on_mean = gates.mean_hook();
    const at::Tensor output = network_.run(inputs, run).front();
    if (!result_.label_free) {
      const at::Tensor loss = sample_losses(judge_.loss, output, batch.target, judge_.class_scores).sum();
      if (loss.requires_grad()) loss.backward({}, /*retain_graph=*/probes > 0);
      take_weight_gradients(true);
      if (!gates.separable()) return false;
      append(gates.take(), result_.gradients);
    }
    return probe_passes(batch, output, probes, gates);
  }

  void stop_if_asked() const {
    if (control_.stopped()) throw Stopped("stopped while scoring: nothing was written");
  }

  bool probe_passes(const Batch& batch, const at::Tensor& output, int probes, GateRun& gates) {
    const auto n = batch.samples.size();
    const auto weights = metric_weights(samples_.subspan(static_cast<std::size_t>(batch.samples.front()), n),
                                        output.detach(), judge_);
    const double scale =
        1 / std::sqrt(std::max(1.0, static_cast<double>(output.numel()) / static_cast<double>(n)));
    for (int p = 0; p < probes && output.requires_grad(); ++p) {
      stop_if_asked();
      for (double w : weights) probe_weight_ += w;
      output.backward(scaled_by_sample(normal_like(output, random_()) * scale, weights),
                      /*retain_graph=*/p + 1 < probes);
      if (!gates.separable()) return false;
      append(gates.take(), result_.probes);
    }
    take_weight_gradients(false);
    return true;
  }

  static void append(const at::Tensor& rows, std::vector<float>& into) {
    const at::Tensor plain = rows.contiguous();
    const auto* data = static_cast<const float*>(plain.data_ptr());
    into.insert(into.end(), data, data + plain.numel());
  }

  void finish() {
    const auto n = at_index(groups_.size());
    result_.rows = n == 0 ? 0 : static_cast<int>(result_.gradients.size() / n);
    result_.probe_rows = n == 0 ? 0 : static_cast<int>(result_.probes.size() / n);
    const double mean_weight = probe_weight_ / std::max(1, result_.probe_rows);
    const auto unit = static_cast<float>(mean_weight > 0 ? 1 / std::sqrt(mean_weight) : 1);
    for (float& v : result_.probes) v *= unit;
    const auto& rows = result_.label_free ? result_.probes : result_.gradients;
    const double count = std::max(1, result_.label_free ? result_.probe_rows : result_.rows);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const double g = rows[i];
      result_.taylor[i % n] += std::abs(g) / count;
      result_.fisher[i % n] += g * g / (2 * count);
    }
    if (!watched_.empty()) result_.taylor_weight.assign(n, 0.0);
    for (const auto& [layer, weight, gradient] : watched_) {
      const at::Tensor w = network_.constant(weight.value).detach();
      add_by_group(*layer, weight, w * gradient / static_cast<double>(samples_.size()),
                   result_.taylor_weight);
    }
    for (double& v : result_.taylor_weight) v *= v;
    if (options_.similarity) {
      result_.similarity = sums_->blocks();
      result_.energy = sums_->energy();
    }
  }

  const ChannelGroups& groups_;
  std::span<const Sample> samples_;
  const Judge& judge_;
  const ScoreOptions& options_;
  const Control& control_;
  Executor network_;
  std::unique_ptr<SimilaritySums> sums_;
  Rng random_;
  Scores result_;
  double probe_weight_ = 0;  // metric_weights of all probe rows together
  struct Watched {
    const Layer* layer;
    LayerWeight weight;
    at::Tensor gradient;  // of the loss, summed over samples
  };
  std::vector<Watched> watched_;
};

}  // namespace

Scores score(const ChannelGroups& groups, std::span<const Sample> samples, const Judge& judge,
             const ScoreOptions& options, const Control& control) {
  if (samples.empty()) throw InputError("no calibration samples: nothing to score on");
  if (options.probes < 0 || options.batch < 1)
    throw InputError("scores: give 0 or more probes, and batches of at least 1");
  return ScorePass(groups, samples, judge, options, control).run();
}

}  // namespace quboprune
