#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace quboprune {

/// PSNR in dB of one output against its target, over all channels and pixels together:
/// 10·log10(peak² / mean squared difference). Any equal shapes, else InputError; no rounding or clipping.
/// Equal tensors give 100 dB, so that means stay finite; nothing is reported above that.
double psnr(const at::Tensor& output, const at::Tensor& target, double peak = 1.0);

/// SSIM of one image [C, H, W], [H, W, C] of 1 or 3 channels, or [H, W] against its target, mean over
/// positions and channels; at most 1. Gaussian window of 11x11, sigma 1.5, without a border; K1 = 0.01, K2 =
/// 0.03. Images smaller than the window throw InputError. Source: Wang, Bovik, Sheikh, Simoncelli, IEEE
/// Trans. Image Processing 13(4), 2004, eq. 13.
double ssim(const at::Tensor& output, const at::Tensor& target, double peak = 1.0);

/// What a network's scores of classes are: logits, or what Softmax or Sigmoid made of them (which
/// cross-entropy divides by their sum over the classes).
enum class ClassScores { logits, probabilities };

/// 1 if the largest of the outputs ([classes], with axes of length 1 around them) is the target's, an int64
/// scalar, else 0. Of outputs [classes, ...] or [..., classes] and labels [...]: the share of positions where
/// it is (pixel accuracy); negative labels, and 255 where there are fewer classes, don't count. A single
/// score tells class 1 from class 0: it is 1's where the logit is above 0, the probability above 0.5. NaN if
/// an output is. Throws InputError if the shapes don't fit, a label isn't one of the classes or none of a
/// map's counts.
double top1(const at::Tensor& output, const at::Tensor& target, ClassScores scores = ClassScores::logits);

/// |output - reference|² / |reference|²: how far a network is from the original's outputs. 0 when equal;
/// 1 is what an output of zeros gets, and where only the reference is all zeros any other one. Elements that
/// are the same infinity, or no number, in both don't count. Measured against the original: needs no targets.
/// Throws InputError where the shapes differ.
double relative_mse(const at::Tensor& output, const at::Tensor& reference);

/// What a network is judged by.
///
/// psnr, ssim, top1: the larger the better; loss (the task's own, see Loss) and output (relative_mse): the
/// smaller.
enum class Metric { psnr, ssim, top1, loss, output };

/// What gradients are taken of, and what Metric::loss reports.
///
/// l1, mse: mean over a sample's values; cross_entropy: of scores of classes against a label; output: the
/// mean squared distance to the original network's outputs.
enum class Loss { l1, mse, cross_entropy, output };

/// How a network is judged on samples.
struct Judge {
  Metric metric = Metric::psnr;
  Loss loss = Loss::l1;
  double peak = 1;  ///< of images; DataOptions::value_scale
  /// Values for inputs besides the first, by name: a noise level, a scale. Every element gets it.
  std::map<std::string, double> fills{};
  /// What cross_entropy and top1 take outputs for; see class_scores_of.
  ClassScores class_scores = ClassScores::logits;
};

/// From the name that the command line takes (psnr, ssim, top1, loss, output; l1, mse, cross-entropy,
/// output). Throws InputError listing the names.
Metric metric_from_name(const std::string& name);
Loss loss_from_name(const std::string& name);
std::string name_of(Metric metric);
std::string name_of(Loss loss);

bool larger_is_better(Metric metric);
/// The same by name; throws InputError for a name that isn't one.
bool larger_is_better(const std::string& name);
/// A metric as what is to be small: its negative where larger is better; infinite where it is no number.
double error_of(double value, Metric metric);
/// The metric that has this error.
double metric_of(double error, Metric metric);

/// The loss of each sample of a batch, float32 [n], differentiable. outputs [n, ...]; targets [n, ...] of
/// the same shape, or int64 labels for cross_entropy: [n] of outputs [n, classes], or [n, ...] of outputs
/// [n, classes, ...] or [n, ..., classes], mean over the positions that count (see top1, for a single score
/// too). Summing gives what gate gradients are taken of; the mean is what is trained on.
/// Throws InputError if the shapes don't fit each other.
at::Tensor sample_losses(Loss loss, const at::Tensor& outputs, const at::Tensor& targets,
                         ClassScores scores = ClassScores::logits);

/// How far the shares that the outputs give to the classes are from the references' (Kullback-Leibler, nats),
/// float32 [n], differentiable: mean over all positions. Shapes as in cross-entropy; the labels' tell which
/// axis is the classes'. Throws InputError as sample_losses().
at::Tensor class_divergences(const at::Tensor& outputs, const at::Tensor& references,
                             const at::Tensor& labels, ClassScores scores = ClassScores::logits);

/// One sample's value of the judge's metric. target: the sample's, or the original's output for
/// Metric::output and Loss::output. No batch axis.
/// Throws InputError if the shapes don't fit, or there is no target.
double evaluate(const Judge& judge, const at::Tensor& output, const at::Tensor& target);

/// A metric over a data set.
struct Score {
  double mean = 0;
  std::vector<double> samples;  ///< in the order of the data: compare two networks pairwise with these
};

/// +infinity for none.
double mean(std::span<const double> values);

/// A metric's values by sample, turned so that lower is better; NaN becomes infinity.
std::vector<double> lower_is_better(std::vector<double> samples, Metric metric);

/// Score of values already there. An empty list has a mean of NaN.
Score score_of(std::vector<double> samples);

/// The mean of differences a_i - b_i, and what it is known by.
struct MeanDifference {
  double mean = 0;
  double error = 0;  ///< standard
  int units = 0;     ///< samples, or scenes
};

/// a and b: the same samples' values under two networks. `clusters`, where given, names each sample's scene:
/// scenes then count in place of samples, as samples of one scene aren't independent. Throws InputError if
/// the sizes differ, or there are fewer than two samples or scenes: of one nobody can say how far it is from
/// the next. Source: the ratio estimator and its variance, Cochran, Sampling Techniques, 1977, eq. 6.13.
MeanDifference paired_difference(const std::vector<double>& a, const std::vector<double>& b,
                                 const std::vector<std::string>& clusters = {});

/// For the mean of differences a_i - b_i.
struct Interval {
  double mean = 0;
  double low = 0;
  double high = 0;
};

/// For the mean of all samples' differences, by paired_difference() and Student's t with a degree of freedom
/// less than there are samples or scenes. confidence in (0, 1). Throws InputError as that does.
///
/// Not a bootstrap: of few scenes its percentiles are too narrow. With a normal spread those at 95 % cover
/// the mean of n scenes P(|t| < 1.96 sqrt((n - 1) / n)) times, t of n - 1 degrees: 0.75 of 3, 0.89 of 8.
Interval paired_interval(const std::vector<double>& a, const std::vector<double>& b, double confidence = 0.95,
                         const std::vector<std::string>& clusters = {});

}  // namespace quboprune
