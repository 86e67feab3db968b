#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "quboprune/dataset.h"
#include "quboprune/metrics.h"

namespace quboprune {

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

}  // namespace quboprune
