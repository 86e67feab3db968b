#include "quboprune/metrics.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "metrics/advice.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

constexpr std::array<std::pair<const char*, Metric>, 5> metric_names{{{"psnr", Metric::psnr},
                                                                      {"ssim", Metric::ssim},
                                                                      {"top1", Metric::top1},
                                                                      {"loss", Metric::loss},
                                                                      {"output", Metric::output}}};
constexpr std::array<std::pair<const char*, Loss>, 4> loss_names{
    {{"l1", Loss::l1}, {"mse", Loss::mse}, {"cross-entropy", Loss::cross_entropy}, {"output", Loss::output}}};

template <typename Table>
auto from_name(const Table& table, const std::string& option, const std::string& name) {
  std::string known;
  for (const auto& [text, value] : table) {
    if (name == text) return value;
    known += (known.empty() ? "" : ", ") + std::string(text);
  }
  throw InputError(option + ": '" + name + "' isn't known; use one of " + known);
}

template <typename Table, typename Value>
std::string to_name(const Table& table, Value value) {
  for (const auto& [text, known] : table)
    if (known == value) return text;
  throw InternalError("internal error: a metric or loss without a name");
}

/// A label in maps of labels that says that nobody knows, as data sets of segmentation have it.
constexpr std::int64_t kUnknown = 255;

void check_labels(const at::Tensor& labels, std::int64_t classes) {
  const auto [least, most] = labels.aminmax();
  for (const auto label : {least.item<std::int64_t>(), most.item<std::int64_t>()})
    if (label < 0 || label >= classes)
      throw InputError("the label " + std::to_string(label) + " lies outside the network's " +
                       std::to_string(classes) + " classes: give labels from 0 to " +
                       std::to_string(classes - 1));
}

/// Scores [n, classes, positions] and labels [n, positions].
struct Classified {
  at::Tensor scores, labels;
  at::Tensor counts;  ///< bool, where the label counts; undefined: everywhere
};

/// The scores by class and position, [n, classes, positions]; undefined where outputs and labels don't fit.
/// A single score becomes two, of its class and of the other.
at::Tensor by_class(const at::Tensor& outputs, const at::Tensor& labels, ClassScores scores) {
  const auto n = labels.dim() > 0 ? labels.size(0) : 0;
  if (labels.scalar_type() != at::kLong || n == 0 || outputs.dim() == 0 || outputs.size(0) != n) return {};
  const auto longer = [](const at::Tensor& t) {  // axes that aren't of length 1
    std::vector<std::int64_t> sizes = t.sizes().slice(1).vec();
    std::erase(sizes, 1);
    return sizes;
  };
  if (longer(outputs) == longer(labels)) {
    const at::Tensor one = outputs.reshape({n, -1});
    // Next to 1 float32 resolves no more than 2^-24: a probability of 0 there is one that isn't known.
    return scores == ClassScores::logits ? at::stack({at::zeros_like(one), one}, 1)
                                         : at::stack({(1 - one).clamp_min(0x1p-25), one}, 1);
  }
  if (longer(labels).empty() && longer(outputs).size() == 1) return outputs.flatten(1).unsqueeze(2);
  if (outputs.dim() != labels.dim() + 1) return {};
  if (outputs.sizes().slice(2) == labels.sizes().slice(1)) return outputs.flatten(2);
  if (outputs.sizes().slice(0, labels.dim()) == labels.sizes()) return outputs.movedim(-1, 1).flatten(2);
  return {};
}

/// Labels one a sample [n], of outputs [n, classes] with axes of length 1 around them; or one a position
/// [n, ...], of outputs [n, classes, ...] or [n, ..., classes].
Classified classified(const at::Tensor& outputs, const at::Tensor& labels, ClassScores scores) {
  if (!outputs.is_floating_point())
    throw InputError(
        "the network puts out whole numbers (classes that it chose?), where top1 and cross-entropy need "
        "a score for each class; give the network without its ArgMax, or use --metric output --loss output");
  Classified result{by_class(outputs, labels, scores), {}, {}};
  if (!result.scores.defined())
    throw InputError(
        "top1 and cross-entropy need a score for each class and whole numbers as labels: [classes] with one "
        "for each sample, or [classes, height, width] with one for each pixel, not outputs " +
        at::str(outputs.sizes()) + " and targets " + at::str(labels.sizes()) +
        " of a batch; folders of images are taken for classes unless they are called noisy and clean, or "
        "images and masks");
  const auto classes = result.scores.size(1);
  result.labels = labels.reshape({labels.size(0), -1});
  if (result.labels.size(1) == 1) {
    check_labels(result.labels, classes);
    return result;
  }
  result.counts = result.labels.ge(0);
  if (classes <= kUnknown) result.counts = result.counts.logical_and(result.labels.ne(kUnknown));
  if (!result.counts.any(1).all().item<bool>())
    throw InputError("a map of labels has none that counts (negative ones don't, nor 255): leave it out");
  result.labels = result.labels.masked_fill(result.counts.logical_not(), 0);
  check_labels(result.labels, classes);
  return result;
}

/// The mean over the positions that count, [n].
at::Tensor mean_counted(const Classified& c, const at::Tensor& values) {
  if (!c.counts.defined()) return values.mean(1);
  return values.masked_fill(c.counts.logical_not(), 0).sum(1) / c.counts.sum(1);
}

