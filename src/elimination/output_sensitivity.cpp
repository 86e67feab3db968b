#include "elimination/output_sensitivity.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>
#include <map>

#include "evaluation/probes.h"
#include "quboprune/batches.h"
#include "quboprune/random.h"

namespace quboprune {
namespace {

/// Derivatives of one batch's outputs by layers' outputs.
struct Reached {
  std::vector<std::size_t> layers;
  std::vector<at::Tensor> outputs;
  at::Tensor result;
};

Reached run(const Executor& network, std::vector<at::Tensor> inputs,
            const std::map<int, std::size_t>& layer_of) {
  Reached reached;
  inputs.front() = inputs.front().detach().clone().set_requires_grad(true);
  RunOptions options;
  options.on_value = [&](int value, const at::Tensor& tensor) {
    const auto found = layer_of.find(value);
    if (found == layer_of.end() || !tensor.requires_grad()) return;
    reached.layers.push_back(found->second);
    reached.outputs.push_back(tensor);
  };
  reached.result = network.run(inputs, options).front();
  return reached;
}

}  // namespace

std::vector<at::Tensor> output_sensitivity(const Graph& graph, std::span<const Sample> samples,
                                           const Judge& judge, const std::vector<LinearLayer>& layers,
                                           int probes, std::uint64_t seed, const Control& control) {
  const at::AutoGradMode with_gradients(true);
  const Executor network(graph);
  std::map<int, std::size_t> layer_of;
  std::vector<at::Tensor> sums;
  for (std::size_t k = 0; k < layers.size(); ++k) {
    layer_of[graph.nodes[static_cast<std::size_t>(layers[k].node())].output(0)] = k;
    const auto outputs =
        layers[k].matrix(graph.values[static_cast<std::size_t>(layers[k].weight_value())].constant).size(1);
    sums.push_back(at::zeros({layers[k].groups(), outputs, outputs}, at::kDouble));
  }
  Rng random(seed);
  double elements = 0;
  for (const auto& batch : batches(samples, one_at_a_time(graph) ? 1 : 8)) {
    if (control.stopped() && elements > 0) break;
    const Reached reached = run(network, network_inputs(graph, batch, judge), layer_of);
    const auto first = static_cast<std::size_t>(batch.samples.front());
    const auto weights =
        metric_weights(samples.subspan(first, batch.samples.size()), reached.result.detach(), judge);
    for (double w : weights)
      elements +=
          w * probes * static_cast<double>(reached.result.numel()) / static_cast<double>(weights.size());
    if (!reached.result.requires_grad() || reached.outputs.empty()) continue;
    for (int p = 0; p < probes; ++p) {
      const auto gradients =
          torch::autograd::grad({reached.result}, reached.outputs,
                                {scaled_by_sample(normal_like(reached.result, random()), weights)},
                                /*retain_graph=*/p + 1 < probes, false, /*allow_unused=*/true);
      for (std::size_t i = 0; i < gradients.size(); ++i) {
        if (!gradients[i].defined()) continue;
        const LinearLayer& layer = layers[reached.layers[i]];
        const at::Tensor rows = layer.by_group(layer.flat(gradients[i].detach().to(at::kFloat)));
        sums[reached.layers[i]].add_(at::matmul(rows.transpose(1, 2), rows).to(at::kDouble));
      }
    }
    control.report("sensitivity", static_cast<double>(first + batch.samples.size()),
                   static_cast<double>(samples.size()), std::numeric_limits<double>::quiet_NaN());
  }
  for (auto& sum : sums) sum.div_(elements > 0 ? elements : 1.0);
  return sums;
}

}  // namespace quboprune
