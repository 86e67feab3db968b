#pragma once

#include <optional>
#include <string>

#include "quboprune/graph.h"

namespace quboprune {

/// Where the file fixes a batch of several and the samples come as another: why that may have failed.
inline std::optional<std::string> other_batch(const Graph& graph, std::int64_t batch) {
  if (graph.inputs.empty()) return std::nullopt;
  const Value& input = graph.values[static_cast<std::size_t>(graph.inputs.front())];
  if (!input.declared || input.shape.empty() || input.shape[0] <= 1 || input.shape[0] == batch)
    return std::nullopt;
  return "the network is made for batches of " + std::to_string(input.shape[0]) +
         " alone, and samples are run one at a time; export it with an open batch, or of 1";
}

}  // namespace quboprune
