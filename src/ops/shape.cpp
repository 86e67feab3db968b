// Shape, Size, Cast, ConstantOfShape, Range and what else computes sizes. They follow the sliced tensors by
// themselves; where a size of channels is made from one, the sliced network sees the smaller number.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

class Shape final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto rank = in.at(0).dim();
    const auto bound = [&](std::int64_t i) {
      return std::clamp(i < 0 ? i + rank : i, std::int64_t{0}, rank);
    };
    const auto start = bound(node.integer("start", 0));
    const auto end = bound(node.integer("end", rank));
    std::vector<std::int64_t> sizes;
    for (auto a = start; a < end; ++a) sizes.push_back(in[0].size(a));
    return {integer_tensor(sizes)};
  }
  void couple(const Node&, Coupling&) const override {}
};

class Cast final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    switch (node.integer("to", 1)) {
      case 1:
      case 10:
      case 16:
        return {in.at(0).to(at::kFloat)};  // half types are computed in single precision
      case 2:
        return {in.at(0).to(at::kByte)};
      case 3:
        return {in.at(0).to(at::kChar)};
      case 5:
        return {in.at(0).to(at::kShort)};
      case 6:
        return {in.at(0).to(at::kInt)};
      case 7:
        return {in.at(0).to(at::kLong)};
      case 9:
        return {in.at(0).to(at::kBool)};
      case 11:
        return {in.at(0).to(at::kDouble)};
      default:
        throw InputError(node.title() + ": casts to a type that isn't supported");
    }
  }
  void couple(const Node& node, Coupling& coupling) const override {
    const auto to = node.integer("to", 1);
    if (to == 1 || to == 10 || to == 11 || to == 16) {
      couple_same(node, coupling);
    } else {
      coupling.freeze_inputs(node, "cast to a type without gradients");
    }
  }
};

class ConstantOfShape final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto found = node.attributes.find("value");
    const at::Tensor value = found == node.attributes.end() || !found->second.t.defined()
                                 ? at::zeros({1}, at::kFloat)
                                 : found->second.t;
    return {value.reshape({}).expand(to_integers(in.at(0))).clone()};
  }
  void couple(const Node&, Coupling&) const override {}
};

}  // namespace

void make_shape(OperatorTable& table) {
  table.add("Shape", std::make_shared<Shape>());
  table.add("Cast", std::make_shared<Cast>());
  table.add("ConstantOfShape", std::make_shared<ConstantOfShape>());
}

}  // namespace quboprune
