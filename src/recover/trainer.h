#pragma once

#include <torch/optim/adam.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "quboprune/batches.h"
#include "quboprune/error.h"
#include "quboprune/executor.h"
#include "quboprune/finetune.h"
#include "recover/training_loss.h"

namespace quboprune {

/// The loss or a weight is no number any more.
class Diverged : public InputError {
 public:
  using InputError::InputError;
};

/// Exponential averages of weights and statistics.
class Average {
 public:
  Average(double decay, const std::vector<at::Tensor>& tensors);
  /// Short runs would remember their start for too long: the decay grows with the steps.
  void add(const std::vector<at::Tensor>& tensors, std::int64_t step);
  std::vector<at::Tensor>& tensors() { return mean_; }

 private:
  double decay_;
  std::vector<at::Tensor> mean_;
};

/// How far a training has come.
struct TrainingProgress {
  std::int64_t step = 0;
  double seconds = 0;
};

/// A network's weights while they are trained: one step at a time, kept on disk and taken up again.
class Trainer {
 public:
  /// Both must outlive it.
  Trainer(const Graph& graph, const FinetuneOptions& options);

  /// One step of Adam on the mean loss of a batch given in parts; returns that loss. Throws Diverged where
  /// it isn't finite.
  double step(const std::vector<Batch>& parts, double rate, std::int64_t number);
  /// The network with the averaged weights (the last ones without averaging), in the file's own types.
  /// Throws Diverged where one isn't finite.
  Graph result();

  /// In a file of the folder, written beside and renamed.
  void save(const std::filesystem::path& folder, const TrainingProgress& progress);
  /// From the beginning where there is no saved state.
  TrainingProgress take_up(const std::filesystem::path& folder);

 private:
  /// The value that tensor i belongs to.
  int value(std::size_t i) const { return i < trained_ ? weights_[i] : statistics_[i - trained_]; }
  std::vector<at::Tensor> parameters() const;

  const FinetuneOptions& options_;
  const Graph& graph_;
  Executor network_;
  TrainingLoss loss_;
  std::vector<int> weights_, statistics_;
  std::vector<at::Tensor> tensors_;  ///< weights, then statistics
  std::size_t trained_ = 0;
  std::unique_ptr<Average> average_;  ///< none for an ema of 0
  std::unique_ptr<torch::optim::Adam> optimizer_;
};

}  // namespace quboprune
