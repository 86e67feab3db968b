#pragma once

#include "quboprune/graph.h"

namespace quboprune {

/// The network with weights that it computes from constants as constants: standardised or spectrally
/// normalised ones, kernels that are expanded to all channels. Norms and means over weights would otherwise
/// tie channels that pruning could part. Only what can't be followed channel by channel is computed here
/// (ours); a transposed or scaled weight stays as it is, and so does one that is stored quantised. Values
/// keep their numbers, nodes don't. Throws InputError where such a weight can't be computed.
Graph with_computed_weights(const Graph& graph);

/// The network where nodes that read a floating-point constant through Identity read a copy of their own.
/// Exporters share constants so that are equal by chance (fresh batch norms' statistics), which training
/// parts. Values keep their numbers, nodes don't.
Graph with_own_constants(Graph graph);

/// The network as pruning sees it: what can be run of it (runnable()), its constants apart and weights
/// computed. Values keep their numbers. Plans name the groups of this one. Throws InputError as
/// with_computed_weights() does.
Graph as_pruned(const Graph& file);

/// `changed`, made from `computed`, which with_computed_weights() made from `file`: weights that weren't
/// changed are computed by the file's own nodes again.
Graph with_weights_computed_as_in(const Graph& file, const Graph& computed, Graph changed);

}  // namespace quboprune
