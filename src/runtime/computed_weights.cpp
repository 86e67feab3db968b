#include "quboprune/computed_weights.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "core/index.h"
#include "model/element_types.h"
#include "model/kept_nodes.h"
#include "ops/base/operator.h"
#include "quboprune/executor.h"
#include "quboprune/judged_outputs.h"

namespace quboprune {
namespace {

constexpr std::int64_t kSmall = 1 << 16;  // elements that may always be stored
constexpr std::int64_t kGrowth = 4;       // times the constants that it is made from

/// Operators through which the coupling follows single channels of a weight.
bool is_followed(const Node& node) {
  static const std::set<std::string> names = {
      "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Cast",  "Mul",   "Div",   "Add",
      "Sub",       "Sqrt",    "Neg",     "Abs",       "Pow",     "Concat",   "Slice", "Split", "Gather"};
  return node.domain.empty() && names.contains(node.op);
}

bool can_be_computed(const Node& node) {
  static const std::set<std::string> stored_small = {"DequantizeLinear", "QuantizeLinear",
                                                     "DynamicQuantizeLinear"};
  return node.domain.empty() && node.captured.empty() && !node.inputs.empty() && operators().find(node) &&
         !stored_small.contains(node.op);
}

/// What is known of a value that is made of constants alone.
struct Made {
  bool constant = false;                 ///< a constant, or made of constants
  bool followed = true;                  ///< the coupling follows its channels
  std::optional<at::ScalarType> type{};  ///< as the file has it; none for whole numbers
  std::int64_t elements = 0;             ///< of the floating-point constants that it is made from
};

/// The type of what a node makes: the one that a Cast or an attribute `dtype` names, else that of its inputs.
std::optional<at::ScalarType> type_made(const Node& node, const std::vector<Made>& made,
                                        std::optional<at::ScalarType> of_inputs) {
  if (node.op == "CastLike" && node.input(1) >= 0) return made[at_index(node.input(1))].type;
  const char* name = node.op == "Cast" ? "to" : "dtype";
  if (!node.has(name)) return of_inputs;
  const auto type = held_type(static_cast<int>(node.integer(name, 0)));
  return type && at::isFloatingType(*type) ? type : std::nullopt;
}

std::vector<Made> made_of_constants(const Graph& graph) {
  std::vector<Made> made(graph.values.size());
  for (std::size_t v = 0; v < made.size(); ++v) {
    const Constant& constant = graph.values[v].constant;
    if (!constant.defined()) continue;
    made[v].constant = true;
    if (!constant.is_floating_point()) continue;
    made[v].type = constant.scalar_type();
    made[v].elements = constant.numel();
  }
  for (const auto& node : graph.nodes) {
    Made result{can_be_computed(node), is_followed(node)};
    for (int v : node.inputs) {
      if (v < 0) continue;
      const Made& part = made[at_index(v)];
      result.constant = result.constant && part.constant;
      result.followed = result.followed && part.followed;
      result.elements += part.elements;
      if (!result.type) result.type = part.type;
    }
    result.type = type_made(node, made, result.type);
    for (int v : node.outputs) {
      if (v >= 0 && result.constant) made[at_index(v)] = result;
    }
  }
  return made;
}

/// Weights to compute: what nodes that depend on data read of it.
std::vector<int> weights_to_compute(const Graph& graph, const std::vector<Made>& made) {
  std::set<int> found;
  for (const auto& node : graph.nodes) {
    if (node.output(0) < 0 || made[at_index(node.output(0))].constant) continue;
    for (int v : node.inputs) {
      if (v < 0 || graph.values[at_index(v)].is_constant() || graph.values[at_index(v)].output) continue;
      const Made& weight = made[at_index(v)];
      if (weight.constant && !weight.followed && weight.type) found.insert(v);
    }
  }
  return {found.begin(), found.end()};
}

/// The nodes on the way to some values, and those values as outputs.
Graph part_before(const Graph& graph, const std::vector<int>& values) {
  Graph part = with_outputs(graph, values);
  part.inputs.clear();
  const auto needed = part.needed_nodes();
  part.nodes.clear();
  for (std::size_t n = 0; n < needed.size(); ++n) {
    if (needed[n] != 0) part.nodes.push_back(graph.nodes[n]);
  }
  part.number_producers();
  return part;
}

/// Tells which weights the file's own nodes may compute again.
class Unchanged {
 public:
  Unchanged(const Graph& file, const Graph& computed, const Graph& changed)
      : file_(file), computed_(computed), changed_(changed), known_(file.values.size(), -1) {}

