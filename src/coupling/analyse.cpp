#include <fmt/core.h>
#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/index.h"
#include "coupling/analysis.h"
#include "coupling/branches.h"
#include "coupling/frozen.h"
#include "coupling/size_flow.h"
#include "ops/base/operator.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// Lets each operator label its outputs. What it doesn't know, or couldn't run, keeps its channels.
void couple_all(Analysis& a) {
  Coupling& c = *a.coupling;
  for (std::size_t n = 0; n < a.graph.nodes.size(); ++n) {
    const Node& node = a.graph.nodes[n];
    c.begin(static_cast<int>(n));
    const Operator* op = operators().find(node);
    if (!op) {
      c.freeze_inputs(node, "an operator that isn't known");
      continue;
    }
    bool all = true;
    for (const auto* list : {&node.inputs, &node.outputs}) {
      for (int v : *list) all = all && (v < 0 || c.seen(v) || (list == &node.outputs && v != node.output(0)));
    }
    if (!all) {
      c.freeze_inputs(node, "comes after an operator that isn't known");
      continue;
    }
    op->couple(node, c);
    if (!node.captured.empty()) c.freeze_inputs(node, "holds a subgraph");
  }
  c.begin(-1);
  // The last first: with_joined_outputs() puts one in front that is made of the others.
  for (auto v = a.graph.outputs.rbegin(); v != a.graph.outputs.rend(); ++v)
    c.freeze_value(*v, "the network's output '" + a.graph.values[at_index(*v)].name + "'");
  for (std::size_t n = 0; n < a.graph.nodes.size(); ++n) {
    const Node& node = a.graph.nodes[n];
    const Operator* op = operators().find(node);
    c.begin(static_cast<int>(n));
    if (op && c.seen(node.result()) &&
        std::all_of(node.inputs.begin(), node.inputs.end(), [&](int v) { return v < 0 || c.seen(v); }))
      op->cost(node, c);
  }
}

/// Labels everything; once more where a node that has two ways to lose channels loses none by the first.
void label_all(Analysis& a, bool shrink_norms) {
  std::set<int> second_way, stuck;
  do {
    second_way.merge(stuck);
    a.coupling = std::make_unique<Coupling>(a.graph, a.probe, shrink_norms, second_way);
    couple_all(a);
    stuck = a.coupling->stuck_on_first_way();
  } while (!stuck.empty());
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (auto d : shape) text += (text.empty() ? "" : "x") + std::to_string(d);
  return text;
}

/// Classes that may go, numbered by their first label: in the order of the network.
void number_groups(Analysis& a, const std::set<int>& useful) {
  const Coupling& c = *a.coupling;
  a.group_of_root.assign(at_index(c.label_count()), -1);
  int next = 0;
  for (int label = 0; label < c.label_count(); ++label) {
    if (c.find(label) == label && c.reason(label).empty() && useful.contains(label))
      a.group_of_root[at_index(label)] = next++;
  }
}

std::vector<int> groups_of(const Analysis& a, const Labels& labels) {
  std::vector<int> result;
  result.reserve(labels.size());
  for (int label : labels) result.push_back(a.group_of_root[at_index(a.coupling->find(label))]);
  return result;
}

CostModel::Factor factor_of(const Analysis& a, const Labels& labels) {
  CostModel::Factor factor;
  std::map<int, int> counts;
  for (int group : groups_of(a, labels)) {
    if (group < 0) {
      ++factor.fixed;
    } else {
      ++counts[group];
    }
  }
  factor.groups.assign(counts.begin(), counts.end());
  return factor;
}

CostModel::Term term_of(const Analysis& a, double coefficient, const std::vector<Labels>& axes,
                        CostModel& cost) {
  CostModel::Term term{coefficient, {}};
  for (const auto& labels : axes) {
    if (!labels.empty()) term.factors.push_back(cost.add_factor(factor_of(a, labels)));
  }
  return term;
}

/// What a scatter writes into is a canvas of zeros that the exporter folded, not weights.
bool is_canvas(const Graph& graph, int value, const std::vector<int>& readers) {
  const Value& canvas = graph.values[at_index(value)];
  if (readers.empty() || canvas.output) return false;
  const bool written_over = std::ranges::all_of(readers, [&](int n) {
    const Node& node = graph.nodes[at_index(n)];
    return (node.op == "ScatterND" || node.op == "ScatterElements") && node.domain.empty() &&
           node.input(0) == value && std::count(node.inputs.begin(), node.inputs.end(), value) == 1;
  });
  return written_over && canvas.constant.tensor().eq(0).all().item<bool>();
}

