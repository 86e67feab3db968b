#include "quboprune/judged_outputs.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <utility>

#include "core/index.h"
#include "ops/base/operator.h"
#include "quboprune/error.h"
#include "quboprune/executor.h"
#include "runtime/free_of_data.h"

namespace quboprune {
namespace {

/// Operators whose outputs' sizes depend on the data: what comes after them can't be compared number by
/// number.
bool selects(const Node& node) {
  static const std::set<std::string> names = {"NonMaxSuppression", "NonZero", "Compress", "Unique"};
  return node.domain.empty() && names.contains(node.op);
}

/// From the outputs back to the nearest values that `good` accepts; each once, in the outputs' order.
std::vector<int> nearest(const Graph& graph, const std::function<bool(int)>& good) {
  std::vector<int> found;
  std::vector<char> seen(graph.values.size(), 0);
  std::vector<int> stack(graph.outputs.rbegin(), graph.outputs.rend());
  while (!stack.empty()) {
    const int v = stack.back();
    stack.pop_back();
    if (v < 0 || std::exchange(seen[at_index(v)], 1) != 0) continue;
    const int producer = graph.values[at_index(v)].producer;
    if (good(v)) {
      found.push_back(v);
    } else if (producer >= 0) {
      const Node& node = graph.nodes[at_index(producer)];
      if (node.op == "Shape" || node.op == "Size") continue;
      for (const auto* list : {&node.captured, &node.inputs})
        stack.insert(stack.end(), list->rbegin(), list->rend());
    }
  }
  return found;
}

/// What a run shows of each value.
struct Seen {
  std::vector<char> numbers;  ///< floating-point, at least one of them finite, not behind a selection
  std::vector<double> scale;  ///< root mean square of the finite ones
  std::vector<char> finite;   ///< all of them are
};

Seen seen_in_run(const Graph& graph, const std::vector<at::Tensor>& inputs) {
  const at::NoGradGuard no_grad;
  Seen seen{std::vector<char>(graph.values.size(), 0), std::vector<double>(graph.values.size(), 1),
            std::vector<char>(graph.values.size(), 1)};
  RunOptions options;
  options.on_value = [&](int v, const at::Tensor& t) {
    if (!t.is_floating_point() || t.numel() == 0) return;
    const at::Tensor finite = at::isfinite(t);
    if (!finite.any().item<bool>()) return;
    seen.numbers[at_index(v)] = 1;
    seen.finite[at_index(v)] = finite.all().item<bool>() ? 1 : 0;
    const double square = at::square(t.to(at::kDouble).masked_select(finite)).mean().item<double>();
    if (square > 0 && std::isfinite(square)) seen.scale[at_index(v)] = std::sqrt(square);
  };
  Executor(graph).run(inputs, options);
  std::vector<char> selected(graph.values.size(), 0);
  for (const auto& node : graph.nodes) {
    const bool behind = selects(node) || std::any_of(node.inputs.begin(), node.inputs.end(), [&](int v) {
                          return v >= 0 && selected[at_index(v)] != 0;
                        });
    for (int v : node.outputs) {
      if (v >= 0 && behind) seen.numbers[at_index(v)] = 0, selected[at_index(v)] = 1;
    }
  }
  return seen;
}

}  // namespace

std::vector<char> nodes_that_run(const Graph& graph) {
  std::vector<char> there(graph.values.size(), 0);
  for (std::size_t v = 0; v < there.size(); ++v) there[v] = graph.values[v].is_constant() ? 1 : 0;
  for (int v : graph.inputs) there[at_index(v)] = 1;
  std::vector<char> runs;
  for (const auto& node : graph.nodes) {
    const bool ready = operators().find(node) != nullptr &&
                       std::all_of(node.inputs.begin(), node.inputs.end(),
                                   [&](int v) { return v < 0 || there[at_index(v)] != 0; });
    runs.push_back(ready ? 1 : 0);
    for (int v : node.outputs) {
      if (v >= 0 && ready) there[at_index(v)] = 1;
    }
  }
  return runs;
}

Graph runnable(const Graph& graph) {
  const auto runs = nodes_that_run(graph);
  if (std::all_of(runs.begin(), runs.end(), [](char r) { return r != 0; })) return graph;
  // What is free of data, as a recurrent layer's first state, says nothing of the network.
  const auto free = free_of_data(graph);
  auto outputs = nearest(graph, [&](int v) {
    const Value& value = graph.values[at_index(v)];
    return value.producer >= 0 && runs[at_index(value.producer)] != 0 && !free[at_index(v)];
  });
  if (outputs.empty()) return graph;
  Graph result = with_outputs(graph, std::move(outputs));
  result.stand_ins = true;
  return result;
}

Graph with_joined_outputs(const Graph& graph, const std::vector<at::Tensor>& inputs) {
  const Seen seen = seen_in_run(graph, inputs);
  const auto judged = nearest(graph, [&](int v) { return seen.numbers[at_index(v)] != 0; });
  if (judged == graph.outputs && judged.size() == 1 && seen.finite[at_index(judged.front())] != 0)
    return graph;
  if (judged.empty())
    throw InputError("nothing that the network puts out can be compared; give data with targets");
  Graph result = with_outputs(graph, judged);
  Node join;
  join.op = "Join";
  join.domain = "quboprune";
  join.name = "all outputs";
  join.inputs = {graph.inputs.front()};
  join.inputs.insert(join.inputs.end(), judged.begin(), judged.end());
  Attribute scales;
  scales.kind = Attribute::Kind::reals;
  for (int v : judged) scales.floats.push_back(seen.scale[at_index(v)]);
  join.attributes["scales"] = scales;
  const int joined = static_cast<int>(result.values.size());
  join.outputs = {joined};
  result.values.push_back(
      {.name = "all outputs", .producer = static_cast<int>(result.nodes.size()), .output = true});
  result.nodes.push_back(std::move(join));
  result.outputs.insert(result.outputs.begin(), joined);
  return result;
}

Graph with_outputs_of(const Graph& file, Graph changed) {
  std::erase_if(changed.nodes, [](const Node& node) { return node.source < 0; });
  changed.stand_ins = file.stand_ins;
  return with_outputs(changed, file.outputs);
}

}  // namespace quboprune
