#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/index.h"
#include "coupling/analysis.h"
#include "model/element_types.h"
#include "quboprune/error.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

/// Inputs of the probe's size; where the file leaves sizes open, others too.
std::vector<std::vector<std::vector<std::int64_t>>> sizes_to_try(const Analysis& a) {
  std::vector<std::vector<std::vector<std::int64_t>>> result{a.input_shapes};
  // Height and width by different quarters: what takes one for the other shows.
  const auto varied = [&](std::int64_t batch, std::int64_t height, std::int64_t others) {
    auto shapes = a.input_shapes;
    for (std::size_t k = 0; k < shapes.size(); ++k) {
      const auto& declared = a.graph.values[at_index(a.graph.inputs[k])].shape;
      for (std::size_t d = 0; d < shapes[k].size(); ++d) {
        if (declared[d] >= 0) continue;
        if (d == 0) shapes[k][d] = batch;
        if (d >= 2) shapes[k][d] = std::max<std::int64_t>(1, shapes[k][d] * (d == 2 ? height : others) / 4);
      }
    }
    if (std::find(result.begin(), result.end(), shapes) == result.end()) result.push_back(shapes);
  };
  varied(2, 2, 3);
  varied(1, 3, 2);
  // The one besides the first that the network is known to take.
  if (std::find(result.begin(), result.end(), a.other_input_shapes) == result.end())
    result.push_back(a.other_input_shapes);
  return result;
}

/// Among the finite ones.
double largest(const at::Tensor& t) {
  if (t.numel() == 0) return 0;
  return t.to(at::kDouble).abs().nan_to_num(0, 0, 0).max().item<double>();
}

/// The same infinity, or no number in both, is no difference: masked logits, logarithms of nothing.
double difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return INFINITY;
  if (a.numel() == 0) return 0;
  const at::Tensor x = a.to(at::kDouble);
  const at::Tensor y = b.to(at::kDouble);
  const at::Tensor alike = x.eq(y).logical_or(x.ne(x).logical_and(y.ne(y)));
  const double d = at::sub(x, y).abs().masked_fill(alike, 0).max().item<double>();
  return std::isnan(d) ? INFINITY : d;
}

/// An output without a finite number proves nothing.
bool says_something(const std::vector<at::Tensor>& outputs) {
  return std::any_of(outputs.begin(), outputs.end(), [](const at::Tensor& t) {
    return t.numel() == 0 || at::isfinite(t).any().item<bool>();
  });
}

/// The first node, in order, whose kept values differ by more than the tolerance allows.
std::string first_difference(const ChannelGroups& groups, const Mask& mask, const Graph& sliced,
                             const std::vector<at::Tensor>& inputs, double relative) {
  const Analysis& a = groups.analysis();
  std::vector<at::Tensor> masked(a.graph.values.size());
  RunOptions options = masked_run(groups, mask);
  options.on_value = [&](int v, const at::Tensor& t) { masked[at_index(v)] = t; };
  Executor(a.graph).run(inputs, options);
  std::string where;
  RunOptions record;
  record.on_value = [&](int v, const at::Tensor& t) {
    if (!where.empty() || at_index(v) >= masked.size() || !t.is_floating_point()) return;
    at::Tensor dense = masked[at_index(v)];
    for (int axis = 0; axis < static_cast<int>(dense.dim()); ++axis) {
      if (const auto kept = groups.kept(v, axis, mask)) {
        if (kept->empty()) return;  // an emptied branch
        dense = dense.index_select(axis, at::tensor(*kept, at::kLong));
      }
    }
    if (difference(dense, t) > relative * (1e-6 + largest(dense)))
      where = a.graph.nodes[at_index(a.graph.values[at_index(v)].producer)].title();
  };
  Executor(sliced).run(inputs, record);
  return where;
}

/// The network in float64: its weights, and what it casts to shorter floats.
Graph in_double(Graph graph) {
  for (auto& value : graph.values) {
    if (value.is_constant() && value.constant.is_floating_point())
      value.constant = value.constant.tensor().to(at::kDouble);
  }
  for (auto& node : graph.nodes) {
    const auto to = node.integer("to", 0);
    if (to == element::float32 || to == element::float16 || to == element::bfloat16)
      node.attributes["to"] = Attribute::of(element::float64);
  }
  return graph;
}

/// By output, in float64; empty where the network can't be run in it.
std::vector<double> differences_in_double(const ChannelGroups& groups, const Mask& mask, const Graph& sliced,
                                          std::vector<at::Tensor> inputs) {
  for (auto& input : inputs) {
    if (input.is_floating_point()) input = input.to(at::kDouble);
  }
  const RunOptions masked = masked_run(groups, mask);
  std::vector<double> differences;
  try {
    const auto expected = Executor(in_double(groups.analysis().graph)).run(inputs, masked);
    const auto got = Executor(in_double(sliced)).run(inputs);
    for (std::size_t k = 0; k < got.size(); ++k) {
      const bool kept_short = got[k].is_floating_point() && got[k].scalar_type() != at::kDouble;
      differences.push_back(kept_short ? INFINITY : difference(expected[k], got[k]));
    }
  } catch (const InputError&) {  // an operator that gives float32 whatever it reads
    return {};
  }
  return differences;
}