  bool operator()(int v) {
    if (v < 0) return true;
    if (known_[at_index(v)] < 0) known_[at_index(v)] = find(v) ? 1 : 0;
    return known_[at_index(v)] != 0;
  }

 private:
  bool find(int v) {
    const Constant& now = changed_.values[at_index(v)].constant;
    const Constant& before = file_.values[at_index(v)].constant;
    if (before.defined()) return now.is_same(before);
    if (!as_computed(v)) return false;
    const int producer = file_.values[at_index(v)].producer;
    if (producer < 0) return false;
    const Node& node = file_.nodes[at_index(producer)];
    // A node that comes back gives all its outputs: none of them may be stored anew.
    return std::ranges::all_of(node.outputs, [&](int o) { return o < 0 || as_computed(o); }) &&
           std::ranges::all_of(node.inputs, [&](int i) { return (*this)(i); });
  }

  bool as_computed(int v) const {
    const Constant& now = changed_.values[at_index(v)].constant;
    return !now.defined() || now.is_same(computed_.values[at_index(v)].constant);
  }

  const Graph& file_;
  const Graph& computed_;
  const Graph& changed_;
  std::vector<int> known_;  // by value; -1: not yet
};

}  // namespace

Graph with_computed_weights(const Graph& graph) {
  const auto made = made_of_constants(graph);
  const auto wanted = weights_to_compute(graph, made);
  if (wanted.empty()) return graph;
  const auto weights = Executor(part_before(graph, wanted)).run({});
  Graph result = graph;
  for (std::size_t k = 0; k < wanted.size(); ++k) {
    const Made& from = made[at_index(wanted[k])];
    const bool grows = weights[k].numel() > std::max(kSmall, kGrowth * from.elements);
    if (!weights[k].is_floating_point() || weights[k].numel() < 2 || grows) continue;
    result.values[at_index(wanted[k])].constant = weights[k].to(*from.type).contiguous();
  }
  // Dead ends of the file's own stay, and so does what they read.
  std::vector<char> dead_ends = graph.needed_nodes();
  for (char& needed : dead_ends) needed = needed != 0 ? 0 : 1;
  const auto stays = kept_nodes(result, dead_ends);
  result.nodes.clear();
  for (std::size_t n = 0; n < stays.size(); ++n) {
    if (stays[n] != 0) result.nodes.push_back(graph.nodes[n]);
  }
  result.number_producers();
  return result;
}

Graph with_own_constants(Graph graph) {
  std::set<int> captured;
  for (const auto& node : graph.nodes) captured.insert(node.captured.begin(), node.captured.end());
  std::erase_if(graph.nodes, [&](const Node& node) {
    const int from = node.input(0), to = node.output(0);
    if (node.op != "Identity" || !node.domain.empty() || from < 0 || to < 0) return false;
    const Value& shared = graph.values[at_index(from)];
    Value& own = graph.values[at_index(to)];
    if (!shared.constant.defined() || !shared.constant.is_floating_point() || own.output ||
        captured.contains(to))
      return false;
    own.constant = shared.constant;
    return true;
  });
  graph.number_producers();
  return graph;
}

Graph as_pruned(const Graph& file) {
  return with_computed_weights(with_own_constants(runnable(file)));
}

Graph with_weights_computed_as_in(const Graph& file, const Graph& computed, Graph changed) {
  std::vector<char> again(file.values.size(), 0);
  Unchanged unchanged(file, computed, changed);
  bool any = false;
  for (std::size_t v = 0; v < file.values.size(); ++v) {
    const bool was_computed = !file.values[v].is_constant() && computed.values[v].is_constant();
    again[v] = was_computed && unchanged(static_cast<int>(v)) ? 1 : 0;
    any = any || again[v] != 0;
  }
  if (!any) return changed;
  std::unordered_map<int, const Node*> there;  // by place in the file
  for (const auto& node : changed.nodes) there[node.source] = &node;
  std::vector<Node> nodes;
  for (auto node = file.nodes.rbegin(); node != file.nodes.rend(); ++node) {
    const auto found = there.find(node->source);
    if (found != there.end()) {
      nodes.push_back(*found->second);
    } else if (std::ranges::any_of(node->outputs, [&](int v) { return v >= 0 && again[at_index(v)] != 0; })) {
      nodes.push_back(*node);
      for (int v : node->inputs) {
        if (v >= 0 && !file.values[at_index(v)].is_constant()) again[at_index(v)] = 1;
      }
    }
  }
  std::ranges::reverse(nodes);
  changed.nodes = std::move(nodes);
  for (std::size_t v = 0; v < again.size(); ++v) {
    if (again[v] != 0) changed.values[v].constant = Constant();
  }
  changed.number_producers();
  return changed;
}

}  // namespace quboprune
