// Arithmetic of two or more values with broadcasting. The axes attribute of opsets before 7 is refused.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <functional>
#include <numeric>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

using Function = std::function<at::Tensor(const at::Tensor&, const at::Tensor&)>;

class Elementwise final : public Operator {
 public:
  explicit Elementwise(Function function, bool mean = false) : function_(std::move(function)), mean_(mean) {}

  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    if (node.integer("broadcast", 0) != 0 && node.version < 7)
      throw InputError(
          node.title() +
          ": broadcasting as before opset 7 isn't supported; convert the model to a newer opset");
    at::Tensor result = in.at(0);
    for (std::size_t k = 1; k < in.size(); ++k) result = function_(result, in[k]);
    if (mean_) result = result / static_cast<double>(in.size());
    return {result};
  }

  void couple(const Node& node, Coupling& coupling) const override {
    std::vector<std::size_t> all(node.inputs.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    couple_broadcast(node, all, coupling);
  }

 private:
  Function function_;
  bool mean_;
};

at::Tensor divide(const at::Tensor& a, const at::Tensor& b) {
  // Integers divide towards zero, as in C.
  return at::isIntegralType(a.scalar_type(), false) ? at::div(a, b, "trunc") : at::div(a, b);
}

at::Tensor power(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() == b.scalar_type()) return at::pow(a, b);
  // The result has the base's type, whatever the exponent's.
  if (b.numel() == 1 && b.dim() <= a.dim() && at::isFloatingType(a.scalar_type()))
    return at::pow(a, b.item()).to(a.scalar_type());
  return at::pow(a.to(at::kDouble), b.to(at::kDouble)).to(a.scalar_type());
}

/// fmod = 1: the sign of the dividend, as C's; otherwise that of the divisor.
class Mod final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    if (node.integer("fmod", 0) != 0) return {at::fmod(in.at(0), in.at(1))};
    return {at::remainder(in.at(0), in.at(1))};
  }
  void couple(const Node& node, Coupling& coupling) const override {
    couple_broadcast(node, {0, 1}, coupling);
  }
};

}  // namespace

void make_elementwise(OperatorTable& table) {
  const auto add = [&](const char* name, Function f) {
    table.add(name, std::make_shared<Elementwise>(std::move(f)));
  };
  add("Add", [](const at::Tensor& a, const at::Tensor& b) { return at::add(a, b); });
  add("Sub", [](const at::Tensor& a, const at::Tensor& b) { return at::sub(a, b); });
  add("Mul", [](const at::Tensor& a, const at::Tensor& b) { return at::mul(a, b); });
  add("Div", divide);
  add("Pow", power);
  table.add("Mod", std::make_shared<Mod>());
  add("Sum", [](const at::Tensor& a, const at::Tensor& b) { return at::add(a, b); });
  add("Min", [](const at::Tensor& a, const at::Tensor& b) { return at::minimum(a, b); });
  add("Max", [](const at::Tensor& a, const at::Tensor& b) { return at::maximum(a, b); });
  table.add("Mean", std::make_shared<Elementwise>(
                        [](const at::Tensor& a, const at::Tensor& b) { return at::add(a, b); }, true));
}

}  // namespace quboprune
