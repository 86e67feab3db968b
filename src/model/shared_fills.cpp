#include "model/shared_fills.h"

#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "core/index.h"
#include "model/names.h"

namespace quboprune {
namespace {

/// More than one number, along one axis, all the same; no longer than channels are many.
bool is_fill(const Value& value) {
  constexpr std::int64_t kLongest = 1 << 16;
  if (!value.is_constant() || value.output || !at::isFloatingType(value.constant.scalar_type())) return false;
  const at::Tensor& t = value.constant;
  const auto sizes = t.sizes();
  return t.numel() > 1 && t.numel() <= kLongest &&
         std::find(sizes.begin(), sizes.end(), t.numel()) != sizes.end() &&
         at::eq(t, t.reshape({-1})[0]).all().item<bool>();
}

}  // namespace

void part_shared_fills(Graph& graph) {
  const std::size_t count = graph.values.size();
  std::vector<std::vector<int*>> readers(count);  // places in nodes' inputs
  std::vector<bool> captured(count, false);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    for (int& v : graph.nodes[n].inputs)
      if (v >= 0 && graph.values[at_index(v)].is_constant()) readers[at_index(v)].push_back(&v);
    for (int v : graph.nodes[n].captured) captured[at_index(v)] = true;
  }
  Names names(graph);
  for (std::size_t v = 0; v < count; ++v) {
    if (readers[v].size() < 2 || captured[v] || !is_fill(graph.values[v])) continue;
    for (std::size_t k = 1; k < readers[v].size(); ++k) {
      *readers[v][k] = graph.add_constant(names.unique(graph.values[v].name), graph.values[v].constant);
    }
  }
}

Graph with_unchanged_fills_shared(const Graph& as_read, Graph changed) {
  const std::size_t count = as_read.values.size();
  std::unordered_map<int, const Node*> was;
  for (const Node& node : as_read.nodes) was[node.source] = &node;
  for (Node& node : changed.nodes) {
    const auto found = was.find(node.source);
    if (found == was.end() || found->second->inputs.size() != node.inputs.size()) continue;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const int shared = found->second->inputs[i];
      const int own = node.inputs[i];
      if (shared < 0 || own < 0 || at_index(own) < count) continue;
      const Constant& before = as_read.values[at_index(shared)].constant;
      if (before.defined() && changed.values[at_index(own)].constant.is_same(before) &&
          changed.values[at_index(shared)].constant.is_same(before))
        node.inputs[i] = shared;
    }
  }
  return changed;
}

}  // namespace quboprune
