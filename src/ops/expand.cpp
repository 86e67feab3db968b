// Expand and Tile. Channels that are made from one stay; repeated channels carry the labels of what they
// repeat.

#include <ATen/ExpandUtils.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "ops/base/size_list.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

class Expand final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto shape = at::infer_size(in.at(0).sizes(), to_integers(in.at(1)));
    require_usable(node, shape);
    return {in[0].expand(shape)};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int x = node.input(0);
    const int y = node.output(0);
    const bool sizes = known_integers(node, c, 1, "shape").has_value();
    const int offset = c.rank(y) - c.rank(x);
    for (int a = 0; a < c.rank(x); ++a) {
      const Labels here = c.labels(x, a);
      const auto size = c.shape(y)[static_cast<std::size_t>(a + offset)];
      if (here.empty()) continue;
      const bool passes =
          static_cast<std::int64_t>(here.size()) == size &&
          c.shape(x)[static_cast<std::size_t>(a)] == c.other_shape(x)[static_cast<std::size_t>(a)] &&
          c.other_shape(y)[static_cast<std::size_t>(a + offset)] == size;
      if (!passes) {
        c.freeze(here, sizes ? "makes several of one" : "its shape isn't constant");
      } else {  // computed sizes: coupling/size_flow.cpp sees whether they follow
        c.set(y, a + offset, here);
      }
    }
    if (const auto list = size_list(node, c)) tie_readers(node, *list, c);
  }

  void slice(const Node& node, Slicing& s) const override {
    // Before what is known: a size that was the same in both runs may be another in a third.
    if (const auto list = size_list(node, s.coupling())) {
      restate_list(node, *list, s);
      return;
    }
    auto sizes = known_integers(node, s.coupling(), 1, "shape");
    if (!sizes) return;
    const int out = node.output(0);
    const int offset = s.rank(out) - static_cast<int>(sizes->size());
    bool any = false;
    for (std::size_t k = 0; k < sizes->size(); ++k) {
      const int axis = static_cast<int>(k) + offset;
      if (axis < 0 || !s.cut(out, axis) || (*sizes)[k] == 1) continue;
      (*sizes)[k] = s.size_after(out, axis);
      any = true;
    }
    if (any) s.replace_input(1, integer_tensor(*sizes));
  }
};

class Tile final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const auto repeats = to_integers(in.at(1));
    if (static_cast<std::int64_t>(repeats.size()) != in[0].dim())
      throw InputError(node.title() + ": " + std::to_string(repeats.size()) + " repeats for " +
                       std::to_string(in[0].dim()) + " axes");
    std::vector<std::int64_t> shape = in[0].sizes().vec();
    for (std::size_t a = 0; a < shape.size(); ++a)
      shape[a] = repeats[a] < 0 || repeats[a] > (1 << 30) ? -1 : shape[a] * repeats[a];
    require_usable(node, shape);
    return {in[0].repeat(repeats)};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int x = node.input(0);
    auto repeats = known_integers(node, c, 1, "repeats");
    if (const auto list = joined_list(node.input(1), c); !repeats && list) repeats = list->entries;
    for (int a = 0; a < c.rank(x); ++a) {
      const Labels here = c.labels(x, a);
      if (here.empty()) continue;
      const auto times = repeats ? repeats->at(static_cast<std::size_t>(a)) : SizeList::kComputed;
      if (times == SizeList::kComputed) {
        c.freeze(here, "its repeats aren't constant");
        continue;
      }
      Labels all;
      for (std::int64_t k = 0; k < times; ++k) all.insert(all.end(), here.begin(), here.end());
      c.set(node.output(0), a, all);
    }
  }
};

}  // namespace

void make_expand(OperatorTable& table) {
  table.add("Expand", std::make_shared<Expand>());
  table.add("Tile", std::make_shared<Tile>());
}

}  // namespace quboprune
