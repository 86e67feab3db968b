#pragma once

#include "quboprune/graph.h"

namespace quboprune {

/// Gives every node that reads a vector of equal numbers one of its own. Exporters keep a single row of ones
/// or zeros for all norms and biases of a size, which ties the channels of layers that have nothing to do
/// with each other. What a subgraph captures stays shared.
void part_shared_fills(Graph& graph);

}  // namespace quboprune
