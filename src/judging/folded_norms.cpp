#include "judging/folded_norms.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "core/index.h"

namespace quboprune {
namespace {

/// Whether all that the node reads, from its input `first` on, is constant float32.
bool reads_float_constants(const Graph& graph, const Node& node, std::size_t first) {
  for (std::size_t k = first; k < node.inputs.size(); ++k) {
    if (node.inputs[k] < 0) continue;
    const Value& value = graph.values[at_index(node.inputs[k])];
    if (!value.is_constant() || value.constant.scalar_type() != at::kFloat) return false;
  }
  return true;
}

bool has_inputs(const Node& node, std::size_t count) {
  return node.inputs.size() == count && std::ranges::all_of(node.inputs, [](int v) { return v >= 0; });
}

bool can_fold(const Graph& graph, const Node& norm, const Node& convolution) {
  return norm.op == "BatchNormalization" && norm.domain.empty() && has_inputs(norm, 5) &&
         norm.integer("training_mode", 0) == 0 && norm.integer("spatial", 1) == 1 &&
         std::count_if(norm.outputs.begin(), norm.outputs.end(), [](int v) { return v >= 0; }) == 1 &&
         convolution.op == "Conv" && convolution.domain.empty() && reads_float_constants(graph, norm, 1) &&
         reads_float_constants(graph, convolution, 1);
}

void fold(Graph& graph, const Node& norm, Node& convolution) {
  const auto constant = [&](const Node& node, std::size_t k) -> at::Tensor {
    return graph.values[at_index(node.input(k))].constant;
  };
  const at::Tensor scale = constant(norm, 1) / (constant(norm, 4) + norm.real("epsilon", 1e-5)).sqrt();
  const at::Tensor weight = constant(convolution, 1);
  std::vector<std::int64_t> along(static_cast<std::size_t>(weight.dim()), 1);
  along[0] = -1;
  at::Tensor shift = constant(norm, 2) - constant(norm, 3) * scale;
  if (convolution.input(2) >= 0) shift = shift + constant(convolution, 2) * scale;
  const int folded = graph.add_constant("", weight * scale.reshape(along));
  const int bias = graph.add_constant("", shift);
  convolution.inputs = {convolution.inputs[0], folded, bias};
  convolution.outputs[0] = norm.outputs[0];
}

}  // namespace

Graph with_norms_folded(Graph graph) {
  const auto consumers = graph.consumers();
  std::vector<char> gone(graph.nodes.size(), 0);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& norm = graph.nodes[n];
    const int read = norm.input(0);
    if (read < 0 || graph.values[at_index(read)].producer < 0) continue;
    Node& before = graph.nodes[at_index(graph.values[at_index(read)].producer)];
    if (!can_fold(graph, norm, before) || before.outputs[0] != read ||
        consumers[at_index(read)].size() != 1 || graph.values[at_index(read)].output)
      continue;
    fold(graph, norm, before);
    gone[n] = 1;
  }
  std::size_t place = 0;
  std::erase_if(graph.nodes, [&](const Node&) { return gone[place++] != 0; });
  graph.number_producers();
  return graph;
}

}  // namespace quboprune
