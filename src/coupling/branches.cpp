#include "coupling/branches.h"

#include <algorithm>
#include <set>
#include <string>

#include "core/index.h"
#include "coupling/analysis.h"
#include "model/kept_nodes.h"
#include "ops/base/layers.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// Operators that treat every element alike, or every channel by its own constants: one element a channel is
/// enough to know them all.
bool elementwise(const Node& node) {
  static const std::set<std::string> names = {
      "Add",         "Sub",      "Mul",       "Div",     "Sum",  "BatchNormalization",
      "Relu",        "PRelu",    "LeakyRelu", "Sigmoid", "Tanh", "HardSwish",
      "HardSigmoid", "Clip",     "Identity",  "Dropout", "Elu",  "Gelu",
      "Erf",         "Softplus", "Neg",       "Abs",     "Celu", "Selu",
      "Mish",        "Swish",    "Exp",       "Sqrt"};
  return node.domain.empty() && names.contains(node.op);
}

class Walk {
 public:
  Walk(const ChannelGroups& groups, const std::vector<char>& gone)
      : groups_(groups),
        gone_(gone),
        graph_(groups.analysis().graph),
        coupling_(*groups.analysis().coupling) {}

  std::optional<std::vector<Fate>> run() {
    for (std::size_t v = 0; v < graph_.values.size(); ++v)
      fates_.push_back(emptied(static_cast<int>(v)) ? Fate::nothing : Fate::live);
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (!step(static_cast<int>(n))) return std::nullopt;
    }
    for (int v : graph_.outputs) {
      if (fates_[at_index(v)] != Fate::live) return std::nullopt;
    }
    return fates_;
  }

 private:
  bool empty_axis(int value, int axis) const {
    const Labels labels = coupling_.peek(value, axis);
    return !labels.empty() && std::all_of(labels.begin(), labels.end(), [&](int label) {
      const int g = groups_.analysis().group_of_root[at_index(coupling_.find(label))];
      return g >= 0 && gone_[at_index(g)] != 0;
    });
  }

  bool emptied(int value) const {
    if (!coupling_.seen(value)) return false;
    for (int axis = 0; axis < coupling_.rank(value); ++axis) {
      if (empty_axis(value, axis)) return true;
    }
    return false;
  }

  bool is(int v, Fate fate) const { return v >= 0 && fates_[at_index(v)] == fate; }
  bool constant(int v) const { return v < 0 || graph_.values[at_index(v)].is_constant(); }

  /// False where the network can't do without what has gone.
  bool step(int n) {
    const Node& node = graph_.nodes[at_index(n)];
    for (int v : node.captured) {
      if (v >= 0 && fates_[at_index(v)] != Fate::live) return false;
    }
    const bool dead = std::all_of(node.outputs.begin(), node.outputs.end(),
                                  [&](int v) { return v < 0 || is(v, Fate::nothing); });
    if (dead) return true;
    const auto any = [&](Fate fate) {
      return std::any_of(node.inputs.begin(), node.inputs.end(), [&](int v) { return is(v, fate); });
    };
    if (any(Fate::nothing)) return sums_over_nothing(node);
    return !any(Fate::folded) || takes_folded(node);
  }

  /// A layer that reads nothing gives its bias.
  bool sums_over_nothing(const Node& node) {
    if (!is_layer(node) || !is(node.input(0), Fate::nothing)) return false;
    for (std::size_t k = 1; k < node.inputs.size(); ++k) {
      if (!constant(node.inputs[k])) return false;
    }
    fates_[at_index(node.output(0))] = Fate::folded;
    return true;
  }

  bool takes_folded(const Node& node) {
    if (!elementwise(node)) return false;
    bool alone = true;    // nothing else that stays takes part
    bool covers = false;  // something that stays has the output's shape
    const int y = node.output(0);
    for (int v : node.inputs) {
      if (constant(v) || is(v, Fate::folded)) continue;
      alone = false;
      covers = covers || (coupling_.shape(v) == coupling_.shape(y) &&
                          coupling_.other_shape(v) == coupling_.other_shape(y));
    }
    if (alone) fates_[at_index(y)] = Fate::folded;
    return alone || covers;
  }

  const ChannelGroups& groups_;
  const std::vector<char>& gone_;
  const Graph& graph_;
  const Coupling& coupling_;
  std::vector<Fate> fates_;
};

