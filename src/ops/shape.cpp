// Shape, Size, Cast, ConstantOfShape, Range and what else computes sizes. They follow the sliced tensors by
// themselves; where a size of channels is made from one, the sliced network sees the smaller number.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>

#include "model/element_types.h"
#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "ops/base/size_list.h"
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
  void couple(const Node& node, Coupling& c) const override { c.reads_shape_only(node.input(0)); }
};

class Size final : public Operator {
 public:
  Tensors run(const Node&, const Tensors& in, const RunMode&) const override {
    return {at::scalar_tensor(in.at(0).numel(), at::kLong)};
  }
  void couple(const Node& node, Coupling& c) const override { c.reads_shape_only(node.input(0)); }
};

class Range final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const at::Tensor& start = in.at(0);
    const at::Tensor& delta = in.at(2);
    const double step = delta.item<double>();
    const double count = std::ceil((in.at(1).item<double>() - start.item<double>()) / step);
    if (step == 0 || !(count <= 1e8)) throw InputError(node.title() + ": a range without an end");
    const at::Tensor index = at::arange(static_cast<std::int64_t>(std::max(0.0, count)), start.options());
    return {start.reshape({}) + index * delta.reshape({})};
  }
};

/// To the type of another value; what else that value holds doesn't matter.
class CastLike final : public Operator {
 public:
  Tensors run(const Node&, const Tensors& in, const RunMode&) const override {
    const auto type = in.at(1).scalar_type();
    return {type == at::kBool ? in[0].ne(0) : in[0].to(type)};
  }
  void couple(const Node& node, Coupling& c) const override {
    c.freeze_value(node.input(1), "gives its type");
    couple_same(node, c);
  }
};

class EyeLike final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    if (x.dim() != 2) throw InputError(node.title() + ": wants a matrix");
    const auto type =
        node.has("dtype") ? held_type(static_cast<int>(node.integer("dtype", 1))) : x.scalar_type();
    if (!type) throw InputError(node.title() + ": a type that isn't supported");
    at::Tensor result = at::zeros(x.sizes(), x.options().dtype(*type));
    const auto k = node.integer("k", 0);
    if (k < x.size(1) && -k < x.size(0)) result.diagonal(k).fill_(1);
    return {result};
  }
};

class NonZero final : public Operator {
 public:
  Tensors run(const Node&, const Tensors& in, const RunMode&) const override {
    return {at::nonzero(in.at(0)).t().contiguous()};
  }
};

class Cast final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto to = static_cast<int>(node.integer("to", 1));
    if (!held_type(to)) throw InputError(node.title() + ": casts to a type that isn't supported");
    const std::string direction = node.text("round_mode", "up");
    return {
        cast_to(in.at(0), to, {node.integer("saturate", 1) != 0, direction.empty() ? 'u' : direction[0]})};
  }
  void couple(const Node& node, Coupling& coupling) const override {
    const auto to = node.integer("to", 1);
    if (to == element::float32 || to == element::float64 || to == element::float16 ||
        to == element::bfloat16) {
      couple_same(node, coupling);
    } else {
      coupling.freeze_inputs(node, "cast to a type without gradients");
    }
  }
};

class ConstantOfShape final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    require_usable(node, to_integers(in.at(0)));
    const auto found = node.attributes.find("value");
    const at::Tensor value = found == node.attributes.end() || !found->second.t.defined()
                                 ? at::zeros({1}, at::kFloat)
                                 : found->second.t;
    return {value.reshape({}).expand(to_integers(in.at(0))).clone()};
  }

  /// Where it has the shape of another value it loses what that one loses; where a list fixes a size, its
  /// channels are its own. All are alike, so any may go.
  void couple(const Node& node, Coupling& c) const override {
    const int out = node.output(0);
    const auto value = node.attributes.find("value");
    if (value != node.attributes.end() && value->second.t.defined() && !value->second.t.is_floating_point())
      return;
    const int producer = c.graph().values[static_cast<std::size_t>(node.input(0))].producer;
    const Node* shape = producer < 0 ? nullptr : &c.graph().nodes[static_cast<std::size_t>(producer)];
    if (shape && shape->op == "Shape" && shape->domain.empty() && c.rank(shape->input(0)) == c.rank(out)) {
      for (int axis = 0; axis < c.rank(out); ++axis) c.set(out, axis, c.peek(shape->input(0), axis));
      return;
    }
    const auto list = size_list(node, c);
    for (int axis = 0; list && axis < c.rank(out); ++axis) {
      const auto size = list->entries[static_cast<std::size_t>(axis)];
      if (size > 1) c.set(out, axis, c.fresh_labels(static_cast<std::size_t>(size)));
    }
    if (list) tie_readers(node, *list, c);
  }

  void slice(const Node& node, Slicing& s) const override {
    if (const auto list = size_list(node, s.coupling())) restate_list(node, *list, s);
  }
};

}  // namespace

void make_shape(OperatorTable& table) {
  table.add("Shape", std::make_shared<Shape>());
  table.add("Size", std::make_shared<Size>());
  table.add("Range", std::make_shared<Range>());
  table.add("CastLike", std::make_shared<CastLike>());
  table.add("EyeLike", std::make_shared<EyeLike>());
  table.add("NonZero", std::make_shared<NonZero>());
  table.add("Cast", std::make_shared<Cast>());
  table.add("ConstantOfShape", std::make_shared<ConstantOfShape>());
}

}  // namespace quboprune
