#include "runtime/free_of_data.h"

#include <algorithm>

namespace quboprune {

std::vector<bool> free_of_data(const Graph& graph) {
  std::vector<bool> free;
  for (const auto& value : graph.values) free.push_back(value.is_constant());
  for (const auto& node : graph.nodes) {
    const bool sizes = node.op == "Shape" || node.op == "Size";
    const bool all = node.captured.empty() && std::all_of(node.inputs.begin(), node.inputs.end(), [&](int v) {
                       return v < 0 || free[static_cast<std::size_t>(v)];
                     });
    for (int v : node.outputs) {
      if (v >= 0) free[static_cast<std::size_t>(v)] = sizes || all;
    }
  }
  return free;
}

}  // namespace quboprune
