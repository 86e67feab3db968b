#include "coupling/frozen.h"

#include <c10/util/accumulate.h>
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/index.h"
#include "ops/base/layers.h"
#include "ops/base/operator.h"
#include "runtime/free_of_data.h"

namespace quboprune {
namespace {

/// Output channels of a layer by its weight alone.
std::int64_t channels_made(const Node& node, at::IntArrayRef weight) {
  if (weight.size() < 2) return 1;
  if (is_recurrent(node)) return weight[0] * weight[1] / gates_of(node);
  const std::int64_t groups = node.op == "ConvTranspose" ? node.integer("group", 1) : 1;
  return groups * weight[at_index(output_axis(node, 1, static_cast<int>(weight.size())))];
}

std::int64_t floats_in(const Constant& constant) {
  return constant.defined() && at::isFloatingType(constant.scalar_type())
             ? c10::multiply_integers(constant.sizes())
             : 0;
}

/// Why a layer's outputs carry no labels.
std::string no_channels(const Analysis& a, const std::vector<bool>& free, const Node& layer) {
  const int weight = layer.input(1);
  const int from = weight < 0 ? -1 : a.graph.values[at_index(weight)].producer;
  if (from < 0) return layer.title() + ": its outputs have no channels of their own";
  if (!free[at_index(weight)]) return layer.title() + ": multiplies two computed values";
  return layer.title() + ": its weights come from " + a.graph.nodes[at_index(from)].title();
}

/// Does the node hold networks of its own, which aren't looked into?
bool has_branches(const Node& node) {
  return node.op == "If" || node.op == "Loop" || node.op == "Scan";
}

/// What a node and its branches read of floating-point constants.
std::set<int> constants_of(const Graph& graph, const Node& node) {
  std::set<int> constants;
  for (const auto* values : {&node.inputs, &node.captured}) {
    for (int v : *values) {
      if (v >= 0 && floats_in(graph.values[at_index(v)].constant) > 0) constants.insert(v);
    }
  }
  return constants;
}

/// Operators that can't be run, with weights of their own, and the layers behind them, by the first such
/// operator: they stay, and for want of sizes their multiply-accumulates aren't counted.
std::vector<Frozen> behind_unknown(const Analysis& a) {
  std::vector<int> cause(a.graph.values.size(), -1);  // by value: the node
  struct Behind {
    int layers = 0, channels = 0;
    std::set<int> constants;  ///< that they and the operator read; each counts once
  };
  std::map<int, Behind> by_cause;
  double all = 0;
  for (const auto& value : a.graph.values) all += static_cast<double>(floats_in(value.constant));
  for (std::size_t n = 0; n < a.graph.nodes.size(); ++n) {
    const Node& node = a.graph.nodes[n];
    int from = operators().find(node) ? -1 : static_cast<int>(n);
    for (int v : node.inputs) {
      if (v >= 0 && cause[at_index(v)] >= 0) from = cause[at_index(v)];
    }
    if (from < 0) continue;
    for (int v : node.outputs) {
      if (v >= 0) cause[at_index(v)] = from;
    }
    if (from == static_cast<int>(n)) {
      auto own = constants_of(a.graph, node);
      if (!own.empty() || has_branches(node)) by_cause[from].constants.merge(own);
      continue;
    }
    if (node.input(1) < 0) continue;
    const Constant& weight = a.graph.values[at_index(node.input(1))].constant;
    if ((!is_layer(node) && !is_recurrent(node)) || !weight.defined()) continue;
    Behind& entry = by_cause[from];
    ++entry.layers;
    entry.channels += static_cast<int>(channels_made(node, weight.sizes()));
    entry.constants.merge(constants_of(a.graph, node));
  }
  std::vector<Frozen> result;
  for (const auto& [n, entry] : by_cause) {
    const Node& node = a.graph.nodes[at_index(n)];
    std::string reason = entry.layers == 0   ? ""
                         : entry.layers == 1 ? "1 layer behind "
                                             : fmt::format("{} layers behind ", entry.layers);
    reason +=
        node.title() + (has_branches(node) ? ", whose branches aren't looked into" : ", which can't be run");
    double parameters = 0;
    for (int v : entry.constants)
      parameters += static_cast<double>(floats_in(a.graph.values[at_index(v)].constant));
    if (parameters > 0) reason += fmt::format(", with {:.1f} % of the parameters", 100 * parameters / all);
    result.push_back({std::move(reason), entry.channels, 0, false});
  }
  return result;
}

/// The reason without the names in it.
std::string kind_of(const std::string& reason) {
  std::string kind;
  bool inside = false;
  for (char c : reason) {
    if (c == '\'') inside = !inside;
    if (!inside) kind += c;
  }
  return kind;
}

/// Reasons that differ by names alone, and cost little of `all` each, as one.
std::vector<Frozen> small_ones_together(const std::map<std::string, Frozen>& by_reason, double all) {
  constexpr double kSmall = 0.01;  // of the network's multiply-accumulates
  std::map<std::string, std::vector<Frozen>> kinds;
  std::vector<Frozen> result;
  for (const auto& [reason, entry] : by_reason) {
    if (entry.macs < kSmall * all) {
      kinds[kind_of(reason)].push_back(entry);
    } else {
      result.push_back(entry);
    }
  }
  for (const auto& [kind, entries] : kinds) {
    Frozen together = entries.front();
    for (std::size_t i = 1; i < entries.size(); ++i) {
      together.channels += entries[i].channels;
      together.macs += entries[i].macs;
    }
    if (entries.size() > 1) together.reason = fmt::format("{} like {}", entries.size(), together.reason);
    result.push_back(std::move(together));
  }
  return result;
}

}  // namespace

int channel_axis(const Node& node, const Coupling& coupling) {
  const int y = node.result();
  const int last = coupling.rank(y) - 1;
  if (node.op == "Gemm" || is_recurrent(node) || (node.op == "Attention" && last == 2)) return last;
  if (node.op != "Einsum" && node.op != "MatMul") return std::min(1, last);
  const auto last_where = [&](auto holds) {
    int axis = last;
    while (axis >= 0 && !holds(coupling.peek(y, axis))) --axis;
    return axis;
  };
  // Of products of two computed values: positions carry labels too, where some of them are embedded.
  const int going = has_weights(node, coupling) ? -1 : last_where([&](const Labels& labels) {
    return std::ranges::any_of(labels, [&](int label) { return coupling.reason(label).empty(); });
  });
  const int axis = going >= 0 ? going : last_where([](const Labels& labels) { return !labels.empty(); });
  return axis >= 0 ? axis : last;
}

bool has_weights(const Node& node, const Coupling& coupling) {
  return std::ranges::any_of(node.inputs, [&](int v) { return coupling.known(v).defined(); });
}

std::vector<Frozen> frozen_of(const Analysis& a, const std::vector<Layer>& layers) {
  std::map<std::string, Frozen> by_reason;
  const auto free = free_of_data(a.graph);
  double all = 0;
  for (const auto& layer : layers) {
    all += layer.macs;
    const Node& node = a.graph.nodes[at_index(layer.node)];
    const Labels labels = a.coupling->peek(node.result(), channel_axis(node, *a.coupling));
    const std::string plain = labels.empty() ? no_channels(a, free, node) : "";
    for (std::size_t i = 0; i < layer.groups.size(); ++i) {
      if (layer.groups[i] >= 0) continue;
      std::string reason = labels.empty() ? plain : a.coupling->reason(labels[i]);
      if (reason.empty()) reason = "nothing reads them";
      Frozen& entry = by_reason[reason];
      entry.reason = reason;
      ++entry.channels;
      entry.macs += layer.macs / static_cast<double>(layer.groups.size());
    }
  }
  std::vector<Frozen> result = small_ones_together(by_reason, all);
  std::sort(result.begin(), result.end(), [](const Frozen& x, const Frozen& y) { return x.macs > y.macs; });
  for (auto& entry : behind_unknown(a)) result.push_back(std::move(entry));
  return result;
}

}  // namespace quboprune
