// Comparisons, logic, Where: elementwise with broadcasting; what they give isn't differentiable but Where's
// branches are.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"

namespace quboprune {
namespace {

using Function = at::Tensor (*)(const at::Tensor&, const at::Tensor&);

class Compare final : public Operator {
 public:
  explicit Compare(Function function) : function_(function) {}
  Tensors run(const Node&, const Tensors& in, const RunMode&) const override {
    return {function_(in.at(0), in.at(1))};
  }
  void couple(const Node& node, Coupling& coupling) const override {
    couple_broadcast(node, {0, 1}, coupling);
  }

 private:
  Function function_;
};

class Where final : public Operator {
 public:
  Tensors run(const Node&, const Tensors& in, const RunMode&) const override {
    return {at::where(in.at(0).to(at::kBool), in.at(1), in.at(2))};
  }
  void couple(const Node& node, Coupling& coupling) const override {
    couple_broadcast(node, {0, 1, 2}, coupling);
  }
};

class Test final : public Operator {
 public:
  using Function1 = at::Tensor (*)(const Node&, const at::Tensor&);
  explicit Test(Function1 function) : function_(function) {}
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    return {function_(node, in.at(0))};
  }
  void couple(const Node& node, Coupling& coupling) const override { couple_same(node, coupling); }

 private:
  Function1 function_;
};

at::Tensor is_inf(const Node& node, const at::Tensor& x) {
  at::Tensor result = at::zeros_like(x, x.options().dtype(at::kBool));
  if (node.integer("detect_positive", 1) != 0) result = at::logical_or(result, at::isposinf(x));
  if (node.integer("detect_negative", 1) != 0) result = at::logical_or(result, at::isneginf(x));
  return result;
}

}  // namespace

void make_logic(OperatorTable& table) {
  const auto add = [&](const char* name, Function f) { table.add(name, std::make_shared<Compare>(f)); };
  add("Equal", [](const at::Tensor& a, const at::Tensor& b) { return at::eq(a, b); });
  add("Greater", [](const at::Tensor& a, const at::Tensor& b) { return at::gt(a, b); });
  add("GreaterOrEqual", [](const at::Tensor& a, const at::Tensor& b) { return at::ge(a, b); });
  add("Less", [](const at::Tensor& a, const at::Tensor& b) { return at::lt(a, b); });
  add("LessOrEqual", [](const at::Tensor& a, const at::Tensor& b) { return at::le(a, b); });
  add("And", [](const at::Tensor& a, const at::Tensor& b) { return at::logical_and(a, b); });
  add("Or", [](const at::Tensor& a, const at::Tensor& b) { return at::logical_or(a, b); });
  add("Xor", [](const at::Tensor& a, const at::Tensor& b) { return at::logical_xor(a, b); });
  table.add("Where", std::make_shared<Where>());
  const auto test = [&](const char* name, Test::Function1 f) { table.add(name, std::make_shared<Test>(f)); };
  test("Not", [](const Node&, const at::Tensor& x) { return at::logical_not(x); });
  test("IsNaN", [](const Node&, const at::Tensor& x) { return at::isnan(x); });
  test("IsInf", is_inf);
}

}  // namespace quboprune
