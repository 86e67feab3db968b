// Concat along any axis.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

class Concat final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    return {at::cat(in, positive_axis(node.integer("axis", 1), in.at(0).dim(), node))};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int out = node.output(0);
    const auto axis = static_cast<int>(positive_axis(node.integer("axis", 1), c.rank(out), node));
    for (int a = 0; a < c.rank(out); ++a) {
      if (a != axis) tie_side(node, c, a);
    }
    bool any = false;
    for (int v : node.inputs) any = any || !c.labels(v, axis).empty();
    if (!any) return;
    Labels all;
    for (int v : node.inputs) {
      Labels part = c.labels(v, axis);
      if (part.empty())
        part = c.frozen_labels(static_cast<std::size_t>(c.shape(v)[static_cast<std::size_t>(axis)]),
                               "joined from channels that must stay");
      all.insert(all.end(), part.begin(), part.end());
    }
    c.set(out, axis, all);
  }

 private:
  static void tie_side(const Node& node, Coupling& c, int axis) {
    const Labels first = c.labels(node.input(0), axis);
    for (std::size_t k = 1; k < node.inputs.size(); ++k)
      c.tie(first, c.labels(node.input(k), axis), "joins channels that must stay");
    c.set(node.output(0), axis, first);
  }
};

}  // namespace

void make_concat(OperatorTable& table) {
  table.add("Concat", std::make_shared<Concat>());
}

}  // namespace quboprune
