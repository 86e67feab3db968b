#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "quboprune/graph.h"

namespace quboprune {

/// By node: whether it can be run. Not if its operator is unknown, or it reads what such a node gives.
std::vector<char> nodes_that_run(const Graph& graph);

/// The network as far as it can be run: an output that can't be computed is replaced by what the unknown
/// operators on the way to it read. If those values are right, so is all that follows. Returns the graph as
/// it is where everything runs.
Graph runnable(const Graph& graph);

/// The network with one first output that holds all others, side by side, each divided by its root mean
/// square on `inputs`: what a distance between networks is measured on. An output that has no gradient (class
/// numbers, boxes after a selection) is judged by the numbers that it is made from. Returns the graph as it
/// is where its only output can be judged itself. Throws InputError if nothing in it can be judged.
Graph with_joined_outputs(const Graph& graph, const std::vector<at::Tensor>& inputs);

/// `changed`, made from one of the above, with the outputs of `file` again: for saving.
Graph with_outputs_of(const Graph& file, Graph changed);

}  // namespace quboprune
