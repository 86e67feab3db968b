#include <ATen/Functions.h>
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "core/index.h"
#include "coupling/analysis.h"
#include "coupling/size_flow.h"
#include "ops/base/operator.h"
#include "quboprune/error.h"
#include "quboprune/surgery.h"
#include "surgery/fold.h"

namespace quboprune {
namespace {

/// Kept indices of each axis, found when first asked for; empty where all stay.
class Kept {
 public:
  Kept(const ChannelGroups& groups, const Mask& mask) : groups_(groups), mask_(mask) {}

  const std::vector<std::int64_t>& operator()(int value, int axis) {
    const Coupling& c = *groups_.analysis().coupling;
    if (!c.seen(value)) return none_;
    if (axis < 0) axis += c.rank(value);
    const auto [found, fresh] = cache_.try_emplace({value, axis});
    if (fresh) found->second = find(value, axis);
    return found->second;
  }

 private:
  std::vector<std::int64_t> find(int value, int axis) const {
    auto kept = groups_.kept(value, axis, mask_);
    if (!kept) return {};
    if (kept->empty())
      throw InputError("the mask removes all channels of " + emptied(value) + "; keep at least one");
    return *std::move(kept);
  }

  /// A layer of which nothing stays, or else the value itself.
  std::string emptied(int value) const {
    for (const auto& layer : groups_.layers()) {
      const bool all = std::all_of(layer.groups.begin(), layer.groups.end(),
                                   [&](int g) { return g >= 0 && mask_[at_index(g)] == 0; });
      if (all && !layer.groups.empty()) return "layer '" + layer.name + "'";
    }
    return "'" + groups_.analysis().graph.values[at_index(value)].name + "'";
  }

  const ChannelGroups& groups_;
  const Mask& mask_;
  std::map<std::pair<int, int>, std::vector<std::int64_t>> cache_;
  std::vector<std::int64_t> none_;
};

void cut_value(Value& value, int v, const Coupling& c, Kept& kept) {
  for (int axis = 0; axis < c.rank(v); ++axis) {
    const auto& indices = kept(v, axis);
    if (indices.empty()) continue;
    if (value.is_constant())
      value.constant = value.constant.tensor().index_select(axis, at::tensor(indices, at::kLong));
    if (value.declared && axis < static_cast<int>(value.shape.size()) && value.shape[at_index(axis)] >= 0) {
      value.shape[at_index(axis)] = static_cast<std::int64_t>(indices.size());
    }
  }
}

/// A size that was computed from a cut axis, and isn't one of those that the operator adapts, stays what it
/// was.
void restore_sizes(const Node& node, Slicing& slicing) {
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    const int v = node.inputs[k];
    if (v < 0 || !is_size_input(node, k) || slicing.settled(k) || !slicing.resized(v)) continue;
    const at::Tensor known = slicing.coupling().known(v);
    if (known.defined()) slicing.replace_input(k, known);  // others follow by themselves: coupling/size_flow
  }
}

/// The mask with a group of each axis that goes with a branch: one stays until what follows is known.
Mask with_stand_ins(const ChannelGroups& groups, Mask mask) {
  // What nothing reads is emptied again; other axes must keep something.
  Mask filled = mask;
  for (const auto& set : groups.covers()) {
    for (int g : set)
      if (places_left(set, mask) == 0) filled[at_index(g)] = 1;
  }
  const Mask whole = with_whole_branches(groups, filled);
  const Mask asked = mask;
  for (const auto* sets : {&groups.branches(), &groups.covers()}) {
    for (const auto& set : *sets)
      if (places_left(set, asked) + places_left(set, whole) == 0) mask[at_index(set.front())] = 1;
  }
  return mask;
}

}  // namespace

Graph slice(const ChannelGroups& groups, const Mask& mask) {
  groups.check_size(mask);
  const Analysis& analysis = groups.analysis();
  const Coupling& coupling = *analysis.coupling;
  const auto gone = fates_of(groups, mask);
  const Mask with_branches = gone.empty() ? mask : with_stand_ins(groups, mask);
  Kept kept(groups, with_branches);
  Graph result = analysis.graph;
  for (std::size_t v = 0; v < analysis.graph.values.size(); ++v) {
    if (coupling.seen(static_cast<int>(v))) cut_value(result.values[v], static_cast<int>(v), coupling, kept);
  }
  Slicing slicing(coupling, result,
                  [&](int value, int axis) -> const std::vector<std::int64_t>& { return kept(value, axis); });
  for (std::size_t n = 0; n < analysis.graph.nodes.size(); ++n) {
    const Node& node = analysis.graph.nodes[n];
    slicing.begin(static_cast<int>(n));
    const Operator* op = operators().find(node);
    if (!op || !coupling.seen(node.output(0))) continue;
    op->slice(node, slicing);
    restore_sizes(node, slicing);
  }
  if (!gone.empty())
    fold_branches(groups, gone, result, [&](int v, int axis) { return slicing.size_after(v, axis); });
  return result;
}

RunOptions masked_run(const ChannelGroups& groups, const Mask& mask) {
  groups.check_size(mask);
  using Gates = std::map<std::pair<int, int>, std::pair<int, at::Tensor>>;
  Gates sums, means;
  for (const auto& gate : groups.gates()) {
    std::vector<float> factors;
    for (int g : gate.groups) factors.push_back(g < 0 || mask[at_index(g)] != 0 ? 1.0F : 0.0F);
    // A mean of nothing is that of an emptied branch, which nobody reads.
    if (gate.averages && std::ranges::all_of(factors, [](float f) { return f == 0; })) continue;
    (gate.averages ? means : sums)[{gate.node, gate.input}] = {gate.axis, at::tensor(factors)};
  }
  const auto along = [](const Gates& gates, int node, int input, const at::Tensor& read) {
    const auto found = gates.find({node, input});
    if (found == gates.end()) return at::Tensor();
    const auto& [axis, factors] = found->second;
    // Where a size of the input becomes part of the channels (Flatten), others than the analysed one don't
    // fit.
    if (read.size(axis) != factors.numel())
      throw InputError(
          fmt::format("{} channels, where the analysed network has {}: it takes other sizes of input",
                      read.size(axis), factors.numel()));
    std::vector<std::int64_t> shape(static_cast<std::size_t>(read.dim()), 1);
    shape[at_index(axis)] = -1;
    return factors.to(read.options()).view(shape);
  };
  RunOptions run;
  run.on_input = [sums = std::move(sums), along](int node, int input, const at::Tensor& tensor) {
    const at::Tensor factors = along(sums, node, input, tensor);
    return factors.defined() ? at::mul(tensor, factors) : tensor;
  };
  run.on_mean = [means = std::move(means), along](int node, const at::Tensor& tensor) {
    return along(means, node, 0, tensor);
  };
  return run;
}

}  // namespace quboprune
