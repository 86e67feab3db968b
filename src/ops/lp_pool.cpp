// LpPool and GlobalLpPool: every channel for itself.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/convolution.h"
#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

double power_of(const Node& node) {
  const auto p = node.has("p") && node.attributes.at("p").kind == Attribute::Kind::real
                     ? node.real("p", 2)
                     : static_cast<double>(node.integer("p", 2));
  if (p <= 0) throw InputError(node.title() + ": p must be above 0");
  return p;
}

class LpPool final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const Window w = pool_window_of(node, in.at(0).sizes());
    const double p = power_of(node);
    const Padded x = with_pads(in[0], w, 0);
    return {at::pow(over_windows(at::pow(x.input.abs(), p), x.window, false), 1 / p)};
  }
  void couple(const Node& node, Coupling& coupling) const override { couple_channels(node, coupling); }
};

class GlobalLpPool final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    std::vector<std::int64_t> axes;
    for (std::int64_t a = 2; a < in.at(0).dim(); ++a) axes.push_back(a);
    const double p = power_of(node);
    const at::Tensor powers = at::pow(in[0].abs(), p);
    return {at::pow(axes.empty() ? powers : powers.sum(axes, true), 1 / p)};
  }
  void couple(const Node& node, Coupling& coupling) const override { couple_channels(node, coupling); }
};

}  // namespace

void make_lp_pool(OperatorTable& table) {
  table.add("LpPool", std::make_shared<LpPool>());
  table.add("GlobalLpPool", std::make_shared<GlobalLpPool>());
}

}  // namespace quboprune
