#include "scores/gates.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "core/index.h"
#include "coupling/analysis.h"

namespace quboprune {

GateRun::GateRun(const ChannelGroups& groups, std::int64_t samples)
    : groups_(groups), samples_(samples), total_(at::zeros({samples, groups.size() + 1}, at::kFloat)) {
  for (const auto& gate : groups.gates()) {
    if (gate.averages)
      means_[gate.node] = &gate;
    else
      by_input_[{gate.node, gate.input}] = &gate;
  }
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
    gated.register_hook([this, axis = gate.axis, parted = by_sample(gate), places = places_of(gate),
                         activation = tensor.detach()](const at::Tensor& gradient) {
      const at::NoGradGuard no_grad;
      gather(axis, parted, places, (activation * gradient).to(at::kFloat));
    });
    return gated;
  };
}

MeanHook GateRun::mean_hook() {
  return [this](int node, const at::Tensor& tensor) {
    const auto found = means_.find(node);
    if (found == means_.end()) return at::Tensor();
    const GatePoint& gate = *found->second;
    std::vector<std::int64_t> shape(static_cast<std::size_t>(tensor.dim()), 1);
    shape[static_cast<std::size_t>(gate.axis)] = tensor.size(gate.axis);
    if (gate.axis > 0) shape[0] = tensor.size(0);
    const at::Tensor weights = at::ones(shape, tensor.options()).requires_grad_(true);
    weights.register_hook([this, axis = gate.axis, parted = by_sample(gate),
                           places = places_of(gate)](const at::Tensor& gradient) {
      const at::NoGradGuard no_grad;
      gather(axis, parted, places, gradient.to(at::kFloat));
    });
    return weights;
  };
}

at::Tensor GateRun::places_of(const GatePoint& gate) const {
  std::vector<std::int64_t> places;
  for (int g : gate.groups) places.push_back(g < 0 ? groups_.size() : g);
  return at::tensor(places, at::kLong);
}

bool GateRun::by_sample(const GatePoint& gate) const {
  const Analysis& analysis = groups_.analysis();
  const Node& node = analysis.graph.nodes[at_index(gate.node)];
  const auto& shape = analysis.probe.shapes[at_index(node.inputs[at_index(gate.input)])];
  return gate.axis > 0 && shape.front() == 1;
}

void GateRun::gather(int axis, bool by_sample, const at::Tensor& places, const at::Tensor& product) {
  at::Tensor sums;
  if (by_sample && product.size(0) == samples_) {
    sums = product.movedim(axis, 1).reshape({samples_, product.size(axis), -1}).sum(2);
  } else {
    if (samples_ != 1) separable_ = false;
    sums = rows_of(product, axis).sum(0, true).expand({samples_, product.size(axis)});
  }
  total_.index_add_(1, places, sums.contiguous());
}

at::Tensor GateRun::take() {
  at::Tensor result = total_.slice(1, 0, groups_.size()).clone();
  total_.zero_();
  return result;
}

}  // namespace quboprune
