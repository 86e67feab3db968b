#pragma once

#include <functional>

#include "quboprune/graph.h"

namespace quboprune {

/// The shape of a value of the network before it was cut, on some input; empty where it isn't known.
using ShapeOf = std::function<std::vector<std::int64_t>(int value)>;

/// A network, or a cut of it, with its 3x3 convolutions computed on blocked tensors
/// (ops/base/blocked_kernels.h), as is what lies between them and treats each channel for itself: pools,
/// resizing, sums. So their operands aren't brought into that layout and back for each of them, and a ReLU
/// behind a convolution is part of it. For inference; equal up to rounding. Which nodes are rewritten depends
/// on the shapes before the cut, so that cuts of one network keep like nodes in like places. Ours; ONNX
/// Runtime's transformer to blocked layouts works alike.
Graph with_blocked_chains(Graph graph, const ShapeOf& shape);

}  // namespace quboprune
