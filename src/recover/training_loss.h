#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "quboprune/batches.h"
#include "quboprune/finetune.h"

namespace quboprune {

/// How far a network's features are from its teacher's on one batch: watch the teacher's run, then the
/// network's.
class FeatureLoss {
 public:
  explicit FeatureLoss(std::span<const Feature> features);

  ValueHook of_teacher();
  ValueHook of_network();
  /// Mean over the features of mean |network - teacher|² / mean |teacher|². Features that are all zeros in
  /// the teacher say nothing on this batch and aren't counted; undefined where none is left.
  at::Tensor mean() const;

 private:
  struct Target {
    at::Tensor tensor;  ///< the teacher's, with the kept indices alone
    double mean_square = 0;
  };

  std::multimap<int, const Feature*> by_teacher_;
  std::map<int, Target> targets_;  ///< by the network's value
  std::vector<at::Tensor> terms_;
};

/// What training makes small: the distance to the targets, to the teacher's outputs and to its features.
class TrainingLoss {
 public:
  explicit TrainingLoss(const FinetuneOptions& options);

  /// Mean over a batch's samples, with the network's gradients. Runs the network and the teacher.
  at::Tensor operator()(const Executor& network, const Batch& batch) const;

 private:
  at::Tensor of_teacher(const at::Tensor& output, const at::Tensor& reference, const at::Tensor& labels,
                        const FeatureLoss& features) const;

  const FinetuneOptions& options_;
  double teacher_weight_;
  std::unique_ptr<Executor> teacher_;
};

}  // namespace quboprune
