// ArgMax, ArgMin, TopK, CumSum: order and running sums along an axis, whose labels are frozen.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// Passes the labels of all axes but one; its output may lack that axis.
void couple_others(const Node& node, int axis, bool kept, Coupling& c) {
  const int x = node.input(0);
  for (int a = 0; a < c.rank(x); ++a) {
    const Labels here = c.labels(x, a);
    if (a == axis) {
      c.freeze(here, "compares these channels");
      continue;
    }
    for (int out : node.outputs) {
      if (c.seen(out)) c.set(out, a > axis && !kept ? a - 1 : a, here);
    }
  }
}

class ArgExtreme final : public Operator {
 public:
  explicit ArgExtreme(bool largest) : largest_(largest) {}
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    const auto axis = positive_axis(node.integer("axis", 0), x.dim(), node);
    const bool last = node.integer("select_last_index", 0) != 0;
    const at::Tensor signed_x = at::isFloatingType(x.scalar_type()) ? x : x.to(at::kLong);
    const at::Tensor source = last ? signed_x.flip({axis}) : signed_x;
    const bool keep = node.integer("keepdims", 1) != 0;
    // Both promise the first of equals.
    const at::Tensor first = largest_ ? source.argmax(axis, keep) : source.argmin(axis, keep);
    return {last ? x.size(axis) - 1 - first : first};
  }
  void couple(const Node& node, Coupling& c) const override {
    const auto axis = positive_axis(node.integer("axis", 0), c.rank(node.input(0)), node);
    couple_others(node, static_cast<int>(axis), node.integer("keepdims", 1) != 0, c);
  }

 private:
  bool largest_;
};

class TopK final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    const auto axis = positive_axis(node.integer("axis", -1), x.dim(), node);
    const auto wanted = integers_of(node, in, 1, "k");
    const auto k = wanted && !wanted->empty() ? wanted->front() : node.integer("k", 0);
    if (k < 0 || k > x.size(axis))
      throw InputError(node.title() + ": the " + std::to_string(k) + " largest of " +
                       std::to_string(x.size(axis)));
    const auto sorted = at::sort(x, true, axis, node.integer("largest", 1) != 0);
    return {std::get<0>(sorted).narrow(axis, 0, k), std::get<1>(sorted).narrow(axis, 0, k)};
  }
  void couple(const Node& node, Coupling& c) const override {
    const auto axis = positive_axis(node.integer("axis", -1), c.rank(node.input(0)), node);
    couple_others(node, static_cast<int>(axis), true, c);
  }
};

class CumSum final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    const auto axis = positive_axis(to_integers(in.at(1)).at(0), x.dim(), node);
    const bool backwards = node.integer("reverse", 0) != 0;
    at::Tensor source = backwards ? x.flip({axis}) : x;
    if (node.integer("exclusive", 0) != 0 && x.size(axis) > 0)
      source = at::cat({at::zeros_like(source.narrow(axis, 0, 1)), source.narrow(axis, 0, x.size(axis) - 1)},
                       axis);
    const at::Tensor sums = at::cumsum(source, axis, x.scalar_type());
    return {backwards ? sums.flip({axis}) : sums};
  }
  void couple(const Node& node, Coupling& c) const override {
    const auto axis = known_integers(node, c, 1, "axis");
    if (!axis || axis->size() != 1) {
      c.freeze_inputs(node, "its axis isn't constant");
      return;
    }
    const auto at = static_cast<int>(positive_axis(axis->front(), c.rank(node.input(0)), node));
    couple_others(node, at, true, c);
  }
};

}  // namespace

void make_arg(OperatorTable& table) {
  table.add("ArgMax", std::make_shared<ArgExtreme>(true));
  table.add("ArgMin", std::make_shared<ArgExtreme>(false));
  table.add("TopK", std::make_shared<TopK>());
  table.add("CumSum", std::make_shared<CumSum>());
}

}  // namespace quboprune
