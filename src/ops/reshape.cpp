// Reshape, Flatten, Squeeze, Unsqueeze: the same elements in the same order under another shape.
// How a target shape is stated for fewer channels: ops/base/target_shape.h.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "ops/base/target_shape.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

class Reshape final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    auto shape = integers_of(node, in, 1, "shape");
    if (!shape) throw InputError(node.title() + ": has no shape; export the model again");
    const bool zero_is_zero = node.integer("allowzero", 0) != 0;
    for (std::size_t a = 0; a < shape->size(); ++a) {
      if ((*shape)[a] != 0 || zero_is_zero) continue;
      if (static_cast<std::int64_t>(a) >= in[0].dim())
        throw InputError(node.title() + ": copies an axis that its input doesn't have");
      (*shape)[a] = in[0].size(static_cast<std::int64_t>(a));
    }
    return {at::reshape(in.at(0), *shape)};
  }

  void couple(const Node& node, Coupling& c) const override {
    couple_reshape(node.input(0), node.output(0), c);
    if (const auto shape = target_shape(node, c)) {
      tie_same_shapes(node, *shape, c);
    } else {
      c.freeze_inputs(node, "its shape isn't constant");
    }
  }

  void slice(const Node& node, Slicing& s) const override {
    if (node.input(1) < 0) return;
    bool any = s.resized(node.input(1)) || shares_shape(node, s.coupling());
    for (int v : {node.input(0), node.output(0)}) {
      for (int a = 0; a < s.rank(v); ++a) any = any || s.cut(v, a);
    }
    if (!any) return;
    if (const auto shape = target_shape(node, s.coupling())) restate_shape(node, *shape, s);
  }
};

class Flatten final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    auto axis = node.integer("axis", 1);
    if (axis < 0) axis += x.dim();
    std::int64_t rows = 1;
    for (std::int64_t a = 0; a < axis && a < x.dim(); ++a) rows *= x.size(a);
    return {x.reshape({rows, rows == 0 ? 0 : x.numel() / rows})};
  }
  void couple(const Node& node, Coupling& c) const override {
    couple_reshape(node.input(0), node.output(0), c);
  }
};

class Squeeze final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    const auto axes = integers_of(node, in, 1, "axes");
    if (!axes) return {x.squeeze()};
    std::vector<bool> gone(static_cast<std::size_t>(x.dim()), false);
    for (auto a : *axes) gone[static_cast<std::size_t>(positive_axis(a, x.dim(), node))] = true;
    std::vector<std::int64_t> shape;
    for (std::int64_t a = 0; a < x.dim(); ++a) {
      if (!gone[static_cast<std::size_t>(a)]) shape.push_back(x.size(a));
    }
    return {x.reshape(shape)};
  }
  void couple(const Node& node, Coupling& c) const override {
    couple_reshape(node.input(0), node.output(0), c);
  }
  /// Without axes an axis of channels would go too, once a single one is left of them.
  void slice(const Node& node, Slicing& s) const override {
    const int x = node.input(0);
    if (node.input(1) >= 0 || node.has("axes")) return;
    std::vector<std::int64_t> gone;
    bool single = false;
    for (int a = 0; a < s.rank(x); ++a) {
      if (s.size_before(x, a) == 1) gone.push_back(a);
      single = single || (s.cut(x, a) && s.size_after(x, a) == 1);
    }
    if (!single) return;
    if (node.version < 13) {
      s.set_attribute("axes", Attribute::of(gone));
    } else {
      s.append_input(1, "axes", integer_tensor(gone));
    }
  }
};

class Unsqueeze final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    auto axes = integers_of(node, in, 1, "axes").value_or(std::vector<std::int64_t>{});
    const auto rank = in.at(0).dim() + static_cast<std::int64_t>(axes.size());
    for (auto& a : axes) a = positive_axis(a, rank, node);
    std::sort(axes.begin(), axes.end());
    at::Tensor result = in[0];
    for (auto a : axes) result = result.unsqueeze(a);
    return {result};
  }
  void couple(const Node& node, Coupling& c) const override {
    couple_reshape(node.input(0), node.output(0), c);
  }
};

/// Passes its input on: Identity, and Dropout when not training.
class Identity final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    if (node.outputs.size() > 1) return {in.at(0), at::ones_like(in[0], in[0].options().dtype(at::kBool))};
    return {in.at(0)};
  }
  void couple(const Node& node, Coupling& c) const override { couple_same(node, c); }
};

}  // namespace

void make_reshape(OperatorTable& table) {
  table.add("Reshape", std::make_shared<Reshape>());
  table.add("Flatten", std::make_shared<Flatten>());
  table.add("Squeeze", std::make_shared<Squeeze>());
  table.add("Unsqueeze", std::make_shared<Unsqueeze>());
  table.add("Identity", std::make_shared<Identity>());
  table.add("Dropout", std::make_shared<Identity>());
}

}  // namespace quboprune
