#include "quboprune/evaluation.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "core/index.h"
#include "quboprune/error.h"
#include "runtime/fixed_batch.h"

namespace quboprune {
namespace {

bool same_shape(const Sample& a, const Sample& b) {
  return a.input.sizes() == b.input.sizes() && a.target.defined() == b.target.defined() &&
         (!a.target.defined() || a.target.sizes() == b.target.sizes()) &&
         std::ranges::equal(a.others, b.others, [](const auto& one, const auto& other) {
           return one.first == other.first && one.second.sizes() == other.second.sizes();
         });
}

Batch stack(std::span<const Sample> samples, int first, int count) {
  Batch batch;
  std::vector<at::Tensor> inputs;
  std::vector<at::Tensor> targets;
  for (int s = first; s < first + count; ++s) {
    batch.samples.push_back(s);
    inputs.push_back(samples[static_cast<std::size_t>(s)].input);
    if (samples[static_cast<std::size_t>(s)].target.defined())
      targets.push_back(samples[static_cast<std::size_t>(s)].target);
  }
  batch.input = at::stack(inputs);
  if (!targets.empty()) batch.target = at::stack(targets);
  for (const auto& [name, tensor] : samples[static_cast<std::size_t>(first)].others) {
    std::vector<at::Tensor> all;
    for (int s : batch.samples) all.push_back(samples[static_cast<std::size_t>(s)].others.at(name));
    batch.others[name] = at::stack(all);
  }
  return batch;
}

/// The samples' own array [n, ...] for an input. Of a single sample the input may want it without the batch
/// axis.
at::Tensor own_input(const Value& input, at::Tensor given) {
  const auto axes = static_cast<std::int64_t>(input.shape.size());
  if (input.declared && given.dim() == axes + 1 && given.size(0) == 1) given = given.squeeze(0);
  bool fits = !input.declared || given.dim() == axes;
  for (std::int64_t a = 0; fits && input.declared && a < axes; ++a) {
    const auto size = input.shape[static_cast<std::size_t>(a)];
    fits = size <= 0 || size == given.size(a);
  }
  if (!fits)
    throw InputError("the data's array '" + input.name + "' gives " + at::str(given.sizes()) +
                     " with its batch, which isn't the shape of the network's input");
  return given;
}

}  // namespace

SampleSizes sizes_of(const Sample& sample) {
  SampleSizes sizes{sample.input.sizes().vec(), {}};
  for (const auto& [name, array] : sample.others) sizes.others[name] = array.sizes().vec();
  return sizes;
}

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

bool one_at_a_time(const Graph& graph) {
  if (graph.inputs.empty()) return true;
  const Value& input = graph.values[static_cast<std::size_t>(graph.inputs.front())];
  const bool fixed = input.declared && !input.shape.empty() && input.shape[0] > 0;
  if (graph.outputs.empty()) return true;
  const Value& output = graph.values[static_cast<std::size_t>(graph.outputs.front())];
  const bool other_axis = output.declared && (output.shape.empty() || output.shape[0] > 0);
  return fixed || other_axis || graph.stand_ins || graph.inputs.size() > 1;
}

std::vector<Batch> batches(std::span<const Sample> samples, int largest, std::int64_t elements) {
  std::vector<Batch> result;
  const int n = static_cast<int>(samples.size());
  for (int first = 0; first < n;) {
    const auto size = std::max<std::int64_t>(1, samples[static_cast<std::size_t>(first)].input.numel());
    const int most = static_cast<int>(std::clamp<std::int64_t>(elements / size, 1, largest));
    int count = 1;
    while (count < most && first + count < n &&
           same_shape(samples[static_cast<std::size_t>(first)],
                      samples[static_cast<std::size_t>(first + count)]))
      ++count;
    result.push_back(stack(samples, first, count));
    first += count;
  }
  return result;
}

std::vector<at::Tensor> network_inputs(const Graph& graph, const Batch& samples, const Judge& judge) {
  if (graph.inputs.empty()) throw InputError("the network has no inputs: there is nothing to judge it on");
  const at::Tensor& batch = samples.input;
  std::vector<at::Tensor> inputs{batch};
  const Value& first = graph.values[static_cast<std::size_t>(graph.inputs.front())];
  if (first.declared && static_cast<std::int64_t>(first.shape.size()) != batch.dim()) {
    throw InputError("input '" + first.name + "' has " + std::to_string(first.shape.size()) +
                     " axes, the data with its batch " + std::to_string(batch.dim()) +
                     "; give data of the network's own form");
  }
  for (std::size_t a = 1; first.declared && a < first.shape.size(); ++a) {
    if (first.shape[a] > 0 && first.shape[a] != batch.size(static_cast<std::int64_t>(a))) {
      throw InputError("input '" + first.name + "' is " + std::to_string(first.shape[a]) + " along axis " +
                       std::to_string(a) + ", the data " +
                       std::to_string(batch.size(static_cast<std::int64_t>(a))) +
                       "; give data of the network's size (--crop, --heldout-crop, --channels)");
    }
  }
  for (std::size_t k = 1; k < graph.inputs.size(); ++k) {
    const Value& value = graph.values[static_cast<std::size_t>(graph.inputs[k])];
    const auto fill = judge.fills.find(value.name);
    const auto own = samples.others.find(value.name);
    if (fill == judge.fills.end() && own != samples.others.end()) {
      inputs.push_back(own_input(value, own->second));
      continue;
    }
    if (fill == judge.fills.end())
      throw InputError("input '" + value.name + "' has no data; give it a value with --input " + value.name +
                       "=VALUE, or the data (.npz, or a folder of .npy) an array of that name");
    std::vector<std::int64_t> shape = value.shape;
    for (std::size_t a = 0; a < shape.size(); ++a) {
      if (shape[a] < 0)
        shape[a] = static_cast<std::int64_t>(a) < batch.dim() ? batch.size(static_cast<std::int64_t>(a)) : 1;
    }
    inputs.push_back(at::full(shape, fill->second, at::kFloat));
  }
  return inputs;
}

at::Tensor output_of(const at::Tensor& outputs, std::size_t k, std::size_t count) {
  if (outputs.dim() > 0 && outputs.size(0) == static_cast<std::int64_t>(count))
    return outputs[static_cast<std::int64_t>(k)];
  if (count != 1)
    throw InputError(
        "the first axis of the network's first output isn't the batch; export it with the batch first");
  return outputs;
}

std::vector<at::Tensor> outputs_of(const Executor& network, std::span<const Sample> samples,
                                   const Judge& judge, const Control& control) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> result(samples.size());
  const int largest = one_at_a_time(network.graph()) ? 1 : 16;
  std::size_t done = 0;
  for (const auto& batch : batches(samples, largest)) {
    if (control.stopped()) throw Stopped("stopped while running the network: nothing was written");
    const at::Tensor out = network.run(network_inputs(network.graph(), batch, judge)).front();
    const std::size_t count = batch.samples.size();
    if (out.dim() == 0 || out.size(0) != batch.input.size(0)) {
      if (const auto why = other_batch(network.graph(), batch.input.size(0))) throw InputError(*why);
    }
    for (std::size_t k = 0; k < count; ++k)
      result[static_cast<std::size_t>(batch.samples[k])] = output_of(out, k, count);
    done += count;
    control.report("evaluate", static_cast<double>(done), static_cast<double>(samples.size()),
                   std::numeric_limits<double>::quiet_NaN());
  }
  return result;
}

