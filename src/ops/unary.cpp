// Mathematical functions of one value each and the rarer activations: every channel for itself.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>
#include <functional>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

using Plain = at::Tensor (*)(const at::Tensor&);
using WithNode = at::Tensor (*)(const Node&, const at::Tensor&);

class Unary final : public Operator {
 public:
  explicit Unary(std::function<at::Tensor(const Node&, const at::Tensor&)> function)
      : function_(std::move(function)) {}
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    return {function_(node, in.at(0))};
  }
  void couple(const Node& node, Coupling& coupling) const override { couple_same(node, coupling); }

 private:
  std::function<at::Tensor(const Node&, const at::Tensor&)> function_;
};

at::Tensor gelu(const Node& n, const at::Tensor& x) {
  const std::string kind = n.text("approximate", "none");
  if (kind != "none" && kind != "tanh")
    throw InputError(n.title() + ": approximate = '" + kind + "' isn't known");
  return at::gelu(x, kind);
}

at::Tensor selu(const Node& n, const at::Tensor& x) {
  const double alpha = n.real("alpha", 1.67326319217681884765625);
  const double gamma = n.real("gamma", 1.05070102214813232421875);
  return at::elu(x, alpha, gamma);
}

at::Tensor thresholded(const Node& n, const at::Tensor& x) {
  return at::where(x > n.real("alpha", 1), x, at::zeros_like(x));
}

void add_functions(OperatorTable& table) {
  const auto add = [&](const char* name, Plain f) {
    table.add(name, std::make_shared<Unary>([f](const Node&, const at::Tensor& x) { return f(x); }));
  };
  add("Abs", [](const at::Tensor& x) { return at::abs(x); });
  add("Neg", [](const at::Tensor& x) { return at::neg(x); });
  add("Sign", [](const at::Tensor& x) { return at::sign(x); });
  add("Exp", [](const at::Tensor& x) { return at::exp(x); });
  add("Log", [](const at::Tensor& x) { return at::log(x); });
  add("Sqrt", [](const at::Tensor& x) { return at::sqrt(x); });
  add("Reciprocal", [](const at::Tensor& x) { return at::reciprocal(x); });
  add("Erf", [](const at::Tensor& x) { return at::erf(x); });
  add("Floor", [](const at::Tensor& x) { return at::floor(x); });
  add("Ceil", [](const at::Tensor& x) { return at::ceil(x); });
  add("Round", [](const at::Tensor& x) { return at::round(x); });  // both round half to even
  add("Sin", [](const at::Tensor& x) { return at::sin(x); });
  add("Cos", [](const at::Tensor& x) { return at::cos(x); });
  add("Tan", [](const at::Tensor& x) { return at::tan(x); });
  add("Asin", [](const at::Tensor& x) { return at::asin(x); });
  add("Acos", [](const at::Tensor& x) { return at::acos(x); });
  add("Atan", [](const at::Tensor& x) { return at::atan(x); });
  add("Sinh", [](const at::Tensor& x) { return at::sinh(x); });
  add("Cosh", [](const at::Tensor& x) { return at::cosh(x); });
  add("Asinh", [](const at::Tensor& x) { return at::asinh(x); });
  add("Acosh", [](const at::Tensor& x) { return at::acosh(x); });
  add("Atanh", [](const at::Tensor& x) { return at::atanh(x); });
  add("Softsign", [](const at::Tensor& x) { return x / (1 + at::abs(x)); });
  add("Mish", [](const at::Tensor& x) { return at::mish(x); });
}

}  // namespace

void make_unary(OperatorTable& table) {
  add_functions(table);
  const auto add = [&](const char* name, WithNode f) { table.add(name, std::make_shared<Unary>(f)); };
  add("Elu", [](const Node& n, const at::Tensor& x) { return at::elu(x, n.real("alpha", 1)); });
  add("Celu", [](const Node& n, const at::Tensor& x) { return at::celu(x, n.real("alpha", 1)); });
  add("Selu", selu);
  // LibTorch's softplus is linear above its threshold, where the difference is under 1e-17.
  add("Softplus", [](const Node&, const at::Tensor& x) { return at::softplus(x, 1, 40); });
  add("ThresholdedRelu", thresholded);
  add("Gelu", gelu);
  add("Swish", [](const Node& n, const at::Tensor& x) { return x * at::sigmoid(x * n.real("alpha", 1)); });
}

}  // namespace quboprune
