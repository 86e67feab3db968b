#include "recover/refit_importance.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

#include "quboprune/executor.h"
#include "quboprune/random.h"

namespace quboprune {
namespace {

constexpr double kFloor = 0.1;

at::Tensor random_signs(const at::Tensor& like, Rng& rng) {
  at::Tensor signs = at::empty(like.sizes(), at::kFloat);
  auto* numbers = static_cast<float*>(signs.data_ptr());
  for (std::int64_t i = 0; i < signs.numel(); ++i) numbers[i] = (rng() >> 63U) != 0 ? 1.0F : -1.0F;
  return signs.to(like.scalar_type());
}

/// Layers by the value that they give.
std::map<int, const LinearLayer*> by_output(const Graph& graph, const std::vector<LinearLayer>& layers) {
  std::map<int, const LinearLayer*> result;
  for (const auto& layer : layers)
    result[graph.nodes[static_cast<std::size_t>(layer.node())].output(0)] = &layer;
  return result;
}

at::Tensor weights_of(const LinearLayer& layer, const at::Tensor& gradient) {
  const at::Tensor squares = gradient.detach() * gradient.detach();
  if (gradient.dim() != 4 || layer.channel_axis() != 1) return layer.flat(squares).mean(1);
  const at::Tensor mean = squares.mean(1, true);
  return layer.flat(at::avg_pool2d(mean, {5, 5}, {1, 1}, {2, 2}, false, false)).squeeze(1);
}

void normalise(PositionWeights& all) {
  for (auto entry = all.begin(); entry != all.end();) {
    double sum = 0;
    double count = 0;
    for (const auto& w : entry->second) {
      sum += w.sum().item<double>();
      count += static_cast<double>(w.numel());
    }
    if (!(sum > 0) || !(sum < 1e30)) {
      entry = all.erase(entry);
      continue;
    }
    for (auto& w : entry->second) w = (w * (count / sum) + kFloor) / (1 + kFloor);
    ++entry;
  }
}

}  // namespace

PositionWeights position_weights(const Graph& graph, const JudgedInputs& judged,
                                 const std::vector<LinearLayer>& layers, std::uint64_t seed) {
  const at::AutoGradMode with_gradients(true);
  const Executor network(graph);
  const auto layer_of = by_output(graph, layers);
  Rng rng(seed);
  PositionWeights result;
  std::size_t first = 0;
  for (std::size_t b = 0; b < judged.inputs.size(); ++b) {
    const auto samples = judged.samples.subspan(first, judged.counts[b]);
    first += judged.counts[b];
    std::vector<at::Tensor> data = judged.inputs[b];
    data.front() = data.front().detach().clone().set_requires_grad(true);
    std::vector<const LinearLayer*> reached;
    std::vector<at::Tensor> outputs;
    RunOptions run;
    run.on_value = [&](int value, const at::Tensor& tensor) {
      const auto found = layer_of.find(value);
      if (found == layer_of.end() || !tensor.requires_grad()) return;
      reached.push_back(found->second);
      outputs.push_back(tensor);
    };
    const at::Tensor out = network.run(data, run).front();
    if (!out.requires_grad() || outputs.empty()) return {};
    try {
      const at::Tensor probe =
          scaled_by_sample(random_signs(out, rng), metric_weights(samples, out.detach(), judged.judge));
      const auto gradients = torch::autograd::grad({out}, outputs, {probe},
                                                   /*retain_graph=*/false, false, /*allow_unused=*/true);
      for (std::size_t k = 0; k < gradients.size(); ++k) {
        if (gradients[k].defined())
          result[reached[k]->node()].push_back(weights_of(*reached[k], gradients[k]));
      }
    } catch (const c10::Error&) {
      return {};  // an operator without a derivative
    }
  }
  std::erase_if(result, [&](const auto& entry) { return entry.second.size() != judged.inputs.size(); });
  normalise(result);
  return result;
}

}  // namespace quboprune