CostModel cost_of(const Analysis& a, int groups) {
  CostModel cost(groups);
  for (const auto& term : a.coupling->macs())
    cost.add(Cost::macs, term_of(a, term.coefficient, term.axes, cost));
  const auto readers = a.graph.consumers();
  for (std::size_t v = 0; v < a.graph.values.size(); ++v) {
    const Constant& constant = a.graph.values[v].constant;
    if (!constant.defined() || !at::isFloatingType(constant.scalar_type()) || !a.probe.seen[v]) continue;
    if (readers[v].empty() && !a.graph.values[v].output) continue;  // a weight was computed from it
    if (is_canvas(a.graph, static_cast<int>(v), readers[v])) continue;
    double plain = 1;
    std::vector<Labels> axes;
    for (std::size_t k = 0; k < a.probe.shapes[v].size(); ++k) {
      const Labels& labels = a.coupling->axes(static_cast<int>(v))[k];
      if (labels.empty()) {
        plain *= static_cast<double>(a.probe.shapes[v][k]);
      } else {
        axes.push_back(labels);
      }
    }
    cost.add(Cost::params, term_of(a, plain, axes, cost));
  }
  // Every axis of every value keeps at least one index, whether it costs anything or not.
  for (std::size_t v = 0; v < a.graph.values.size(); ++v) {
    for (const Labels& labels : a.coupling->axes(static_cast<int>(v))) {
      if (!labels.empty()) cost.add_factor(factor_of(a, labels));
    }
  }
  return cost;
}

/// Classes that reach the rest of the network through some sum over channels. Others (of values that nothing
/// reads) have no effect to measure and stay.
std::set<int> gated_roots(const Analysis& a) {
  std::set<int> roots;
  for (const auto& c : a.coupling->contractions()) {
    const int value = a.graph.nodes[at_index(c.node)].input(at_index(c.input));
    for (int label : a.coupling->peek(value, c.axis)) roots.insert(a.coupling->find(label));
  }
  return roots;
}

std::vector<Layer> layers_of(const Analysis& a) {
  std::map<int, double> macs;
  for (const auto& term : a.coupling->macs()) {
    double product = term.coefficient;
    for (const auto& axis : term.axes) product *= static_cast<double>(axis.size());
    macs[term.node] += product;
  }
  std::vector<Layer> layers;
  for (const auto& [n, amount] : macs) {
    const Node& node = a.graph.nodes[at_index(n)];
    const int out = node.result();
    const int axis = channel_axis(node, *a.coupling);
    Layer layer{node.name, n, groups_of(a, a.coupling->peek(out, axis)), amount,
                has_weights(node, *a.coupling)};
    if (layer.groups.empty())
      layer.groups.assign(at_index(static_cast<int>(a.coupling->shape(out)[at_index(axis)])), -1);
    layers.push_back(std::move(layer));
  }
  return layers;
}

/// Where groups are summed over, or their mean taken.
std::vector<GatePoint> gates_of(const Analysis& a) {
  std::vector<GatePoint> gates;
  std::set<std::pair<int, int>> places;
  for (const auto& c : a.coupling->contractions()) {
    const int read = a.graph.nodes[at_index(c.node)].input(at_index(c.input));
    GatePoint gate{c.node, c.input, c.axis, groups_of(a, a.coupling->peek(read, c.axis)), c.averages};
    if (std::ranges::none_of(gate.groups, [](int g) { return g >= 0; })) continue;
    check(places.insert({gate.node, gate.input}).second, "an input is cut along two axes at one node");
    gates.push_back(std::move(gate));
  }
  return gates;
}

bool matches(const std::string& name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const auto& p) { return fnmatch(p.c_str(), name.c_str(), 0) == 0; });
}

/// A network of integer products has no floating-point channels to remove.
void refuse_quantised(const Graph& graph) {
  for (const auto& node : graph.nodes) {
    if (node.op == "ConvInteger" || node.op == "MatMulInteger" || node.op.rfind("QLinear", 0) == 0 ||
        node.op == "DequantizeLinear") {
      throw InputError(
          node.title() +
          ": the network is quantised; prune the floating-point network and quantise the result");
    }
  }
}

/// Keeps whole what the user wants whole.
void freeze_layers(Analysis& a, const AnalyseOptions& options) {
  std::set<int> nodes;
  for (const auto& term : a.coupling->macs()) nodes.insert(term.node);
  for (const auto* patterns : {&options.scope, &options.freeze}) {
    for (const auto& pattern : *patterns) {
      const bool any = std::any_of(nodes.begin(), nodes.end(), [&](int n) {
        return matches(a.graph.nodes[at_index(n)].name, {pattern});
      });
      if (!any) throw InputError("no layer is called '" + pattern + "'; quboprune inspect lists the names");
    }
  }
  a.coupling->begin(-1);
  for (int n : nodes) {
    const Node& node = a.graph.nodes[at_index(n)];
    const Labels labels = a.coupling->peek(node.result(), channel_axis(node, *a.coupling));
    if (matches(node.name, options.freeze)) a.coupling->freeze(labels, "named by --freeze");
    // Without weights its channels are those of what it multiplies.
    if (!options.scope.empty() && has_weights(node, *a.coupling) && !matches(node.name, options.scope))
      a.coupling->freeze(labels, "outside --scope");
  }
}

