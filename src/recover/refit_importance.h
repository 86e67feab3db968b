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

/// Samples as a network takes them, in small batches, and who judges what it makes of them.
struct JudgedInputs {
  std::span<const std::vector<at::Tensor>> inputs;  ///< by batch
  std::span<const std::size_t> counts;              ///< samples of each batch
  std::span<const Sample> samples;                  ///< all of them, in order
  const Judge& judge;
};

/// The squared derivative of vᵀ output by a layer's outputs, mean over channels and a 5 x 5 neighbourhood
/// (one probe is noisy), v random signs times the root of the sample's metric_weights(): an estimate of the
/// diagonal of the Gauss-Newton matrix of the metric. A tenth of the layer's mean is added everywhere, as the
/// cut network may leave the range where the derivative was taken; then the mean is 1. Layers that no
/// derivative reaches have no entry.
PositionWeights position_weights(const Graph& graph, const JudgedInputs& judged,
                                 const std::vector<LinearLayer>& layers, std::uint64_t seed);

}  // namespace quboprune