/// Of each class's share, along axis 1. Probabilities are divided by their sum: a Sigmoid for each class
/// doesn't give such that exclude each other. Where all are 0 no class is likelier than another.
at::Tensor log_shares(const at::Tensor& by_class, ClassScores scores) {
  if (scores == ClassScores::logits) return at::log_softmax(by_class, 1);
  const at::Tensor positive = by_class + std::numeric_limits<float>::min();
  return positive.log() - positive.sum(1, true).log();
}

at::Tensor cross_entropies(const at::Tensor& outputs, const at::Tensor& labels, ClassScores scores) {
  const Classified c = classified(outputs, labels, scores);
  return mean_counted(c, -log_shares(c.scores, scores).gather(1, c.labels.unsqueeze(1)).squeeze(1));
}

}  // namespace

Metric metric_from_name(const std::string& name) {
  return from_name(metric_names, "--metric", name);
}
Loss loss_from_name(const std::string& name) {
  return from_name(loss_names, "--loss", name);
}
std::string name_of(Metric metric) {
  return to_name(metric_names, metric);
}
std::string name_of(Loss loss) {
  return to_name(loss_names, loss);
}

bool larger_is_better(Metric metric) {
  return metric != Metric::loss && metric != Metric::output;
}

double error_of(double value, Metric metric) {
  if (std::isnan(value)) return std::numeric_limits<double>::infinity();
  return larger_is_better(metric) ? -value : value;
}

double metric_of(double error, Metric metric) {
  return larger_is_better(metric) ? -error : error;
}

bool larger_is_better(const std::string& name) {
  return larger_is_better(metric_from_name(name));
}

double top1(const at::Tensor& output, const at::Tensor& target, ClassScores scores) {
  const Classified c = classified(output.unsqueeze(0), target.unsqueeze(0), scores);
  if (c.scores.isnan().any().item<bool>()) return std::numeric_limits<double>::quiet_NaN();
  return mean_counted(c, c.scores.argmax(1).eq(c.labels).to(at::kDouble)).item<double>();
}

double relative_mse(const at::Tensor& output, const at::Tensor& reference) {
  if (output.sizes() != reference.sizes())
    throw InputError("outputs of two networks differ in shape: " + at::str(output.sizes()) + " and " +
                     at::str(reference.sizes()));
  const at::Tensor exact = reference.to(at::kDouble);
  const at::Tensor got = output.to(at::kDouble);
  const at::Tensor alike = got.eq(exact).logical_or(got.isnan().logical_and(exact.isnan()));
  const double difference = (got - exact).masked_fill(alike, 0).square().sum().item<double>();
  const double size = exact.masked_fill(exact.isfinite().logical_not(), 0).square().sum().item<double>();
  // A reference of zeros has no scale to be relative to. Not infinite: means over samples would be.
  if (size == 0) return difference == 0 ? 0 : 1;
  return difference / size;
}

at::Tensor sample_losses(Loss loss, const at::Tensor& outputs, const at::Tensor& targets,
                         ClassScores scores) {
  if (!targets.defined()) throw InputError("the loss " + name_of(loss) + " needs targets; use --loss output");
  if (loss == Loss::cross_entropy) return cross_entropies(outputs, targets, scores);
  if (outputs.sizes() != targets.sizes())
    throw InputError("the network's outputs " + at::str(outputs.sizes()) + " don't have the targets' shape " +
                     at::str(targets.sizes()) + kOtherTargets);
  const at::Tensor difference = outputs - targets;
  return (loss == Loss::l1 ? difference.abs() : difference.square())
      .reshape({difference.size(0), -1})
      .mean(1);
}

at::Tensor class_divergences(const at::Tensor& outputs, const at::Tensor& references,
                             const at::Tensor& labels, ClassScores scores) {
  const at::Tensor to = log_shares(classified(references, labels, scores).scores, scores);
  const at::Tensor from = log_shares(classified(outputs, labels, scores).scores, scores);
  return (to.exp() * (to - from)).sum(1).mean(1);
}

double evaluate(const Judge& judge, const at::Tensor& output, const at::Tensor& target) {
  if (!target.defined())
    throw InputError("the metric " + name_of(judge.metric) + " needs targets; use --metric output");
  switch (judge.metric) {
    case Metric::psnr:
      return psnr(output, target, judge.peak);
    case Metric::ssim:
      return ssim(output, target, judge.peak);
    case Metric::top1:
      return top1(output, target, judge.class_scores);
    case Metric::loss:
      return sample_losses(judge.loss, output.unsqueeze(0), target.unsqueeze(0), judge.class_scores)
          .item<double>();
    case Metric::output:
      return relative_mse(output, target);
  }
  throw InternalError("internal error: a metric that isn't one");
}

double mean(std::span<const double> values) {
  return values.empty()
             ? std::numeric_limits<double>::infinity()
             : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> lower_is_better(std::vector<double> samples, Metric metric) {
  for (double& v : samples) v = error_of(v, metric);
  return samples;
}

Score score_of(std::vector<double> samples) {
  const double sum = std::accumulate(samples.begin(), samples.end(), 0.0);
  return {sum / static_cast<double>(samples.size()), std::move(samples)};
}

}  // namespace quboprune
