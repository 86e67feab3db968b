// Conv, in one, two and three dimensions, grouped, depthwise, with a multiplier. A constant or a computed
// kernel.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/convolution.h"
#include "ops/base/operator.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

class Conv final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& weight = in.at(1);
    if (weight.dim() != in[0].dim() || weight.dim() < 3) {
      throw InputError(node.title() + ": input with " + std::to_string(in[0].dim()) + " axes, weights with " +
                       std::to_string(weight.dim()));
    }
    const Window w = window_of(node, in[0].sizes(), weight.sizes().slice(2).vec());
    const auto groups = node.integer("group", 1);
    if (groups < 1 || in[0].size(1) != weight.size(1) * groups) {
      throw InputError(node.title() + ": gets " + std::to_string(in[0].size(1)) +
                       " channels, its weights are for " + std::to_string(weight.size(1) * groups) +
                       "; give data with that many channels");
    }
    const Padded x = w.symmetric() ? Padded{in[0], w} : with_pads(in[0], w, 0);
    const at::Tensor bias = in.size() > 2 ? in[2] : at::Tensor();
    return {at::convolution(x.input, weight, bias.defined() ? c10::optional<at::Tensor>(bias) : c10::nullopt,
                            w.strides, x.window.begin, w.dilations, false,
                            std::vector<std::int64_t>(w.kernel.size(), 0), groups)};
  }

  void couple(const Node& node, Coupling& c) const override { couple_convolution(node, 2, c); }
  void slice(const Node& node, Slicing& s) const override { slice_convolution(node, s); }
  void cost(const Node& node, Coupling& c) const override { cost_convolution(node, c); }
};

}  // namespace

void make_conv(OperatorTable& table) {
  table.add("Conv", std::make_shared<Conv>());
}

}  // namespace quboprune
