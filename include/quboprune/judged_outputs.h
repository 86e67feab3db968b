#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "quboprune/graph.h"

namespace quboprune {

/// By node: can it be run here? Not where the operator isn't known, or reads what such a one gives.
std::vector<char> nodes_that_run(const Graph& graph);

/// The network as far as it can be run: outputs that can't be computed are replaced by what the operators
/// that we don't know read on the way to them. If those values are right, so is all that follows. Returns
/// the graph as it is where everything runs.
Graph runnable(const Graph& graph);

/// The network with one first output that holds all others, side by side, each divided by its root mean
/// square on `inputs`: what a distance between networks is measured on. An output that has no gradient (class
/// numbers, boxes after a selection) is judged by the numbers that it is made from. Returns the graph as it
/// is where its only output can be judged itself. Throws InputError if nothing in it can be judged.
Graph with_joined_outputs(const Graph& graph, const std::vector<at::Tensor>& inputs);

/// `changed`, made from one of the above, with the outputs of `file` again: for saving.
Graph with_outputs_of(const Graph& file, Graph changed);

}  // namespace quboprune
