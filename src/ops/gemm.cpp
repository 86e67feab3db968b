// Gemm and MatMul, with constant or computed operands.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// The gate belongs on the operand that carries data; where both do, on the first.
std::size_t gated_input(const Node& node, const Coupling& c) {
  return c.known(node.input(0)).defined() && !c.known(node.input(1)).defined() ? 1 : 0;
}

class Gemm final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const at::Tensor a = node.integer("transA", 0) != 0 ? in.at(0).t() : in.at(0);
    const at::Tensor b = node.integer("transB", 0) != 0 ? in.at(1).t() : in.at(1);
    if (a.size(1) != b.size(0)) {
      throw InputError(node.title() + ": gets " + std::to_string(a.size(1)) +
                       " features, its weights are for " + std::to_string(b.size(0)) +
                       "; give inputs of the size that the network was made for");
    }
    const double alpha = node.real("alpha", 1);
    const double beta = node.real("beta", 1);
    if (given(in, 2).defined()) return {at::addmm(in[2], a, b, beta, alpha)};
    const at::Tensor product = at::mm(a, b);
    return {alpha == 1 ? product : product * alpha};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int a = node.input(0);
    const int b = node.input(1);
    const int out = node.output(0);
    const int ka = node.integer("transA", 0) != 0 ? 0 : 1;
    const int kb = node.integer("transB", 0) != 0 ? 1 : 0;
    c.tie(c.labels(a, ka), c.labels(b, kb), "reads channels that must stay");
    c.contracts(gated_input(node, c), gated_input(node, c) == 0 ? ka : kb);
    c.set(out, 0, c.labels(a, 1 - ka));
    c.set(out, 1, c.labels(b, 1 - kb));
    const int bias = node.input(2);
    if (bias < 0) return;
    for (int axis = 0; axis < c.rank(bias); ++axis) {
      const int at = axis + 2 - c.rank(bias);
      if (c.shape(bias)[static_cast<std::size_t>(axis)] > 1)
        c.tie(c.labels(bias, axis), c.labels(out, at), "is added to features that must stay");
    }
  }

  void cost(const Node& node, Coupling& c) const override {
    const int ka = node.integer("transA", 0) != 0 ? 0 : 1;
    c.add_macs(1, {{node.input(0), ka}, {node.output(0), 0}, {node.output(0), 1}});
  }
};

class MatMul final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto inner = in.at(1).dim() > 1 ? in[1].size(-2) : in[1].size(0);
    if (in[0].size(-1) != inner) {
      throw InputError(node.title() + ": gets " + std::to_string(in[0].size(-1)) + " features for " +
                       std::to_string(inner) + "; give inputs of the size that the network was made for");
    }
    return {at::matmul(in[0], in[1])};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int a = node.input(0);
    const int b = node.input(1);
    const int out = node.output(0);
    const int ra = c.rank(a);
    const int rb = c.rank(b);
    if (ra < 2 || rb < 2) {
      c.freeze_inputs(node, "a product with a vector");
      return;
    }
    c.tie(c.labels(a, -1), c.labels(b, -2), "reads channels that must stay");
    c.contracts(gated_input(node, c), gated_input(node, c) == 0 ? -1 : -2);
    const int ro = c.rank(out);
    c.set(out, ro - 2, c.labels(a, -2));
    c.set(out, ro - 1, c.labels(b, -1));
    for (int back = 3; back <= ro; ++back) couple_batch(c, {a, b, out}, back);
  }

  void cost(const Node& node, Coupling& c) const override {
    std::vector<AxisOf> axes;
    for (int axis = 0; axis < c.rank(node.output(0)); ++axis) axes.push_back({node.output(0), axis});
    axes.push_back({node.input(0), c.rank(node.input(0)) - 1});
    c.add_macs(1, axes);
  }

 private:
  /// The batch axis that is `back` from the end, broadcast.
  static void couple_batch(Coupling& c, const std::vector<int>& values, int back) {
    const int out = values[2];
    const auto size = c.shape(out)[static_cast<std::size_t>(c.rank(out) - back)];
    if (size <= 1) return;
    std::vector<Labels> parts;
    for (int v : {values[0], values[1]}) {
      if (c.rank(v) >= back && c.shape(v)[static_cast<std::size_t>(c.rank(v) - back)] == size)
        parts.push_back(c.labels(v, -back));
    }
    if (parts.size() == 2) c.tie(parts[0], parts[1], "joins channels that must stay");
    if (!parts.empty()) c.set(out, -back, parts[0]);
  }
};

}  // namespace

void make_gemm(OperatorTable& table) {
  table.add("Gemm", std::make_shared<Gemm>());
  table.add("MatMul", std::make_shared<MatMul>());
}

}  // namespace quboprune
