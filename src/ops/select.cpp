// Slice, Split, Gather: some of an axis's indices. Labels follow the indices; steps other than 1 along
// labelled axes, and bounds and indices that are computed there, freeze.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

struct Range {
  std::int64_t axis, start, end, step;
};

/// Start and end as the definition clamps them for an axis of this size.
void clamp_range(Range& r, std::int64_t size) {
  const auto low = r.step > 0 ? std::int64_t{0} : std::int64_t{-1};
  const auto high = r.step > 0 ? size : size - 1;
  const auto fit = [&](std::int64_t i) { return std::clamp(i < 0 ? i + size : i, low, high); };
  r.start = fit(r.start);
  r.end = r.end < -size ? low : fit(r.end);
}

std::vector<Range> ranges(const Node& node, const std::vector<std::int64_t>& starts,
                          const std::vector<std::int64_t>& ends,
                          const std::optional<std::vector<std::int64_t>>& axes,
                          const std::optional<std::vector<std::int64_t>>& steps,
                          const std::vector<std::int64_t>& shape) {
  std::vector<Range> result;
  const auto fits = [&](const auto& list) { return !list || list->size() == starts.size(); };
  if (ends.size() != starts.size() || !fits(axes) || !fits(steps))
    throw InputError(node.title() + ": starts, ends, axes and steps differ in length");
  for (std::size_t k = 0; k < starts.size(); ++k) {
    const auto axis = positive_axis(axes ? (*axes)[k] : static_cast<std::int64_t>(k),
                                    static_cast<std::int64_t>(shape.size()), node);
    Range r{axis, starts[k], ends[k], steps ? (*steps)[k] : 1};
    if (r.step == 0) throw InputError(node.title() + ": a step of 0");
    clamp_range(r, shape[static_cast<std::size_t>(axis)]);
    result.push_back(r);
  }
  return result;
}

