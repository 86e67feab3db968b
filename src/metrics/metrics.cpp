#include "quboprune/metrics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

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

void check_label(std::int64_t label, std::int64_t classes) {
  if (label < 0 || label >= classes)
    throw InputError("the label " + std::to_string(label) + " lies outside the network's " +
                     std::to_string(classes) + " classes: give labels from 0 to " +
                     std::to_string(classes - 1));
}

/// One sample's, [classes] with axes of length 1 around it.
void check_classes(at::IntArrayRef output) {
  if (std::count_if(output.begin(), output.end(), [](auto size) { return size > 1; }) > 1)
    throw InputError(
        "top1 and cross-entropy need one number a class, not outputs " + at::str(output) +
        " a sample: folders of images are taken for classes unless they are called noisy and clean");
}

at::Tensor cross_entropies(const at::Tensor& outputs, const at::Tensor& labels) {
  if (outputs.dim() < 2 || labels.dim() != 1 || outputs.size(0) != labels.size(0) ||
      labels.scalar_type() != at::kLong)
    throw InputError("cross-entropy needs outputs [n, classes] and labels [n], not " +
                     at::str(outputs.sizes()) + " and " + at::str(labels.sizes()));
  check_classes(outputs.sizes().slice(1));
  const at::Tensor scores = outputs.flatten(1);
  const auto classes = scores.size(1);
  if (labels.numel() > 0) {
    check_label(labels.min().item<std::int64_t>(), classes);
    check_label(labels.max().item<std::int64_t>(), classes);
  }
  return -at::log_softmax(scores, 1).gather(1, labels.unsqueeze(1)).squeeze(1);
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
bool larger_is_better(const std::string& name) {
  return larger_is_better(metric_from_name(name));
}

double top1(const at::Tensor& output, const at::Tensor& target) {
  check_classes(output.sizes());
  if (target.numel() != 1) throw InputError("top1 needs one label a sample, not " + at::str(target.sizes()));
  const auto label = target.item<std::int64_t>();
  check_label(label, output.numel());
  return output.flatten().argmax().item<std::int64_t>() == label ? 1 : 0;
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
  // A reference of zeros has no scale to be relative to.
  if (size == 0) return difference == 0 ? 0 : std::numeric_limits<double>::infinity();
  return difference / size;
}

at::Tensor sample_losses(Loss loss, const at::Tensor& outputs, const at::Tensor& targets) {
  if (!targets.defined()) throw InputError("the loss " + name_of(loss) + " needs targets; use --loss output");
  if (loss == Loss::cross_entropy) return cross_entropies(outputs, targets);
  if (outputs.sizes() != targets.sizes())
    throw InputError("the network's outputs " + at::str(outputs.sizes()) + " don't have the targets' shape " +
                     at::str(targets.sizes()) + kOtherTargets);
  const at::Tensor difference = outputs - targets;
  return (loss == Loss::l1 ? difference.abs() : difference.square())
      .reshape({difference.size(0), -1})
      .mean(1);
}

double evaluate(Metric metric, Loss loss, const at::Tensor& output, const at::Tensor& target, double peak) {
  if (!target.defined())
    throw InputError("the metric " + name_of(metric) + " needs targets; use --metric output");
  switch (metric) {
    case Metric::psnr:
      return psnr(output, target, peak);
    case Metric::ssim:
      return ssim(output, target, peak);
    case Metric::top1:
      return top1(output, target);
    case Metric::loss:
      return sample_losses(loss, output.unsqueeze(0), target.unsqueeze(0)).item<double>();
    case Metric::output:
      return relative_mse(output, target);
  }
  throw InternalError("internal error: a metric that isn't one");
}

Score score_of(std::vector<double> samples) {
  const double sum = std::accumulate(samples.begin(), samples.end(), 0.0);
  return {sum / static_cast<double>(samples.size()), std::move(samples)};
}

}  // namespace quboprune
