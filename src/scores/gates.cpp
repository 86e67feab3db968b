#include "scores/gates.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "coupling/analysis.h"

namespace quboprune {

GateRun::GateRun(const ChannelGroups& groups, std::int64_t samples)
    : groups_(groups), samples_(samples), total_(at::zeros({samples, groups.size() + 1}, at::kFloat)) {
  for (const auto& gate : groups.gates()) by_input_[{gate.node, gate.input}] = &gate;
}

at::Tensor rows_of(const at::Tensor& activation, int axis) {
  return activation.movedim(axis, -1).reshape({-1, activation.size(axis)});
}

InputHook GateRun::hook() {
  return [this](int node, int input, const at::Tensor& tensor) {
    const auto found = by_input_.find({node, input});
    if (found == by_input_.end()) return tensor;
    const GatePoint& gate = *found->second;
    const int value =
        groups_.analysis().graph.nodes[static_cast<std::size_t>(node)].inputs[static_cast<std::size_t>(
            input)];
    at::Tensor& gated = gated_[{value, gate.axis}];
    if (gated.defined()) return gated;
    // Another name for the same numbers, whose gradient is that of the gated readers alone.
    gated = tensor.requires_grad() ? tensor.view_as(tensor) : tensor.detach().requires_grad_(true);
    std::vector<std::int64_t> where;  // channels that stay gather in a column of their own
    for (int g : gate.groups) where.push_back(g < 0 ? groups_.size() : g);
    gated.register_hook([this, &gate, index = at::tensor(where, at::kLong), activation = tensor.detach()](
                            const at::Tensor& gradient) { gather(gate, index, activation, gradient); });
    return gated;
  };
}

void GateRun::gather(const GatePoint& gate, const at::Tensor& index, const at::Tensor& activation,
                     const at::Tensor& gradient) {
  const at::NoGradGuard no_grad;
  const at::Tensor product = (activation * gradient).to(at::kFloat);
  at::Tensor by_sample;
  if (gate.axis > 0 && product.size(0) == samples_) {
    by_sample = product.movedim(gate.axis, 1).reshape({samples_, product.size(gate.axis), -1}).sum(2);
  } else {
    if (samples_ != 1) separable_ = false;
    by_sample = rows_of(product, gate.axis).sum(0, true).expand({samples_, product.size(gate.axis)});
  }
  total_.index_add_(1, index, by_sample.contiguous());
}

at::Tensor GateRun::take() {
  at::Tensor result = total_.slice(1, 0, groups_.size()).clone();
  total_.zero_();
  return result;
}

}  // namespace quboprune
