#pragma once

#include <memory>
#include <span>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/evaluation.h"
#include "quboprune/recover.h"

namespace quboprune {

struct EvaluatorOptions {
  bool refit = false;   ///< the value of a mask is that of the network after refit, as it would ship
  double ridge = 1e-2;  ///< of that refit
  std::size_t memory_limit = std::size_t{1} << 30U;
};

/// The true value of masks: the metric of the cut network on samples, lower is better (a metric of which more
/// is better is negated). The network is run as it would ship: removed channels aren't computed.
class MaskEvaluator {
 public:
  /// Keeps references to groups. Runs the original once where outputs are compared with its own.
  MaskEvaluator(const ChannelGroups& groups, std::vector<Sample> samples, const Judge& judge,
                const EvaluatorOptions& options = {}, const Control& control = {});

  /// +infinity for a mask that empties a layer.
  double value(const Mask& mask) const;
  std::vector<double> operator()(std::span<const Mask> masks) const;

  /// The metric as users know it, from a value, and back.
  double metric(double value) const { return larger_is_better(judge_.metric) ? -value : value; }
  /// Each sample's metric under a network.
  Score score(const Graph& network) const;
  Graph cut(const Mask& mask) const;  ///< with the refit, where that is on

  const std::vector<Sample>& samples() const { return samples_; }
  const Judge& judge() const { return judge_; }

 private:
  const ChannelGroups& groups_;
  std::vector<Sample> samples_;
  Judge judge_;
  EvaluatorOptions options_;
  std::vector<at::Tensor> references_;
  std::unique_ptr<GramCache> grams_;
};

}  // namespace quboprune
