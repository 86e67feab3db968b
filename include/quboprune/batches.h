#pragma once

#include <cstdint>
#include <functional>
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

/// Samples of equal shape, stacked: what one run of a network takes.
struct Batch {
  std::vector<int> samples;                    ///< numbers in the list that it was made from
  at::Tensor input;                            ///< [n, ...]
  at::Tensor target;                           ///< [n, ...] or undefined
  std::map<std::string, at::Tensor> others{};  ///< [n, ...] each, as in Sample
};

/// Two colour images of 256 x 256: larger batches run no faster, and in a U-Net they take gigabytes.
inline constexpr std::int64_t kBatchElements = 1 << 19;
inline constexpr int kLargestBatch = 16;

/// Stacks neighbouring samples of the same shape: at most `largest`, with at most `elements` input elements
/// together, but always at least one.
std::vector<Batch> batches(std::span<const Sample> samples, int largest = kLargestBatch,
                           std::int64_t elements = kBatchElements);

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

/// Runs the samples in batches, one after the other, and calls `use` with each sample's number and first
/// output, without a batch axis, detached. A network whose file fixes the batch at one gets the samples one
/// by one. Throws InputError if samples were run together but the output has no batch axis; Stopped if it is
/// stopped; what `use` throws.
void for_each_output(const Executor& network, std::span<const Sample> samples, const Judge& judge,
                     const Control& control,
                     const std::function<void(std::size_t sample, const at::Tensor& output)>& use);

/// The outputs of for_each_output(), by sample: all of them in memory.
std::vector<at::Tensor> outputs_of(const Executor& network, std::span<const Sample> samples,
                                   const Judge& judge, const Control& control = {});

}  // namespace quboprune
