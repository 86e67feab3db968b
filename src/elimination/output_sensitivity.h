#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "quboprune/dataset.h"
#include "quboprune/metrics.h"
#include "quboprune/progress.h"
#include "recover/refit_linear.h"

namespace quboprune {

/// What the network's first output sees of errors at the outputs of layers: for each layer
/// H = (sum over samples n and positions of w_n g gᵀ) / (sum of w_n · elements of the output), double
/// [groups, outputs, outputs], g = vᵀ ∂output/∂(the layer's outputs at a position), v standard normal, mean
/// over `probes` of v, w_n the sample's metric_weights(). tr(H·C) is then the mean squared change of the
/// output, samples counting as the metric sees them, under errors of covariance C at every position,
/// uncorrelated between positions. Zeros for layers that no derivative reaches.
std::vector<at::Tensor> output_sensitivity(const Graph& graph, std::span<const Sample> samples,
                                           const Judge& judge, const std::vector<LinearLayer>& layers,
                                           int probes, std::uint64_t seed, const Control& control = {});

}  // namespace quboprune
