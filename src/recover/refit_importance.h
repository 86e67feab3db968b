#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "quboprune/evaluation.h"
#include "quboprune/graph.h"
#include "recover/refit_linear.h"

namespace quboprune {

/// What the output sees of an error at each output position of some layers: by node and batch, [positions] in
/// the order of LinearLayer::flat.
using PositionWeights = std::map<int, std::vector<at::Tensor>>;

/// The squared derivative of vᵀ output by a layer's outputs, mean over channels and a 5 x 5 neighbourhood
/// (one probe is noisy), v random signs: an estimate of the diagonal of the Gauss-Newton matrix. A tenth of
/// the layer's mean is added everywhere, as the cut network may leave the range where the derivative was
/// taken; then the mean is 1. Layers that no derivative reaches have no entry.
PositionWeights position_weights(const Graph& graph, const std::vector<std::vector<at::Tensor>>& inputs,
                                 const std::vector<LinearLayer>& layers, std::uint64_t seed);

}  // namespace quboprune
