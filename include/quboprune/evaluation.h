#pragma once

#include <span>
#include <vector>

#include "quboprune/dataset.h"
#include "quboprune/executor.h"
#include "quboprune/metrics.h"
#include "quboprune/progress.h"

namespace quboprune {

/// What the first output's scores of classes are: probabilities if it is made by Softmax or Sigmoid, through
/// nothing but changes of shape, of type and range, choices and interpolation; logits otherwise.
ClassScores class_scores_of(const Graph& graph);

/// Is the metric the distance to the original's outputs, whatever targets there are?
bool measures_distance(const Judge& judge);

/// The judge by which choices are made on a few samples: top1, which moves in steps of a sample and hides how
/// near a network is to the next error, gives way to the loss. (Ours.)
Judge deciding(Judge judge);

/// The original's outputs where the judge compares with them (or a sample has no target), else none.
std::vector<at::Tensor> references_for(const Graph& original, std::span<const Sample> samples,
                                       const Judge& judge, const Control& control = {});

/// The metric of each sample. `references`: the original's outputs, used as targets where the metric or the
/// loss is the distance to them, or the samples have none. Throws InputError if neither is there.
Score evaluate_network(const Executor& network, std::span<const Sample> samples, const Judge& judge,
                       std::span<const at::Tensor> references = {}, const Control& control = {});

/// Samples, and how networks are judged on them.
class NetworkJudge {
 public:
  /// Runs the original once where references_for() needs it. Throws as that does.
  NetworkJudge(const Graph& original, std::vector<Sample> samples, const Judge& judge,
               const Control& control = {});

  /// As evaluate_network().
  Score score(const Graph& network, const Control& control = {}) const;

  const std::vector<Sample>& samples() const { return samples_; }
  const Judge& judge() const { return judge_; }
  const std::vector<at::Tensor>& references() const { return references_; }

 private:
  std::vector<Sample> samples_;
  Judge judge_;
  std::vector<at::Tensor> references_;
};

/// The target that a judge compares sample `index` with: its own, or references[index] (the original's
/// output) where the metric or loss is the distance to that, or it has none. Throws InputError if neither is
/// there.
at::Tensor target_of(const Sample& sample, std::size_t index, const Judge& judge,
                     std::span<const at::Tensor> references);

}  // namespace quboprune
