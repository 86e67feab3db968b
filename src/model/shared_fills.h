#pragma once

#include "quboprune/graph.h"

namespace quboprune {

/// Gives every place where a node reads a vector of equal numbers one of its own (a fresh norm's bias and
/// mean, say). Exporters keep a single row of ones or zeros for all norms and biases of a size, which ties
/// the channels of layers that have nothing to do with each other. What a subgraph captures stays shared.
void part_shared_fills(Graph& graph);

/// `changed` stems from `as_read` by part_shared_fills() and what was done since: nodes whose own vector is
/// still the one that they shared read that again, so that a file only grows by what did change.
Graph with_unchanged_fills_shared(const Graph& as_read, Graph changed);

}  // namespace quboprune
