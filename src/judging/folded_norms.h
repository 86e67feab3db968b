#pragma once

#include "quboprune/graph.h"

namespace quboprune {

/// The graph with each batch norm that alone reads a convolution put into the convolution's weights and bias:
/// one pass over its activations less. For inference; equal up to rounding. Norms of batch statistics, and
/// such whose numbers aren't constants, stay.
Graph with_norms_folded(Graph graph);

}  // namespace quboprune
