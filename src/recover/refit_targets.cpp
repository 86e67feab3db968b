#include "recover/refit_targets.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "evaluation/probes.h"
#include "quboprune/executor.h"
#include "quboprune/random.h"
#include "recover/refit_positions.h"

namespace quboprune {
namespace {

constexpr double kFloor = 0.1;

at::Tensor random_signs(const at::Tensor& like, Rng& rng) {
  at::Tensor signs = at::empty(like.sizes(), at::kFloat);
  auto* numbers = static_cast<float*>(signs.data_ptr());
  for (std::int64_t i = 0; i < signs.numel(); ++i) numbers[i] = (rng() >> 63U) != 0 ? 1.0F : -1.0F;
  return signs.to(like.scalar_type());
}

at::Tensor weights_of(const LinearLayer& layer, const at::Tensor& gradient) {
  const at::Tensor squares = gradient.detach() * gradient.detach();
  if (gradient.dim() != 4 || layer.channel_axis() != 1) return layer.flat(squares).mean(1);
  const at::Tensor mean = squares.mean(1, true);
  return layer.flat(at::avg_pool2d(mean, {5, 5}, {1, 1}, {2, 2}, false, false)).squeeze(1);
}

class Pass {
 public:
  Pass(const Graph& graph, const JudgedInputs& judged, const std::vector<LinearLayer>& layers,
       const TargetOptions& options, const Control& control)
      : judged_(judged),
        layers_(layers),
        options_(options),
        control_(control),
        network_(graph),
        weighing_(options.weigh),
        probes_(options.seed),
        draws_(options.seed),
        sums_(layers.size()),
        counts_(layers.size()),
        targets_(layers.size()) {
    for (std::size_t k = 0; k < layers.size(); ++k)
      layer_of_[graph.nodes[static_cast<std::size_t>(layers[k].node())].output(0)] = k;
  }

  TargetPass run() {
    for (std::size_t b = 0; b < judged_.inputs.size(); ++b) {
      const auto samples = judged_.samples.subspan(first_, judged_.counts[b]);
      first_ += judged_.counts[b];
      if (b == 0 || (!control_.stopped() && result_.batches == b)) {
        add(b, samples);
        ++result_.batches;
      } else if (b >= options_.fitted) {
        const at::NoGradGuard no_grad;
        result_.outputs.push_back(network_.run(judged_.inputs[b]).front());
      }
    }
    for (std::size_t k = 0; k < layers_.size(); ++k) {
      if (targets_[k].positions.size() != result_.batches) continue;
      normalise(k);
      result_.layers[layers_[k].node()] = std::move(targets_[k]);
    }
    return std::move(result_);
  }

 private:
  void add(std::size_t b, std::span<const Sample> samples) {
    const at::AutoGradMode mode(weighing_);
    std::vector<at::Tensor> data = judged_.inputs[b];
    data.front() = data.front().detach().clone().set_requires_grad(weighing_);
    std::vector<at::Tensor> outputs(layers_.size());
    RunOptions run;
    run.on_value = [&](int value, const at::Tensor& tensor) {
      if (const auto found = layer_of_.find(value); found != layer_of_.end()) outputs[found->second] = tensor;
    };
    const at::Tensor out = network_.run(data, run).front();
    const std::vector<at::Tensor> gradients = weighing_ ? derivatives(out, outputs, samples) : outputs;
    if (b >= options_.fitted) result_.outputs.push_back(out.detach());
    const at::NoGradGuard no_grad;
    if (b == 0) find_shares(outputs);
    for (std::size_t k = 0; k < layers_.size(); ++k) {
      if (outputs[k].defined()) keep(k, outputs[k].detach(), weighing_ ? gradients[k] : at::Tensor());
    }
  }