/// A network that takes nothing can be run, but not on data.
void refuse_empty_data(const Graph& graph) {
  if (graph.inputs.empty()) return;
  const Value& data = graph.values[at_index(graph.inputs.front())];
  if (std::ranges::find(data.shape, 0) != data.shape.end())
    throw InputError(
        "input '" + data.name +
        "' has a dimension of 0: no data fit it; export it with that dimension open, or as it is");
}

}  // namespace

int places_left(std::span<const int> groups, const Mask& mask) {
  return static_cast<int>(
      std::ranges::count_if(groups, [&](int g) { return g < 0 || mask[at_index(g)] != 0; }));
}

std::vector<int> ChannelGroups::on_axis(int value, int axis) const {
  const Labels labels = analysis_->coupling->peek(value, axis);
  std::vector<int> groups = groups_of(*analysis_, labels);
  if (std::all_of(groups.begin(), groups.end(), [](int g) { return g < 0; })) groups.clear();
  return groups;
}

std::vector<bool> ChannelGroups::in_means() const {
  std::vector<bool> result(at_index(size()), false);
  for (const auto& gate : gates_) {
    for (int g : gate.groups) {
      if (gate.averages && g >= 0) result[at_index(g)] = true;
    }
  }
  return result;
}

void ChannelGroups::check_size(const Mask& mask) const {
  if (static_cast<int>(mask.size()) != size())
    throw InputError(
        fmt::format("a mask of {} entries for {} groups: it is another network's", mask.size(), size()));
}

bool ChannelGroups::empties_an_axis(const Mask& mask) const {
  check_size(mask);
  return std::ranges::any_of(covers_, [&](const std::vector<int>& set) {
    return std::ranges::none_of(set, [&](int g) { return mask[at_index(g)] != 0; });
  });
}

std::optional<std::vector<std::int64_t>> ChannelGroups::kept(int value, int axis, const Mask& mask) const {
  const auto groups = on_axis(value, axis);
  std::vector<std::int64_t> indices;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (groups[i] < 0 || mask[at_index(groups[i])] != 0) indices.push_back(static_cast<std::int64_t>(i));
  }
  if (indices.size() == groups.size()) return std::nullopt;
  return indices;
}

ChannelGroups analyse(const Graph& graph, const AnalyseOptions& options) {
  refuse_empty_data(graph);
  auto a = std::make_shared<Analysis>(graph);
  probe(*a, options.sample);
  label_all(*a, options.shrink_norms);
  follow_sizes(*a);
  freeze_layers(*a, options);
  number_groups(*a, gated_roots(*a));
  ChannelGroups result;
  int groups = 0;
  for (int g : a->group_of_root) groups = std::max(groups, g + 1);
  if (groups == 0) refuse_quantised(a->graph);
  result.names_.resize(at_index(groups));
  result.members_.resize(at_index(groups));
  result.layer_of_.assign(at_index(groups), -1);
  result.layers_ = layers_of(*a);
  for (std::size_t l = 0; l < result.layers_.size(); ++l) {
    const Layer& layer = result.layers_[l];
    for (std::size_t i = 0; i < layer.groups.size(); ++i) {
      const int g = layer.groups[i];
      if (g < 0) continue;
      const std::string member = layer.name + ":" + std::to_string(i);
      result.members_[at_index(g)].push_back(member);
      if (result.layer_of_[at_index(g)] < 0) {
        result.layer_of_[at_index(g)] = static_cast<int>(l);
        result.names_[at_index(g)] = member;
      }
    }
  }
  for (int g = 0; g < groups; ++g) {
    if (result.names_[at_index(g)].empty()) result.names_[at_index(g)] = "channel:" + std::to_string(g);
  }
  result.gates_ = gates_of(*a);
  result.frozen_ = frozen_of(*a, result.layers_);
  result.cost_ = cost_of(*a, groups);
  for (const auto& shape : a->input_shapes)
    result.analysed_size_ += (result.analysed_size_.empty() ? "" : ", ") + shape_text(shape);
  result.analysis_ = std::move(a);
  if (options.allow_empty) result.branches_ = removable_branches(result);
  result.covers_ = result.cost_.covers();
  std::erase_if(result.covers_, [&](const auto& set) {
    return std::ranges::find(result.branches_, set) != result.branches_.end();
  });
  return result;
}

}  // namespace quboprune
