// ReduceSum, ReduceMean and the other reductions. Over channels, those of sums of what each channel gives
// (Sum, L1, L2, SumSquare) are contractions: a removed channel adds nothing. The others freeze the channels
// that they reduce (ReduceMean unless norms may shrink: Coupling::averages), and all do in weights: a norm of
// weights must stay the norm of all of them.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

using Axes = std::vector<std::int64_t>;
using Function = at::Tensor (*)(const at::Tensor&, const Axes&);

/// Nothing: the node's axes aren't constant. Empty: it reduces nothing.
std::optional<Axes> checked(const Node& node, std::optional<Axes> axes, bool given, std::int64_t rank) {
  if (given && !axes) return std::nullopt;
  if (!axes || axes->empty()) {
    Axes all;
    for (std::int64_t a = 0; a < rank && node.integer("noop_with_empty_axes", 0) == 0; ++a) all.push_back(a);
    return all;
  }
  for (auto& a : *axes) a = positive_axis(a, rank, node);
  std::sort(axes->begin(), axes->end());
  return axes;
}

/// What becomes of a channel that is reduced: its summand goes, its share of a mean goes, or it stays.
enum class Reduced { summand, share, stays };

class Reduce final : public Operator {
 public:
  Reduce(Function function, Reduced reduced) : function_(function), reduced_(reduced) {}

  Tensors run(const Node& node, const Tensors& in, const RunMode& mode) const override {
    const auto& x = in.at(0);
    const Axes axes = *checked(node, integers_of(node, in, 1, "axes"), false, x.dim());
    at::Tensor y = mode.mean_weights.defined() ? mean_over(x, axes, mode) : function_(x, axes);  // keeps axes
    if (y.scalar_type() != x.scalar_type()) y = y.to(x.scalar_type());
    if (node.integer("keepdims", 1) != 0) return {y};
    std::vector<std::int64_t> shape;
    for (std::int64_t a = 0; a < y.dim(); ++a) {
      if (!std::binary_search(axes.begin(), axes.end(), a)) shape.push_back(y.size(a));
    }
    return {y.reshape(shape)};
  }

  void couple(const Node& node, Coupling& c) const override {
    const int x = node.input(0);
    const auto axes = checked(node, known_integers(node, c, 1, "axes"), node.input(1) >= 0, c.rank(x));
    if (!axes) {
      c.freeze_inputs(node, "its axes aren't constant");
      return;
    }
    const Reduced becomes = c.is_weight(x) ? Reduced::stays : reduced_;
    const char* const why = "reduces these channels";
    if (becomes == Reduced::share) c.averages(*axes, why);
    bool contracted = false;
    int out = 0;
    for (int a = 0; a < c.rank(x); ++a) {
      const Labels here = c.labels(x, a);
      if (!std::binary_search(axes->begin(), axes->end(), a)) {
        c.set(node.output(0), out++, here);
        continue;
      }
      if (node.integer("keepdims", 1) != 0) ++out;
      if (here.empty() || becomes == Reduced::share) continue;
      if (becomes == Reduced::summand && !contracted) {
        c.contracts(0, a);
        contracted = true;
      } else {
        c.freeze(here, why);
      }
    }
  }

 private:
  Function function_;
  Reduced reduced_;
};

/// One axis after the other: LibTorch's prod takes one at a time, and its amax no empty list.
at::Tensor one_by_one(const at::Tensor& x, const Axes& axes,
                      at::Tensor (*step)(const at::Tensor&, std::int64_t)) {
  at::Tensor y = x;
  for (auto a : axes) y = step(y, a);
  return y;
}

at::Tensor sum(const at::Tensor& x, const Axes& axes) {
  return axes.empty() ? x : at::sum(x, axes, true);
}

at::Tensor mean(const at::Tensor& x, const Axes& axes) {
  if (axes.empty()) return x;
  return at::isFloatingType(x.scalar_type()) ? at::mean(x, axes, true)
                                             : at::mean(x.to(at::kDouble), axes, true);
}

at::Tensor log_sum_exp(const at::Tensor& x, const Axes& axes) {
  const at::Tensor wide = at::isFloatingType(x.scalar_type()) ? x : x.to(at::kDouble);
  return axes.empty() ? wide : at::logsumexp(wide, axes, true);
}

at::Tensor extreme(const at::Tensor& x, const Axes& axes, bool largest) {
  if (axes.empty()) return x;
  for (auto a : axes) {
    if (x.size(a) > 0) continue;
    std::vector<std::int64_t> shape = x.sizes().vec();
    for (auto b : axes) shape[static_cast<std::size_t>(b)] = 1;
    if (x.scalar_type() == at::kBool) return at::full(shape, !largest, x.options());
    return at::full(shape, largest ? -INFINITY : INFINITY, x.options());
  }
  return largest ? at::amax(x, axes, true) : at::amin(x, axes, true);
}

}  // namespace

void make_reduce(OperatorTable& table) {
  const auto add = [&](const char* name, Function f, Reduced reduced) {
    table.add(name, std::make_shared<Reduce>(f, reduced));
  };
  add("ReduceSum", sum, Reduced::summand);
  add(
      "ReduceL1", [](const at::Tensor& x, const Axes& a) { return sum(x.abs(), a); }, Reduced::summand);
  add(
      "ReduceL2",
      [](const at::Tensor& x, const Axes& a) {
        const at::Tensor squares = sum(x * x, a);
        return at::isFloatingType(x.scalar_type()) ? at::sqrt(squares) : at::sqrt(squares.to(at::kDouble));
      },
      Reduced::summand);
  add(
      "ReduceSumSquare", [](const at::Tensor& x, const Axes& a) { return sum(x * x, a); }, Reduced::summand);
  add("ReduceMean", mean, Reduced::share);
  add(
      "ReduceMax", [](const at::Tensor& x, const Axes& a) { return extreme(x, a, true); }, Reduced::stays);
  add(
      "ReduceMin", [](const at::Tensor& x, const Axes& a) { return extreme(x, a, false); }, Reduced::stays);
  add(
      "ReduceProd",
      [](const at::Tensor& x, const Axes& a) {
        return one_by_one(x, a,
                          [](const at::Tensor& y, std::int64_t axis) { return at::prod(y, axis, true); });
      },
      Reduced::stays);
  add(
      "ReduceLogSum", [](const at::Tensor& x, const Axes& a) { return at::log(sum(x, a)); }, Reduced::stays);
  add("ReduceLogSumExp", log_sum_exp, Reduced::stays);
}

}  // namespace quboprune
