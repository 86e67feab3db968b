// Shrink. The example of docs/adding-an-operator.md.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"

namespace quboprune {
namespace {

class Shrink final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const double lambd = node.real("lambd", 0.5);
    const double bias = node.real("bias", 0);
    const at::Tensor& x = in.at(0);
    const at::Tensor low = at::where(x < -lambd, x + bias, at::zeros_like(x));
    return {at::where(x > lambd, x - bias, low)};
  }

  void couple(const Node& node, Coupling& coupling) const override { couple_same(node, coupling); }
};

}  // namespace

void make_shrink(OperatorTable& table) {
  table.add("Shrink", std::make_shared<Shrink>());
}

}  // namespace quboprune