  /// By layer, undefined where none reaches; all are from the first batch on that has none at all, as an
  /// operator without a derivative has none anywhere.
  std::vector<at::Tensor> derivatives(const at::Tensor& out, const std::vector<at::Tensor>& outputs,
                                      std::span<const Sample> samples) {
    std::vector<std::size_t> reached;
    std::vector<at::Tensor> by;
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      if (!outputs[k].defined() || !outputs[k].requires_grad()) continue;
      reached.push_back(k);
      by.push_back(outputs[k]);
    }
    std::vector<at::Tensor> result(outputs.size());
    weighing_ = out.requires_grad() && !by.empty();
    if (!weighing_) return result;
    try {
      const at::Tensor probe =
          scaled_by_sample(random_signs(out, probes_), metric_weights(samples, out.detach(), judged_.judge));
      const auto gradients =
          torch::autograd::grad({out}, by, {probe}, /*retain_graph=*/false, false, /*allow_unused=*/true);
      for (std::size_t i = 0; i < gradients.size(); ++i) result[reached[i]] = gradients[i];
    } catch (const c10::Error&) {
      weighing_ = false;
    }
    return result;
  }

  /// How many of a layer's positions are drawn: as many as its unknowns ask for and memory holds.
  void find_shares(const std::vector<at::Tensor>& outputs) {
    const double fitted = judged_.size_of(options_.fitted);
    const double all = judged_.size_of(judged_.inputs.size());
    double bytes = 0;
    for (std::size_t k = 0; k < layers_.size(); ++k) {
      double share = 0;
      if (outputs[k].defined()) {
        const at::Tensor flat = layers_[k].flat(outputs[k]);
        const auto positions = static_cast<double>(flat.size(0));
        const double wanted = options_.positions_per_unknown * static_cast<double>(layers_[k].columns() + 1);
        share = std::min(1.0, wanted / (positions * fitted));
        bytes += share * positions * all * static_cast<double>(flat.size(1)) * sizeof(float);
      }
      shares_.push_back(share);
    }
    if (!options_.outputs || bytes <= static_cast<double>(options_.memory_limit)) return;
    result_.thinned = static_cast<double>(options_.memory_limit) / bytes;
    for (double& share : shares_) share *= result_.thinned;
  }

  void keep(std::size_t k, const at::Tensor& output, const at::Tensor& gradient) {
    const at::Tensor flat = layers_[k].flat(output);
    const at::Tensor positions = spread_positions(flat.size(0), shares_[k], draws_);
    LayerTargets& kept = targets_[k];
    kept.positions.push_back(positions);
    kept.shapes.push_back(output.sizes().vec());
    if (options_.outputs) kept.outputs.push_back(flat.index_select(0, positions));
    if (!gradient.defined()) return;
    const at::Tensor weights = weights_of(layers_[k], gradient);
    sums_[k] += weights.sum().item<double>();
    counts_[k] += static_cast<double>(weights.numel());
    kept.weights.push_back(weights.index_select(0, positions));
  }

  void normalise(std::size_t k) {
    LayerTargets& kept = targets_[k];
    if (!weighing_ || kept.weights.size() != kept.positions.size() || !(sums_[k] > 0) || !(sums_[k] < 1e30)) {
      kept.weights.clear();
      for (const auto& p : kept.positions) kept.weights.push_back(at::ones({p.numel()}, at::kFloat));
      return;
    }
    for (auto& w : kept.weights) w = (w * (counts_[k] / sums_[k]) + kFloor) / (1 + kFloor);
  }

  const JudgedInputs& judged_;
  const std::vector<LinearLayer>& layers_;
  const TargetOptions& options_;
  const Control& control_;
  const Executor network_;
  bool weighing_;
  Rng probes_, draws_;
  std::map<int, std::size_t> layer_of_;  // by the value that it gives
  std::size_t first_ = 0;                // sample of the batch
  std::vector<double> sums_, counts_;    // of the weights at all positions
  std::vector<double> shares_;
  std::vector<LayerTargets> targets_;
  TargetPass result_;
};

}  // namespace

double JudgedInputs::size_of(std::size_t count) const {
  double elements = 0;
  for (std::size_t b = 0; b < count; ++b) elements += static_cast<double>(inputs[b].front().numel());
  return elements / static_cast<double>(inputs[0].front().numel());
}

TargetPass gather_targets(const Graph& graph, const JudgedInputs& judged,
                          const std::vector<LinearLayer>& layers, const TargetOptions& options,
                          const Control& control) {
  return Pass(graph, judged, layers, options, control).run();
}

}  // namespace quboprune
