// Pad: constant, reflect, edge (replicate), wrap. Padding of channels adds channels that may go again.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// Input index for each output index of one axis, -1 where the constant goes.
std::vector<std::int64_t> sources(std::int64_t size, std::int64_t before, std::int64_t after,
                                  const std::string& mode) {
  std::vector<std::int64_t> result;
  for (std::int64_t o = -before; o < size + after; ++o) {
    std::int64_t i = o;
    if (o < 0 || o >= size) {
      if (mode == "constant" || size == 0) {
        i = -1;
      } else if (mode == "edge") {
        i = std::clamp<std::int64_t>(o, 0, size - 1);
      } else if (mode == "wrap") {
        i = ((o % size) + size) % size;
      } else {
        const std::int64_t period = std::max<std::int64_t>(1, 2 * (size - 1));
        i = ((o % period) + period) % period;
        if (i >= size) i = period - i;
      }
    }
    result.push_back(i);
  }
  return result;
}

struct Amounts {
  std::vector<std::int64_t> before, after;
};

/// Per axis of the input, from the pads of all axes or of those that opset 18 names.
Amounts spread(const Node& node, const std::vector<std::int64_t>& pads,
               const std::vector<std::int64_t>& named, std::int64_t rank) {
  auto axes = named;
  if (axes.empty()) {
    for (std::int64_t a = 0; a < rank; ++a) axes.push_back(a);
  }
  if (pads.size() != 2 * axes.size())
    throw InputError(node.title() + ": " + std::to_string(pads.size()) + " pads for " +
                     std::to_string(axes.size()) + " axes");
  Amounts result{std::vector<std::int64_t>(static_cast<std::size_t>(rank), 0),
                 std::vector<std::int64_t>(static_cast<std::size_t>(rank), 0)};
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const auto a = static_cast<std::size_t>(positive_axis(axes[k], rank, node));
    result.before[a] = pads[k];
    result.after[a] = pads[k + axes.size()];
  }
  return result;
}

std::vector<std::int64_t> axes_input(const Node& node, const Coupling& c) {
  return known_integers(node, c, 3, "axes").value_or(std::vector<std::int64_t>{});
}

class Pad final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto pads = integers_of(node, in, 1, node.has("paddings") ? "paddings" : "pads");
    if (!pads) throw InputError(node.title() + ": has no pads; export the model again");
    const auto named = integers_of(node, in, 3, "axes").value_or(std::vector<std::int64_t>{});
    const Amounts amounts = spread(node, *pads, named, in.at(0).dim());
    std::vector<std::int64_t> shape = in[0].sizes().vec();
    for (std::size_t a = 0; a < shape.size(); ++a) {
      if (std::abs(amounts.before[a]) > (1 << 30) || std::abs(amounts.after[a]) > (1 << 30)) shape[a] = -1;
      if (shape[a] >= 0) shape[a] += amounts.before[a] + amounts.after[a];
    }
    require_usable(node, shape);
    const std::string mode = node.text("mode", "constant");
    at::Scalar value = node.real("value", 0);
    if (given(in, 2).defined() && in[2].numel() > 0) value = in[2].item();
    if (mode == "constant") return {constant(in[0], amounts, value)};
    at::Tensor result = in[0];
    for (std::size_t a = 0; a < amounts.before.size(); ++a) {
      if (amounts.before[a] == 0 && amounts.after[a] == 0) continue;
      const auto axis = static_cast<std::int64_t>(a);
      result = result.index_select(
          axis, integer_tensor(sources(result.size(axis), amounts.before[a], amounts.after[a], mode))
                    .to(result.device()));
    }
    return {result};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int x = node.input(0);
    const auto pads = known_integers(node, c, 1, node.has("paddings") ? "paddings" : "pads");
    for (int a = 0; a < c.rank(x); ++a) {
      const Labels here = c.labels(x, a);
      if (here.empty()) continue;
      const auto at = static_cast<std::size_t>(a);
      if (!pads) {
        if (c.shape(x)[at] == c.shape(node.output(0))[at] && a < 2) {
          c.set(node.output(0), a, here);
        } else {
          c.freeze(here, "its amounts aren't constant");
        }
        continue;
      }
      const Amounts amounts = spread(node, *pads, axes_input(node, c), c.rank(x));
      if (node.text("mode", "constant") != "constant" &&
          (amounts.before[at] != 0 || amounts.after[at] != 0)) {
        c.freeze(here, "mirrors channels");
        continue;
      }
      Labels all;
      for (auto i : sources(static_cast<std::int64_t>(here.size()), amounts.before[at], amounts.after[at],
                            "constant")) {
        all.push_back(i < 0 ? c.fresh_labels(1)[0] : here[static_cast<std::size_t>(i)]);
      }
      c.set(node.output(0), a, all);
    }
  }

  void slice(const Node& node, Slicing& s) const override {
    const auto pads = known_integers(node, s.coupling(), 1, node.has("paddings") ? "paddings" : "pads");
    if (!pads) return;
    const auto rank = s.rank(node.input(0));
    Amounts amounts = spread(node, *pads, axes_input(node, s.coupling()), rank);
    bool any = false;
    for (int a = 0; a < rank; ++a) {
      const auto at = static_cast<std::size_t>(a);
      if (!s.cut(node.input(0), a) && !s.cut(node.output(0), a)) continue;
      if (amounts.before[at] == 0 && amounts.after[at] == 0) continue;
      any = true;
      recount(s, node, a, amounts.before[at], amounts.after[at]);
    }
    if (!any) return;
    std::vector<std::int64_t> flat = amounts.before;
    flat.insert(flat.end(), amounts.after.begin(), amounts.after.end());
    if (node.input(1) < 0) {
      s.set_attribute(node.has("paddings") ? "paddings" : "pads", Attribute::of(flat));
    } else {
      s.replace_input(1, integer_tensor(flat));
      if (node.input(3) >= 0) {
        std::vector<std::int64_t> all;
        for (int a = 0; a < rank; ++a) all.push_back(a);
        s.replace_input(3, integer_tensor(all));
      }
    }
  }

 private:
  static at::Tensor constant(const at::Tensor& x, const Amounts& amounts, const at::Scalar& value) {
    std::vector<std::int64_t> reversed;
    for (std::size_t a = amounts.before.size(); a-- > 0;) {
      reversed.push_back(amounts.before[a]);
      reversed.push_back(amounts.after[a]);
    }
    return at::constant_pad_nd(x, reversed, value);
  }

  /// New amounts on a cut axis: as many as there are kept added (or cropped) indices on each side.
  static void recount(Slicing& s, const Node& node, int axis, std::int64_t& before, std::int64_t& after) {
    const auto in_size = s.size_before(node.input(0), axis);
    const auto out_size = s.size_before(node.output(0), axis);
    const auto in = s.kept(node.input(0), axis);
    const auto out = s.kept(node.output(0), axis);
    const auto count = [](const std::vector<std::int64_t>& list, auto test) {
      return static_cast<std::int64_t>(std::count_if(list.begin(), list.end(), test));
    };
    const auto b = before;
    const auto a = after;
    before = b >= 0 ? count(out, [&](auto i) { return i < b; }) : -count(in, [&](auto i) { return i < -b; });
    after = a >= 0 ? count(out, [&](auto i) { return i >= out_size - a; })
                   : -count(in, [&](auto i) { return i >= in_size + a; });
  }
};

}  // namespace

void make_pad(OperatorTable& table) {
  table.add("Pad", std::make_shared<Pad>());
}

}  // namespace quboprune
