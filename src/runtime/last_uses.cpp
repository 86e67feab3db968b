#include "runtime/last_uses.h"

#include "core/index.h"

namespace quboprune {

std::vector<std::vector<int>> last_uses(const Graph& graph) {
  std::vector<int> last(graph.values.size(), -1);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const auto* list : {&graph.nodes[n].inputs, &graph.nodes[n].outputs}) {
      for (int v : *list) {
        if (v >= 0) last[at_index(v)] = static_cast<int>(n);
      }
    }
  }
  std::vector<std::vector<int>> result(graph.nodes.size());
  for (std::size_t v = 0; v < last.size(); ++v) {
    if (last[v] >= 0 && !graph.values[v].output && !graph.values[v].is_constant())
      result[at_index(last[v])].push_back(static_cast<int>(v));
  }
  return result;
}

}  // namespace quboprune