class Slice final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto starts = integers_of(node, in, 1, "starts");
    const auto ends = integers_of(node, in, 2, "ends");
    if (!starts || !ends) throw InputError(node.title() + ": has no starts or ends; export the model again");
    at::Tensor x = in.at(0);
    for (const auto& r : ranges(node, *starts, *ends, integers_of(node, in, 3, "axes"),
                                integers_of(node, in, 4, "steps"), x.sizes().vec())) {
      if (r.step > 0) {
        x = x.slice(r.axis, r.start, std::max(r.start, r.end), r.step);
      } else {
        std::vector<std::int64_t> from;
        for (auto i = r.start; i > r.end; i += r.step) from.push_back(i);
        x = x.index_select(r.axis, integer_tensor(from).to(x.device()));
      }
    }
    return {x};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int x = node.input(0);
    const auto all = known_ranges(node, c);
    const auto untouched = whole_axes(node, c);
    for (int a = 0; a < c.rank(x); ++a) {
      const Labels here = c.labels(x, a);
      if (here.empty()) continue;
      if (untouched[static_cast<std::size_t>(a)]) {
        c.set(node.output(0), a, here);
        continue;
      }
      if (!all) {
        c.freeze(here, "its bounds aren't constant");
        continue;
      }
      const auto r = std::find_if(all->begin(), all->end(), [&](const Range& q) { return q.axis == a; });
      if (r->step != 1 || r->end <= r->start) {
        c.freeze(here, "takes every few channels");
      } else {
        c.set(node.output(0), a, Labels(here.begin() + r->start, here.begin() + r->end));
      }
    }
  }

  void slice(const Node& node, Slicing& s) const override {
    auto all = known_ranges(node, s.coupling());
    if (!all) return;
    bool any = false;
    for (auto& r : *all) {
      const int axis = static_cast<int>(r.axis);
      if (!s.cut(node.input(0), axis)) continue;
      any = true;
      const auto kept = s.kept(node.input(0), axis);
      const auto below = [&](std::int64_t bound) {
        return std::lower_bound(kept.begin(), kept.end(), bound) - kept.begin();
      };
      r.start = below(r.start);
      r.end = below(r.end);
    }
    if (any) write(node, *all, s);
  }

 private:
  /// By axis of the input: does the node leave it alone? Image sizes are often cut to bounds that a run
  /// computes.
  static std::vector<bool> whole_axes(const Node& node, const Coupling& c) {
    const int x = node.input(0);
    std::vector<bool> whole(static_cast<std::size_t>(c.rank(x)), true);
    std::vector<std::int64_t> axes;
    if (auto given = known_integers(node, c, 3, "axes")) {
      axes = *std::move(given);
    } else if (node.input(3) >= 0) {
      return std::vector<bool>(whole.size(), false);
    } else {  // the first ones, as many as there are bounds
      const auto count = node.input(1) >= 0 ? c.shape(node.input(1)).at(0)
                                            : static_cast<std::int64_t>(node.integers("starts").size());
      for (std::int64_t a = 0; a < count; ++a) axes.push_back(a);
    }
    for (auto a : axes) whole[static_cast<std::size_t>(positive_axis(a, c.rank(x), node))] = false;
    return whole;
  }

  static std::optional<std::vector<Range>> known_ranges(const Node& node, const Coupling& c) {
    const auto starts = known_integers(node, c, 1, "starts");
    const auto ends = known_integers(node, c, 2, "ends");
    const auto axes = known_integers(node, c, 3, "axes");
    const auto steps = known_integers(node, c, 4, "steps");
    if (!starts || !ends || (node.input(3) >= 0 && !axes) || (node.input(4) >= 0 && !steps))
      return std::nullopt;
    return ranges(node, *starts, *ends, axes, steps, c.shape(node.input(0)));
  }

  /// Bounds along axes that depend on the input's size were clamped to the probe's: they keep what they were.
  static void write(const Node& node, const std::vector<Range>& all, Slicing& s) {
    auto starts = *known_integers(node, s.coupling(), 1, "starts");
    auto ends = *known_integers(node, s.coupling(), 2, "ends");
    for (std::size_t k = 0; k < all.size(); ++k) {
      if (!s.cut(node.input(0), static_cast<int>(all[k].axis))) continue;
      starts[k] = all[k].start;
      ends[k] = all[k].end;
    }
    if (node.input(1) < 0) {
      s.set_attribute("starts", Attribute::of(starts));
      s.set_attribute("ends", Attribute::of(ends));
    } else {
      const auto type = s.coupling().known(node.input(1)).scalar_type();
      s.replace_input(1, integer_tensor(starts).to(type));
      s.replace_input(2, integer_tensor(ends).to(type));
    }
  }
};

