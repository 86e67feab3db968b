// Functions of one value each, with attributes at most: every channel for itself.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <functional>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

using Function = std::function<at::Tensor(const Node&, const at::Tensor&)>;

class Activation final : public Operator {
 public:
  explicit Activation(Function function) : function_(std::move(function)) {}
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    return {function_(node, in.at(0))};
  }
  void couple(const Node& node, Coupling& coupling) const override { couple_same(node, coupling); }

 private:
  Function function_;
};

/// Bounds as attributes (before opset 11) or inputs.
class Clip final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    c10::optional<at::Scalar> low;
    c10::optional<at::Scalar> high;
    if (node.has("min")) low = node.real("min", 0);
    if (node.has("max")) high = node.real("max", 0);
    if (given(in, 1).defined()) low = in[1].item();
    if (given(in, 2).defined()) high = in[2].item();
    if (!low && !high) return {in.at(0)};
    return {at::clamp(in.at(0), low, high)};
  }
  void couple(const Node& node, Coupling& coupling) const override { couple_same(node, coupling); }
};

/// A slope per channel or for all, of any shape that broadcasts to the input; the exporters' [C, 1, 1].
class PRelu final : public Operator {
 public:
  Tensors run(const Node&, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    return {at::where(x >= 0, x, x * in.at(1))};
  }
  void couple(const Node& node, Coupling& coupling) const override {
    couple_broadcast(node, {0, 1}, coupling);
  }
};

}  // namespace

void make_activation(OperatorTable& table) {
  const auto add = [&](const char* name, Function f) {
    table.add(name, std::make_shared<Activation>(std::move(f)));
  };
  add("Relu", [](const Node&, const at::Tensor& x) { return at::relu(x); });
  add("LeakyRelu",
      [](const Node& n, const at::Tensor& x) { return at::leaky_relu(x, n.real("alpha", 0.01)); });
  add("Sigmoid", [](const Node&, const at::Tensor& x) { return at::sigmoid(x); });
  add("Tanh", [](const Node&, const at::Tensor& x) { return at::tanh(x); });
  add("HardSigmoid", [](const Node& n, const at::Tensor& x) {
    return at::clamp(x * n.real("alpha", 0.2) + n.real("beta", 0.5), 0, 1);
  });
  add("HardSwish", [](const Node&, const at::Tensor& x) { return x * at::clamp(x / 6 + 0.5, 0, 1); });
  table.add("Clip", std::make_shared<Clip>());
  table.add("PRelu", std::make_shared<PRelu>());
}

}  // namespace quboprune