/// Unit roundoff falls 2^29-fold from float32 to float64, and rounding with it; the 2^9 between are for
/// kernels of the two types that add up in other orders. What is really wrong doesn't fall at all.
bool is_rounding(double in_float, double in_double) {
  return std::isfinite(in_float) && in_double <= std::ldexp(in_float, -20);
}

/// The comparison of a cut network with the masked original, size by size.
class Verification {
 public:
  Verification(const ChannelGroups& groups, const Mask& mask, const Graph& sliced)
      : groups_(groups),
        mask_(mask),
        sliced_(sliced),
        // Three runs: not worth a copy of all weights.
        dense_(groups.analysis().graph, {.hold_constants = false}),
        small_(sliced, {.hold_constants = false}),
        masked_(masked_run(groups, mask)) {}

  Equivalence run() {
    const auto sizes = sizes_to_try(groups_.analysis());
    for (std::size_t k = 0; k < sizes.size(); ++k) {
      if (k >= 3 && result_.shapes.size() > 1) break;  // a fallback, for want of two that run
      if (!compare_at(sizes[k])) return result_;
    }
    if (!says_something_)
      throw InputError(
          "the network puts out no finite number on the random inputs tried, so nothing can be verified: "
          "check its weights");
    return result_;
  }

 private:
  /// False where the cut network doesn't run: that settles it.
  bool compare_at(const std::vector<std::vector<std::int64_t>>& shapes) {
    const Graph& graph = groups_.analysis().graph;
    std::vector<at::Tensor> inputs;
    std::vector<std::string> words;
    for (std::size_t k = 0; k < shapes.size(); ++k) {
      inputs.push_back(random_input(graph.values[at_index(graph.inputs[k])], shapes[k], rng_));
      words.push_back(fmt::format("{}", fmt::join(shapes[k], "x")));
    }
    std::vector<at::Tensor> expected;
    try {
      expected = dense_.run(inputs, masked_);
    } catch (const InputError&) {
      if (result_.shapes.empty()) throw;
      return true;  // a size that the original itself doesn't take says nothing
    }
    says_something_ = says_something_ || says_something(expected);
    result_.shapes.push_back(fmt::format("{}", fmt::join(words, ", ")));
    std::vector<at::Tensor> got;
    try {
      got = small_.run(inputs);
    } catch (const InputError& e) {  // the cut's fault, as the original takes them
      result_.max_abs_difference = INFINITY;
      result_.where = e.what();
      return false;
    }
    compare(expected, got, inputs);
    return true;
  }

  void compare(const std::vector<at::Tensor>& expected, const std::vector<at::Tensor>& got,
               const std::vector<at::Tensor>& inputs) {
    std::optional<std::vector<double>> doubles;
    for (std::size_t k = 0; k < got.size(); ++k) {
      const double d = difference(expected[k], got[k]);
      const double relative = relative_for(expected[k].scalar_type());
      double allowed = relative * std::max(1e-6, largest(expected[k]));
      if (d > allowed) {
        if (!doubles) doubles = differences_in_double(groups_, mask_, sliced_, inputs);
        if (!doubles->empty() && is_rounding(d, (*doubles)[k])) allowed = d;
      }
      // The one that uses up most of its own tolerance: a small output beside a large one has a small one.
      const double used = d > 0 ? d / allowed : 0;
      if (used > most_used_) {
        most_used_ = used;
        result_.max_abs_difference = d;
        result_.tolerance = allowed;
      }
      if (d > allowed && result_.where.empty())
        result_.where = first_difference(groups_, mask_, sliced_, inputs, relative);
    }
  }

  /// What sums in another order can make of an output, as a part of its largest element: nothing of whole
  /// numbers.
  double relative_for(at::ScalarType type) const {
    if (!at::isFloatingType(type)) return 0;
    return 64 * std::pow(2.0, type == at::kDouble ? -53 : -24) *
           (1 + static_cast<double>(groups_.layers().size()));
  }

  const ChannelGroups& groups_;
  const Mask& mask_;
  const Graph& sliced_;
  const Executor dense_, small_;
  const RunOptions masked_;
  Rng rng_{1};
  Equivalence result_;
  double most_used_ = -1;
  bool says_something_ = false;
};

}  // namespace

Equivalence verify(const ChannelGroups& groups, const Mask& mask, const Graph& sliced) {
  const at::NoGradGuard no_grad;
  return Verification(groups, mask, sliced).run();
}

}  // namespace quboprune