std::vector<int> groups_in(const CostModel::Factor& factor) {
  std::vector<int> result;
  for (const auto& [group, count] : factor.groups) result.push_back(group);
  return result;
}

}  // namespace

std::optional<std::vector<Fate>> fates(const ChannelGroups& groups, const std::vector<char>& gone) {
  return Walk(groups, gone).run();
}

std::vector<Fate> fates_of(const ChannelGroups& groups, const Mask& mask) {
  std::vector<char> gone;
  for (const auto& set : groups.branches()) {
    if (places_left(set, mask) > 0) continue;
    gone.resize(mask.size(), 0);
    for (int g : set) gone[at_index(g)] = 1;
  }
  if (gone.empty()) return {};
  auto result = fates(groups, gone);
  if (!result) throw InputError("the mask empties branches that aren't added to anything; keep one of them");
  return *std::move(result);
}

namespace {

/// By group: does something read it that an output still depends on?
std::vector<char> read_groups(const ChannelGroups& groups, const std::vector<Fate>& fates) {
  const Graph& graph = groups.analysis().graph;
  std::vector<char> gone;
  for (const Fate fate : fates) gone.push_back(fate != Fate::live ? 1 : 0);
  const auto needed = kept_nodes(graph, std::vector<char>(graph.nodes.size(), 0), gone);
  std::vector<char> read(at_index(groups.size()), 0);
  for (const GatePoint& gate : groups.gates()) {
    const int v = graph.nodes[at_index(gate.node)].input(at_index(gate.input));
    if (needed[at_index(gate.node)] == 0 || gone[at_index(v)] != 0) continue;
    for (int g : gate.groups)
      if (g >= 0) read[at_index(g)] = 1;
  }
  return read;
}

}  // namespace

Mask with_whole_branches(const ChannelGroups& groups, Mask mask) {
  groups.check_size(mask);
  const std::vector<Fate> left = fates_of(groups, mask);
  if (left.empty()) return mask;
  const std::vector<char> read = read_groups(groups, left);
  for (std::size_t g = 0; g < mask.size(); ++g)
    if (read[g] == 0) mask[g] = 0;
  return mask;
}

namespace {

/// Can this set go, and nothing else?
bool can_go(const ChannelGroups& groups, const std::vector<int>& set) {
  std::vector<char> gone(at_index(groups.size()), 0);
  for (int g : set) gone[at_index(g)] = 1;
  return fates(groups, gone).has_value();
}

}  // namespace

std::vector<std::vector<int>> removable_branches(const ChannelGroups& groups) {
  const auto covers = groups.cost().covers();
  std::vector<std::vector<int>> result;
  std::vector<char> gone(at_index(groups.size()), 0);
  for (const auto& set : std::set<std::vector<int>>(covers.begin(), covers.end())) {
    // Every axis that holds any of them holds exactly them: half a branch can't be empty.
    const bool alone = std::all_of(
        groups.cost().factors().begin(), groups.cost().factors().end(), [&](const CostModel::Factor& factor) {
          const auto own = groups_in(factor);
          std::vector<int> common;
          std::set_intersection(own.begin(), own.end(), set.begin(), set.end(), std::back_inserter(common));
          return common.empty() || (factor.fixed == 0 && own == set);
        });
    if (!alone) continue;
    std::vector<char> with = gone;
    for (int g : set) with[at_index(g)] = 1;
    // A mask may empty any of them: each must go alone, all together, and all but any one, which others may
    // be added to.
    const auto without = [&](const std::vector<int>& other) {
      std::vector<char> fewer = with;
      for (int g : other) fewer[at_index(g)] = 0;
      return fates(groups, fewer).has_value();
    };
    if (!can_go(groups, set) || !fates(groups, with) || !std::ranges::all_of(result, without)) continue;
    gone = std::move(with);
    result.push_back(set);
  }
  return result;
}

}  // namespace quboprune