std::vector<double> metric_weights(std::span<const Sample> samples, const at::Tensor& outputs,
                                   const Judge& judge) {
  constexpr double kNearlyExact = 1e-5;  // of peak²: 50 dB
  const bool image = judge.metric == Metric::psnr || judge.metric == Metric::ssim;
  std::vector<double> weights(samples.size(), 1.0);
  if (!image && judge.metric != Metric::output) return weights;
  const at::NoGradGuard no_grad;
  const bool whole = samples.size() == 1 && samples[0].target.defined() &&
                     outputs.sizes() == samples[0].target.sizes();  // without a batch axis
  const bool batched =
      !whole && outputs.dim() > 0 && outputs.size(0) == static_cast<std::int64_t>(samples.size());
  for (std::size_t k = 0; k < samples.size() && (batched || samples.size() == 1); ++k) {
    const at::Tensor output = batched ? outputs[static_cast<std::int64_t>(k)] : outputs;
    if (judge.metric == Metric::output) {
      const double size = output.to(at::kDouble).square().mean().item<double>();
      weights[k] = size > 0 ? 1 / size : 1.0;
    } else if (samples[k].target.defined() && samples[k].target.sizes() == output.sizes()) {
      const double error =
          (output.to(at::kDouble) - samples[k].target.to(at::kDouble)).square().mean().item<double>();
      const double peak = judge.peak * judge.peak;
      weights[k] = peak / std::max(error, kNearlyExact * peak);
    }
  }
  return weights;
}

at::Tensor scaled_by_sample(const at::Tensor& probes, const std::vector<double>& weights) {
  if (probes.dim() == 0 || probes.size(0) != static_cast<std::int64_t>(weights.size()))
    return weights.size() == 1 ? probes * std::sqrt(weights.front()) : probes;
  std::vector<std::int64_t> shape(static_cast<std::size_t>(probes.dim()), 1);
  shape[0] = probes.size(0);
  return probes * at::tensor(weights, at::kDouble).sqrt().to(probes.scalar_type()).view(shape);
}

at::Tensor normal_like(const at::Tensor& like, std::uint64_t seed) {
  return at::randn(like.sizes(), at::make_generator<at::CPUGeneratorImpl>(seed), like.options());
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
  const auto outputs = outputs_of(network, samples, judge, control);
  std::vector<double> values;
  for (std::size_t s = 0; s < samples.size(); ++s) {
    values.push_back(evaluate(judge, outputs[s], target_of(samples[s], s, judge, references)));
  }
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