class Split final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto axis = positive_axis(node.integer("axis", 0), in.at(0).dim(), node);
    return at::split_with_sizes(in[0], sizes(node, integers_of(node, in, 1, "split"), in[0].size(axis)),
                                axis);
  }

  void couple(const Node& node, Coupling& c) const override {
    const int x = node.input(0);
    const auto axis = static_cast<int>(positive_axis(node.integer("axis", 0), c.rank(x), node));
    for (int a = 0; a < c.rank(x); ++a) {
      const Labels here = c.labels(x, a);
      if (here.empty()) continue;
      std::size_t from = 0;
      for (int out : node.outputs) {
        if (a != axis) {
          if (out >= 0) c.set(out, a, here);
          continue;
        }
        if (out < 0 || !c.seen(out)) {
          c.freeze(here, "an output isn't used");
          break;
        }
        const auto size = static_cast<std::size_t>(c.shape(out)[static_cast<std::size_t>(a)]);
        const Labels part(here.begin() + static_cast<std::ptrdiff_t>(from),
                          here.begin() + static_cast<std::ptrdiff_t>(from + size));
        if (size == 1) c.freeze(part, "a single channel stays");
        c.set(out, a, part);
        from += size;
      }
    }
  }

  void slice(const Node& node, Slicing& s) const override {
    const auto axis = static_cast<int>(positive_axis(node.integer("axis", 0), s.rank(node.input(0)), node));
    if (!s.cut(node.input(0), axis)) return;
    std::vector<std::int64_t> parts;
    for (int out : node.outputs) parts.push_back(s.size_after(out, axis));
    if (node.version < 13) {
      s.set_attribute("split", Attribute::of(parts));
    } else if (node.input(1) >= 0) {
      s.replace_input(1, integer_tensor(parts));
    } else {
      s.append_input(1, "split", integer_tensor(parts));
      s.remove_attribute("num_outputs");
    }
  }

 private:
  static std::vector<std::int64_t> sizes(const Node& node,
                                         const std::optional<std::vector<std::int64_t>>& given,
                                         std::int64_t total) {
    if (given && !given->empty()) return *given;
    const auto parts = static_cast<std::int64_t>(node.outputs.size());
    if (parts == 0) throw InputError(node.title() + ": has no outputs; export the model again");
    const auto each = (total + parts - 1) / parts;
    std::vector<std::int64_t> result(static_cast<std::size_t>(parts), each);
    result.back() = total - each * (parts - 1);
    return result;
  }
};

class Gather final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto& x = in.at(0);
    const auto axis = positive_axis(node.integer("axis", 0), x.dim(), node);
    const at::Tensor index = positive_indices(node, in.at(1), x.size(axis));
    std::vector<std::int64_t> shape = x.sizes().vec();
    shape.erase(shape.begin() + axis);
    const auto inner = index.sizes().vec();
    shape.insert(shape.begin() + axis, inner.begin(), inner.end());
    return {x.index_select(axis, index.reshape(-1)).reshape(shape)};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int x = node.input(0);
    const int indices = node.input(1);
    const auto axis = static_cast<int>(positive_axis(node.integer("axis", 0), c.rank(x), node));
    const at::Tensor known = c.known(indices);
    c.freeze_value(indices, "used as an index");
    for (int a = 0; a < c.rank(x); ++a) {
      const Labels here = c.labels(x, a);
      if (here.empty()) continue;
      if (a != axis) {
        c.set(node.output(0), a < axis ? a : a + c.rank(indices) - 1, here);
      } else if (!known.defined() || known.dim() != 1 ||
                 !c.graph().values[static_cast<std::size_t>(indices)].is_constant()) {
        c.freeze(here, "takes single channels out");
      } else {
        Labels taken;
        for (auto i : to_integers(known))
          taken.push_back(
              here[static_cast<std::size_t>(i < 0 ? i + static_cast<std::int64_t>(here.size()) : i)]);
        c.set(node.output(0), a, taken);
      }
    }
  }

  void slice(const Node& node, Slicing& s) const override {
    const auto axis = static_cast<int>(positive_axis(node.integer("axis", 0), s.rank(node.input(0)), node));
    if (!s.cut(node.input(0), axis)) return;
    const auto kept = s.kept(node.input(0), axis);
    const auto size = s.size_before(node.input(0), axis);
    const at::Tensor known = s.coupling().known(node.input(1));
    std::vector<std::int64_t> indices;
    for (auto i : to_integers(known)) {
      const auto at = std::lower_bound(kept.begin(), kept.end(), i < 0 ? i + size : i);
      if (at != kept.end() && *at == (i < 0 ? i + size : i)) indices.push_back(at - kept.begin());
    }
    s.replace_input(1, integer_tensor(indices).to(known.scalar_type()));
  }
};

}  // namespace

void make_select(OperatorTable& table) {
  table.add("Slice", std::make_shared<Slice>());
  table.add("Split", std::make_shared<Split>());
  table.add("Gather", std::make_shared<Gather>());
}

}  // namespace quboprune
