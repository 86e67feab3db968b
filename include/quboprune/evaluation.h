#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/dataset.h"
#include "quboprune/executor.h"
#include "quboprune/metrics.h"
#include "quboprune/progress.h"

namespace quboprune {

/// As analyse() takes them.
SampleSizes sizes_of(const Sample& sample);

/// What the first output's scores of classes are: probabilities if it is made by Softmax or Sigmoid, through
/// nothing but changes of shape, of type and range, choices and interpolation; logits otherwise.
ClassScores class_scores_of(const Graph& graph);

/// Is the metric the distance to the original's outputs, whatever targets there are?
bool measures_distance(const Judge& judge);

/// The judge by which choices are made on a few samples: top1, which moves in steps of a sample and hides how
/// near a network is to the next error, gives way to the loss. (Ours.)
Judge deciding(Judge judge);

/// Samples of equal shape, stacked: what one run of a network takes.
struct Batch {
  std::vector<int> samples;                    ///< numbers in the list that it was made from
  at::Tensor input;                            ///< [n, ...]
  at::Tensor target;                           ///< [n, ...] or undefined
  std::map<std::string, at::Tensor> others{};  ///< [n, ...] each, as in Sample
};

/// Stacks neighbouring samples of the same shape: at most `largest`, with at most `elements` input elements
/// together, but always at least one. The default bound is two colour images of 256 x 256: larger batches run
/// no faster, and in a U-Net they take gigabytes.
std::vector<Batch> batches(std::span<const Sample> samples, int largest = 16,
                           std::int64_t elements = 1 << 19);

/// Whether samples must be run one by one: the file fixes the batch or declares another first axis of its
/// output, there are inputs besides the data, or the outputs are stand-ins (runnable()).
bool one_at_a_time(const Graph& graph);

/// The network's inputs for a batch: the batch itself, then for each other input its fill (open sizes as the
/// batch's), else the samples' own array of its name. Throws InputError where that doesn't fit an input's
/// declared shape, or an input has neither.
std::vector<at::Tensor> network_inputs(const Graph& graph, const Batch& batch, const Judge& judge);

/// Output k of `count` samples that were run together, without the batch axis. Throws InputError where there
/// is none and samples were run together.
at::Tensor output_of(const at::Tensor& outputs, std::size_t k, std::size_t count);

/// Each sample's first output, without a batch axis, detached. A network whose file fixes the batch at one
/// gets the samples one by one. Throws InputError if samples were run together but the output has no batch
/// axis; Stopped if it is stopped.
std::vector<at::Tensor> outputs_of(const Executor& network, std::span<const Sample> samples,
                                   const Judge& judge, const Control& control = {});

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

/// How strongly the judge's metric reacts to a squared change of each sample's output: its derivative there.
///
/// Weights w such that w · mean((change of the output)²) follows the loss in the metric. psnr and ssim weigh
/// a change against the error that the original already makes, output against the output's size: psnr falls
/// by 10/ln 10 · (added mean squared error) / (the original's). So a unit of error on a sample that is nearly
/// clean counts for more than on a noisy one. For psnr and ssim peak² / max(mean squared error, peak²·1e-5)
/// (above 50 dB errors aren't told apart), for output 1 / mean(output²), for top1 and loss 1. Only ratios
/// have a meaning. outputs: the original's, [n, ...] for the n samples, or one sample's without a batch axis.
/// A sample without a target of the output's shape (for psnr and ssim), or with an output of zeros (for
/// output), weighs 1. Source: ours.
std::vector<double> metric_weights(std::span<const Sample> samples, const at::Tensor& outputs,
                                   const Judge& judge);

/// Multiplies what belongs to sample k of a batch by the root of weight k: random probes of outputs scaled so
/// give derivatives in the metric's unit. probes: [n, ...] for n weights, or one sample's without a batch
/// axis; others are returned as they are.
at::Tensor scaled_by_sample(const at::Tensor& probes, const std::vector<double>& weights);

/// Standard normal numbers of that shape and type, by a generator of their own: LibTorch's, whose stream
/// differs between its versions, but not between runs.
at::Tensor normal_like(const at::Tensor& like, std::uint64_t seed);

/// The target that a judge compares sample `index` with: its own, or references[index] (the original's
/// output) where the metric or loss is the distance to that, or it has none. Throws InputError if neither is
/// there.
at::Tensor target_of(const Sample& sample, std::size_t index, const Judge& judge,
                     std::span<const at::Tensor> references);

}  // namespace quboprune
