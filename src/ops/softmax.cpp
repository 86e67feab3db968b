// Softmax, LogSoftmax, Hardmax. They work across their axis, where removing a channel isn't the same as
// zeroing it: labels there are frozen. Before opset 13 all axes from the given one on are one.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"

namespace quboprune {
namespace {

at::Tensor hardmax(const at::Tensor& x, std::int64_t axis) {
  const at::Tensor best = x.argmax(axis, true);
  return at::zeros_like(x).scatter(axis, best, 1.0);
}

class Softmax final : public Operator {
 public:
  using Function = at::Tensor (*)(const at::Tensor&, std::int64_t);
  explicit Softmax(Function function) : function_(function) {}

  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    const auto axis = axis_of(node, x.dim());
    if (node.version >= 13) return {function_(x, axis)};
    return {function_(x.flatten(axis), axis).reshape(x.sizes())};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int rank = c.rank(node.input(0));
    const auto axis = static_cast<int>(axis_of(node, rank));
    const int end = node.version >= 13 ? axis + 1 : rank;
    couple_outside(node, axis, end, c, "works across these channels");
  }

 private:
  static std::int64_t axis_of(const Node& node, std::int64_t rank) {
    return positive_axis(node.integer("axis", node.version >= 13 ? -1 : 1), rank, node);
  }
  Function function_;
};

}  // namespace

void make_softmax(OperatorTable& table) {
  table.add("Softmax", std::make_shared<Softmax>(
                           [](const at::Tensor& x, std::int64_t axis) { return at::softmax(x, axis); }));
  table.add("LogSoftmax", std::make_shared<Softmax>([](const at::Tensor& x, std::int64_t axis) {
              return at::log_softmax(x, axis);
            }));
  table.add("Hardmax", std::make_shared<Softmax>(hardmax));
}

}  // namespace quboprune
