#include "quboprune/batches.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>

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

/// How many of the samples, from the first on, make a batch.
int count_in_batch(std::span<const Sample> samples, int largest, std::int64_t elements) {
  const auto size = std::max<std::int64_t>(1, samples.front().input.numel());
  const auto most = std::min(samples.size(), at_index(std::clamp<std::int64_t>(elements / size, 1, largest)));
  std::size_t count = 1;
  while (count < most && same_shape(samples.front(), samples[count])) ++count;
  return static_cast<int>(count);
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
    const int count = count_in_batch(samples.subspan(at_index(first)), largest, elements);
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

void for_each_output(const Executor& network, std::span<const Sample> samples, const Judge& judge,
                     const Control& control,
                     const std::function<void(std::size_t sample, const at::Tensor& output)>& use) {
  const at::NoGradGuard no_grad;
  const int largest = one_at_a_time(network.graph()) ? 1 : kLargestBatch;
  for (std::size_t done = 0; done < samples.size();) {
    const Batch batch = stack(samples, static_cast<int>(done),
                              count_in_batch(samples.subspan(done), largest, kBatchElements));
    if (control.stopped()) throw Stopped("stopped while running the network: nothing was written");
    const at::Tensor out = network.run(network_inputs(network.graph(), batch, judge)).front();
    const std::size_t count = batch.samples.size();
    if (out.dim() == 0 || out.size(0) != batch.input.size(0)) {
      if (const auto why = other_batch(network.graph(), batch.input.size(0))) throw InputError(*why);
    }
    for (std::size_t k = 0; k < count; ++k) use(done + k, output_of(out, k, count));
    done += count;
    control.report("evaluate", static_cast<double>(done), static_cast<double>(samples.size()),
                   std::numeric_limits<double>::quiet_NaN());
  }
}

std::vector<at::Tensor> outputs_of(const Executor& network, std::span<const Sample> samples,
                                   const Judge& judge, const Control& control) {
  std::vector<at::Tensor> result(samples.size());
  for_each_output(network, samples, judge, control,
                  [&](std::size_t sample, const at::Tensor& output) { result[sample] = output; });
  return result;
}

}  // namespace quboprune
