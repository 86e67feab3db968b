#include "recover/trainer.h"

#include <ATen/Functions.h>
#include <torch/nn/utils/clip_grad.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "quboprune/error.h"

namespace quboprune {
namespace {

/// Running means and variances, those that the file holds.
std::vector<int> statistics(const Graph& graph) {
  std::set<int> result;
  for (const auto& node : graph.nodes) {
    if (node.op != "BatchNormalization") continue;
    for (const int v : {node.input(3), node.input(4)})
      if (v >= 0 && graph.values[static_cast<std::size_t>(v)].is_constant()) result.insert(v);
  }
  return {result.begin(), result.end()};
}

}  // namespace

Average::Average(double decay, const std::vector<at::Tensor>& tensors) : decay_(decay) {
  for (const auto& t : tensors) mean_.push_back(t.detach().clone());
}

void Average::add(const std::vector<at::Tensor>& tensors, std::int64_t step) {
  const double decay =
      std::min(decay_, (1.0 + static_cast<double>(step)) / (10.0 + static_cast<double>(step)));
  for (std::size_t i = 0; i < tensors.size(); ++i) mean_[i].lerp_(tensors[i].detach(), 1 - decay);
}

Trainer::Trainer(const Graph& graph, const FinetuneOptions& options)
    : options_(options),
      graph_(graph),
      network_(graph),
      loss_(options),
      weights_(trainable_constants(graph)),
      statistics_(statistics(graph)) {
  for (int v : weights_) tensors_.push_back(network_.constant(v).detach().clone().set_requires_grad(true));
  trained_ = tensors_.size();
  for (int v : statistics_) tensors_.push_back(network_.constant(v).detach().clone());
  for (std::size_t i = 0; i < tensors_.size(); ++i) network_.set_constant(value(i), tensors_[i]);
  if (options.ema > 0) average_ = std::make_unique<Average>(options.ema, tensors_);
  torch::optim::AdamOptions adam(options.learning_rate);
  adam.weight_decay(options.weight_decay);
  optimizer_ = std::make_unique<torch::optim::Adam>(parameters(), adam);
}

std::vector<at::Tensor> Trainer::parameters() const {
  return {tensors_.begin(), tensors_.begin() + static_cast<std::ptrdiff_t>(trained_)};
}

double Trainer::step(const std::vector<Batch>& parts, double rate, std::int64_t number) {
  for (auto& group : optimizer_->param_groups())
    static_cast<torch::optim::AdamOptions&>(group.options()).lr(rate);
  optimizer_->zero_grad();
  double samples = 0;
  for (const auto& part : parts) samples += static_cast<double>(part.samples.size());
  double value = 0;
  for (const auto& part : parts) {
    const at::Tensor loss = loss_(network_, part) * (static_cast<double>(part.samples.size()) / samples);
    value += loss.item<double>();
    if (!std::isfinite(value))
      throw Diverged("the loss is no longer finite at step " + std::to_string(number) +
                     "; use a smaller learning rate (--lr)");
    loss.backward();
  }
  if (options_.clip > 0) torch::nn::utils::clip_grad_norm_(parameters(), options_.clip);
  optimizer_->step();
  if (average_) average_->add(tensors_, number);
  return value;
}

Graph Trainer::result() {
  Graph graph = graph_;
  const auto& from = average_ ? average_->tensors() : tensors_;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (i >= trained_ && !options_.train_batch_norm) break;
    auto& constant = graph.values[static_cast<std::size_t>(value(i))].constant;
    const at::Tensor trained = from[i].detach().clone().to(constant.scalar_type()).contiguous();
    if (!at::isfinite(trained).all().item<bool>())
      throw Diverged("the weights '" + graph.values[static_cast<std::size_t>(value(i))].name +
                     "' are no longer finite after training; use a smaller learning rate (--lr)");
    constant = trained;
  }
  return graph;
}

}  // namespace quboprune
