#include "recover/training_loss.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "quboprune/batches.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

at::Tensor only_kept(const Feature& feature, const at::Tensor& tensor) {
  at::Tensor result = tensor;
  for (const auto& [axis, indices] : feature.kept)
    result = result.index_select(axis, at::tensor(indices, at::kLong));
  return result.contiguous(tensor.suggest_memory_format());
}

}  // namespace

FeatureLoss::FeatureLoss(std::span<const Feature> features) {
  for (const auto& feature : features) by_teacher_.emplace(feature.teacher, &feature);
}

ValueHook FeatureLoss::of_teacher() {
  return [this](int value, const at::Tensor& tensor) {
    const auto [first, last] = by_teacher_.equal_range(value);
    for (auto it = first; it != last; ++it) {
      at::Tensor kept = only_kept(*it->second, tensor);
      const double mean_square = kept.square().mean().item<double>();
      targets_[it->second->value] = {std::move(kept), mean_square};
    }
  };
}

ValueHook FeatureLoss::of_network() {
  return [this](int value, const at::Tensor& tensor) {
    const auto found = targets_.find(value);
    if (found == targets_.end()) return;
    const Target& target = found->second;
    if (tensor.sizes() != target.tensor.sizes())
      throw InputError("a feature of shape " + at::str(tensor.sizes()) + " can't follow the teacher's " +
                       at::str(target.tensor.sizes()) + "; the teacher must be the network that was cut");
    if (target.mean_square > 0)
      terms_.push_back((tensor - target.tensor).square().mean() / target.mean_square);
  };
}

at::Tensor FeatureLoss::mean() const {
  return terms_.empty() ? at::Tensor() : at::stack(terms_).mean();
}

TrainingLoss::TrainingLoss(const FinetuneOptions& options)
    : options_(options), teacher_weight_(options.judge.loss == Loss::output ? 1 : options.teacher_weight) {
  if (options.teacher) teacher_ = std::make_unique<Executor>(*options.teacher);
}

at::Tensor TrainingLoss::operator()(const Executor& network, const Batch& batch) const {
  const auto inputs = network_inputs(network.graph(), batch, options_.judge);
  const bool taught = teacher_ && (teacher_weight_ > 0 || !batch.target.defined());
  FeatureLoss features(options_.feature_weight > 0 ? std::span<const Feature>(options_.features)
                                                   : std::span<const Feature>());
  at::Tensor reference;
  if (taught) {
    const at::NoGradGuard no_grad;
    RunOptions watched;
    watched.on_value = features.of_teacher();
    reference = teacher_->run(inputs, watched).front();
  }
  RunOptions run;
  run.training = options_.train_batch_norm;
  if (taught) run.on_value = features.of_network();
  const at::Tensor output = network.run(inputs, run).front();
  if (!taught && !batch.target.defined())
    throw InputError(
        "the data has no targets: name a --teacher network to follow, or give data with targets");
  const auto of_targets = [&] {
    return sample_losses(options_.judge.loss, output, batch.target, options_.judge.class_scores).mean();
  };
  if (!taught) return of_targets();
  const at::Tensor second = of_teacher(output, reference, batch.target, features);
  if (!batch.target.defined() || teacher_weight_ >= 1) return second;
  return of_targets() * (1 - teacher_weight_) + second * teacher_weight_;
}

/// Cross-entropy goes with the divergence of the shares that both give to the classes: differences of logits
/// would count for as much where no class depends on them.
at::Tensor TrainingLoss::of_teacher(const at::Tensor& output, const at::Tensor& reference,
                                    const at::Tensor& labels, const FeatureLoss& features) const {
  if (options_.judge.loss == Loss::cross_entropy && labels.defined()) {
    const at::Tensor loss = class_divergences(output, reference, labels, options_.judge.class_scores).mean();
    const at::Tensor relative = features.mean();
    return relative.defined() ? loss + relative * options_.feature_weight : loss;
  }
  const bool absolute = options_.judge.loss == Loss::l1;
  const at::Tensor loss = sample_losses(absolute ? Loss::l1 : Loss::mse, output, reference).mean();
  const at::Tensor relative = features.mean();
  if (!relative.defined()) return loss;
  const at::Tensor size = (absolute ? reference.abs() : reference.square()).mean();
  return loss + relative * size * options_.feature_weight;
}

}  // namespace quboprune
