#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "quboprune/dataset.h"
#include "quboprune/graph.h"
#include "quboprune/metrics.h"
#include "quboprune/progress.h"
#include "recover/refit_linear.h"

namespace quboprune {

/// Samples as a network takes them, in small batches, and who judges what it makes of them.
struct JudgedInputs {
  std::span<const std::vector<at::Tensor>> inputs;  ///< by batch
  std::span<const std::size_t> counts;              ///< samples of each batch
  std::span<const Sample> samples;                  ///< all of them, in order
  const Judge& judge;

  /// The size of batches [0, count) in units of the first one's.
  double size_of(std::size_t count) const;
};

/// What is known of a layer's outputs in the original network at some positions (in the order of
/// LinearLayer::flat), batch by batch.
struct LayerTargets {
  std::vector<at::Tensor> positions;  ///< long [n], ascending
  /// float [n]: what the network's output sees of an error there. The squared derivative of vᵀ output by the
  /// layer's outputs, mean over channels and a 5 x 5 neighbourhood (one probe is noisy), v random signs times
  /// the root of the sample's metric_weights(): an estimate of the diagonal of the Gauss-Newton matrix of the
  /// metric. A tenth of the layer's mean is added everywhere, as the cut network may leave the range where
  /// the derivative was taken; then the mean over all positions is 1. Ones where no derivative reaches.
  std::vector<at::Tensor> weights;
  std::vector<at::Tensor> outputs;                ///< float [n, channels]; empty unless asked for
  std::vector<std::vector<std::int64_t>> shapes;  ///< of the whole outputs
};

struct TargetOptions {
  bool weigh = true;    ///< else all weights are 1, and nothing is differentiated
  bool outputs = true;  ///< keep the layers' outputs
  /// Positions for each unknown of an output, over batches [0, fitted).
  double positions_per_unknown = 50;
  std::size_t fitted = 0;
  std::size_t memory_limit = std::size_t{512} << 20U;  ///< for outputs; beyond it positions are thinned
  std::uint64_t seed = 1;
};

/// One pass of the original network over all batches, with one of derivatives where weights are wanted.
struct TargetPass {
  std::map<int, LayerTargets> layers;  ///< by node; layers that the data don't reach have none
  std::vector<at::Tensor> outputs;     ///< of the network, for batches from `fitted` on
  std::size_t batches = 0;             ///< that targets are of: all, unless it was stopped
  double thinned = 1;                  ///< the share of the positions asked for that memory had room for
};

/// Stopped work gives the network's outputs, and targets of at least the first batch.
TargetPass gather_targets(const Graph& graph, const JudgedInputs& judged,
                          const std::vector<LinearLayer>& layers, const TargetOptions& options,
                          const Control& control);

}  // namespace quboprune
