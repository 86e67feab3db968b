#include <ATen/Functions.h>

#include <map>
#include <set>
#include <string>

#include "core/index.h"
#include "quboprune/finetune.h"

namespace quboprune {
namespace {

/// Inputs of an operator that hold weights. What is subtracted or divided by is arithmetic: of a mean, of a
/// length.
std::vector<std::size_t> weight_inputs(const Node& node) {
  static const std::map<std::string, std::vector<std::size_t>> table = {{"Conv", {1, 2}},
                                                                        {"ConvTranspose", {1, 2}},
                                                                        {"DeformConv", {1, 3}},
                                                                        {"Gemm", {0, 1, 2}},
                                                                        {"MatMul", {0, 1}},
                                                                        {"Einsum", {0, 1}},
                                                                        {"LSTM", {1, 2, 3}},
                                                                        {"GRU", {1, 2, 3}},
                                                                        {"RNN", {1, 2, 3}},
                                                                        {"BatchNormalization", {1, 2}},
                                                                        {"InstanceNormalization", {1, 2}},
                                                                        {"LayerNormalization", {1, 2}},
                                                                        {"RMSNormalization", {1}},
                                                                        {"GroupNormalization", {1, 2}},
                                                                        {"PRelu", {1}},
                                                                        {"Add", {0, 1}},
                                                                        {"Mul", {0, 1}}};
  const auto found = node.domain.empty() ? table.find(node.op) : table.end();
  return found == table.end() ? std::vector<std::size_t>{} : found->second;
}

/// The constant that a value is, or is another shape of; -1 if it is neither.
int constant_behind(const Graph& graph, int value) {
  static const std::set<std::string> shapes = {"Identity", "Unsqueeze", "Squeeze",
                                               "Reshape",  "Flatten",   "Transpose"};
  while (value >= 0 && !graph.values[at_index(value)].is_constant()) {
    const int producer = graph.values[at_index(value)].producer;
    if (producer < 0) return -1;
    const Node& node = graph.nodes[at_index(producer)];
    if (!node.domain.empty() || !shapes.contains(node.op)) return -1;
    value = node.input(0);
  }
  return value;
}

/// Of two numbers, one of them 0: says what counts, and isn't learned. A bias or a scale of many channels
/// hardly is so.
bool is_mask(const at::Tensor& t) {
  constexpr std::int64_t kFew = 4;
  if (t.numel() < kFew) return false;
  const at::Tensor others = t.masked_select(at::ne(t, 0));
  return others.numel() > 0 && others.numel() < t.numel() && at::eq(others, others[0]).all().item<bool>();
}

/// Added and multiplied constants may be anything.
bool is_learned(const Node& node, const at::Tensor& t) {
  const bool elementwise = node.op == "Add" || node.op == "Mul";
  // A single number is arithmetic of the exporter's, not a bias or a scale.
  return at::isfinite(t).all().item<bool>() && (!elementwise || (t.numel() > 1 && !is_mask(t)));
}

}  // namespace

std::vector<int> trainable_constants(const Graph& graph) {
  std::set<int> result, refused;
  const auto needed = graph.needed_nodes();
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (needed[n] == 0) continue;
    for (std::size_t k : weight_inputs(node)) {
      const int v = constant_behind(graph, node.input(k));
      if (v < 0) continue;
      const Constant& constant = graph.values[at_index(v)].constant;
      if (!constant.is_floating_point()) continue;
      (is_learned(node, constant) ? result : refused).insert(v);
    }
  }
  // What the loss doesn't see would be trained for the one reader and spoilt for the other.
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    for (int v : graph.nodes[n].captured) refused.insert(v);
    for (int v : graph.nodes[n].inputs)
      if (needed[n] == 0) refused.insert(v);
  }
  std::erase_if(result, [&](int v) { return refused.contains(v) || graph.values[at_index(v)].output; });
  return {result.begin(), result.end()};
}

}  // namespace quboprune
