// LRN, LpNormalization, MeanVarianceNormalization: each value is divided by something of its neighbours along
// an axis; labels there are frozen.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

class Lrn final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    const auto size = node.integer("size", 1);
    if (size < 1 || x.dim() < 2) throw InputError(node.title() + ": a window of " + std::to_string(size));
    std::vector<std::int64_t> pads(static_cast<std::size_t>(2 * x.dim()), 0);
    pads[pads.size() - 4] = (size - 1) / 2;
    pads[pads.size() - 3] = size - 1 - (size - 1) / 2;
    const at::Tensor sums = at::constant_pad_nd(x * x, pads, 0).unfold(1, size, 1).sum(-1);
    return {x / at::pow(sums * (node.real("alpha", 1e-4) / static_cast<double>(size)) + node.real("bias", 1),
                        node.real("beta", 0.75))};
  }
  void couple(const Node& node, Coupling& c) const override {
    couple_outside(node, 1, 2, c, "normalises over neighbouring channels");
  }
};

class LpNormalization final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    const auto axis = positive_axis(node.integer("axis", -1), x.dim(), node);
    const at::Tensor norm =
        node.integer("p", 2) == 1 ? x.abs().sum(axis, true) : at::sqrt((x * x).sum(axis, true));
    return {at::where(norm == 0, at::zeros_like(x), x / norm)};
  }
  void couple(const Node& node, Coupling& c) const override {
    const auto axis = static_cast<int>(positive_axis(node.integer("axis", -1), c.rank(node.input(0)), node));
    couple_outside(node, axis, axis + 1, c, "normalises over these channels");
  }
};

class MeanVarianceNormalization final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto axes = node.integers("axes", {0, 2, 3});
    const at::Tensor centred = in.at(0) - in[0].mean(axes, true);
    return {centred / (at::sqrt((centred * centred).mean(axes, true)) + 1e-9)};
  }
  void couple(const Node& node, Coupling& c) const override {
    const int rank = c.rank(node.input(0));
    for (auto a : node.integers("axes", {0, 2, 3})) {
      const auto axis = static_cast<int>(positive_axis(a, rank, node));
      c.freeze(c.labels(node.input(0), axis), "normalises over these channels");
    }
    couple_same(node, c);
  }
};

}  // namespace

void make_local_norm(OperatorTable& table) {
  table.add("LRN", std::make_shared<Lrn>());
  table.add("LpNormalization", std::make_shared<LpNormalization>());
  table.add("MeanVarianceNormalization", std::make_shared<MeanVarianceNormalization>());
}

}  // namespace quboprune
