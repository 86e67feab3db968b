#include "model/kept_nodes.h"

#include "core/index.h"

namespace quboprune {

std::vector<char> kept_nodes(const Graph& graph, const std::vector<char>& anyway,
                             const std::vector<char>& given) {
  const auto made = [&](int v) {
    return !graph.values[at_index(v)].is_constant() && (given.empty() || given[at_index(v)] == 0);
  };
  std::vector<char> kept = anyway;
  std::vector<char> read(graph.values.size(), 0);
  for (int v : graph.outputs) read[at_index(v)] = 1;
  for (std::size_t n = kept.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    for (int v : node.outputs)
      if (v >= 0 && read[at_index(v)] != 0 && made(v)) kept[n] = 1;
    if (kept[n] == 0) continue;
    for (const auto* list : {&node.inputs, &node.captured})
      for (int v : *list)
        if (v >= 0) read[at_index(v)] = 1;
  }
  return kept;
}

}  // namespace quboprune
