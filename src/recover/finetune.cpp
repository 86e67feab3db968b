#include "quboprune/finetune.h"

#include <torch/torch.h>

#include <chrono>
#include <cmath>
#include <future>
#include <set>

#include "quboprune/error.h"
#include "quboprune/random.h"

namespace quboprune {
namespace {

std::size_t at_index(int i) {
  return static_cast<std::size_t>(i);
}

/// Inputs of an operator that hold weights, and those that batch norm updates.
std::vector<std::size_t> weight_inputs(const std::string& op) {
  static const std::map<std::string, std::vector<std::size_t>> table = {{"Conv", {1, 2}},
                                                                        {"ConvTranspose", {1, 2}},
                                                                        {"Gemm", {0, 1, 2}},
                                                                        {"MatMul", {0, 1}},
                                                                        {"BatchNormalization", {1, 2}},
                                                                        {"InstanceNormalization", {1, 2}},
                                                                        {"LayerNormalization", {1, 2}},
                                                                        {"GroupNormalization", {1, 2}},
                                                                        {"PRelu", {1}},
                                                                        {"Add", {0, 1}}};
  const auto found = table.find(op);
  return found == table.end() ? std::vector<std::size_t>{} : found->second;
}

/// Running means and variances.
std::vector<int> statistics(const Graph& graph) {
  std::set<int> result;
  for (const auto& node : graph.nodes) {
    if (node.op == "BatchNormalization") result.insert({node.input(3), node.input(4)});
  }
  return {result.begin(), result.end()};
}

struct TrainingBatch {
  at::Tensor input, target;
};

TrainingBatch draw(const Dataset& data, const FinetuneOptions& options, std::uint64_t step) {
  // A generator of its own for each step: the same batches whether a run was interrupted or not.
  Rng rng(options.seed * 0x9E3779B97F4A7C15ULL + step);
  std::vector<at::Tensor> inputs;
  std::vector<at::Tensor> targets;
  for (int k = 0; k < options.batch; ++k) {
    Sample sample = data.random_crop(rng, options.crop, options.augment);
    inputs.push_back(std::move(sample.input));
    if (sample.target.defined()) targets.push_back(std::move(sample.target));
  }
  return {at::stack(inputs), targets.empty() ? at::Tensor() : at::stack(targets)};
}

/// Exponential averages of weights and statistics.
class Average {
 public:
  Average(double decay, const std::vector<at::Tensor>& tensors) : decay_(decay) {
    for (const auto& t : tensors) mean_.push_back(t.detach().clone());
  }
  /// Short runs would remember their start for too long: the decay grows with the steps.
  void add(const std::vector<at::Tensor>& tensors, std::int64_t step) {
    const double decay =
        std::min(decay_, (1.0 + static_cast<double>(step)) / (10.0 + static_cast<double>(step)));
    for (std::size_t i = 0; i < tensors.size(); ++i) mean_[i].lerp_(tensors[i].detach(), 1 - decay);
  }
  std::vector<at::Tensor>& tensors() { return mean_; }

 private:
  double decay_;
  std::vector<at::Tensor> mean_;
};

class Trainer {
 public:
  Trainer(const Graph& graph, const FinetuneOptions& options)
      : options_(options),
        graph_(graph),
        network_(graph),
        weights_(trainable_constants(graph)),
        statistics_(statistics(graph)) {
    for (int v : weights_) tensors_.push_back(network_.constant(v).detach().clone().set_requires_grad(true));
    trained_ = tensors_.size();
    for (int v : statistics_) tensors_.push_back(network_.constant(v).detach().clone());
    for (std::size_t i = 0; i < tensors_.size(); ++i) network_.set_constant(value(i), tensors_[i]);
    average_ = std::make_unique<Average>(options.ema, tensors_);
    torch::optim::AdamOptions adam(options.learning_rate);
    adam.weight_decay(options.weight_decay);
    optimizer_ = std::make_unique<torch::optim::Adam>(parameters(), adam);
    if (options.teacher) teacher_ = std::make_unique<Executor>(*options.teacher);
  }

  double step(const TrainingBatch& batch, double rate, std::int64_t number) {
    for (auto& group : optimizer_->param_groups())
      static_cast<torch::optim::AdamOptions&>(group.options()).lr(rate);
    optimizer_->zero_grad();
    RunOptions run;
    run.training = options_.train_batch_norm;
    const auto inputs = network_inputs(graph_, batch.input, options_.judge);
    const at::Tensor output = network_.run(inputs, run).front();
    const at::Tensor loss = loss_of(output, batch, inputs);
    const double value = loss.item<double>();
    if (!std::isfinite(value))
      throw InputError("the loss is no longer finite at step " + std::to_string(number) +
                       "; use a smaller learning rate (--lr)");
    loss.backward();
    if (options_.clip > 0) torch::nn::utils::clip_grad_norm_(parameters(), options_.clip);
    optimizer_->step();
    if (options_.ema > 0) average_->add(tensors_, number);
    return value;
  }

  Graph result() {
    Graph graph = graph_;
    const auto& from = options_.ema > 0 ? average_->tensors() : tensors_;
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (i >= trained_ && !options_.train_batch_norm) break;
      auto& constant = graph.values[at_index(value(i))].constant;
      constant = from[i].detach().clone().to(constant.scalar_type()).contiguous();
    }
    return graph;
  }

  void save(const std::filesystem::path& folder, std::int64_t step, double seconds) {
    torch::serialize::OutputArchive archive;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      archive.write("tensor" + std::to_string(i), tensors_[i].detach());
      archive.write("average" + std::to_string(i), average_->tensors()[i]);
    }
    archive.write("step", at::scalar_tensor(step, at::kLong));
    archive.write("seconds", at::scalar_tensor(seconds, at::kDouble));
    torch::serialize::OutputArchive adam;
    optimizer_->save(adam);
    archive.write("adam", adam);
    const auto beside = folder / "finetune.pt.part";
    archive.save_to(beside.string());
    std::filesystem::rename(beside, folder / "finetune.pt");
  }

  /// The step to go on from; 0 where there is no saved state.
  std::int64_t take_up(const std::filesystem::path& folder, double& seconds) {
    const auto path = folder / "finetune.pt";
    if (!std::filesystem::exists(path)) return 0;
    const torch::NoGradGuard no_grad;
    try {
      torch::serialize::InputArchive archive;
      archive.load_from(path.string());
      at::Tensor number;
      for (std::size_t i = 0; i < tensors_.size(); ++i) {
        at::Tensor tensor;
        archive.read("tensor" + std::to_string(i), tensor);
        tensors_[i].copy_(tensor);
        archive.read("average" + std::to_string(i), tensor);
        average_->tensors()[i].copy_(tensor);
      }
      torch::serialize::InputArchive adam;
      archive.read("adam", adam);
      optimizer_->load(adam);
      at::Tensor time;
      archive.read("seconds", time);
      seconds = time.item<double>();
      archive.read("step", number);
      return number.item<std::int64_t>();
    } catch (const c10::Error&) {
      throw InputError(
          path.string() +
          ": doesn't belong to this network, or is damaged; remove it or name another --work folder");
    }
  }

 private:
  int value(std::size_t i) const { return i < trained_ ? weights_[i] : statistics_[i - trained_]; }
  std::vector<at::Tensor> parameters() const {
    return {tensors_.begin(), tensors_.begin() + static_cast<std::ptrdiff_t>(trained_)};
  }

  at::Tensor loss_of(const at::Tensor& output, const TrainingBatch& batch,
                     const std::vector<at::Tensor>& inputs) const {
    at::Tensor loss;
    if (batch.target.defined()) loss = sample_losses(options_.loss, output, batch.target).mean();
    if (teacher_) {
      at::Tensor reference;
      {
        const torch::NoGradGuard no_grad;
        reference = teacher_->run(inputs).front();
      }
      const Loss kind = options_.loss == Loss::l1 ? Loss::l1 : Loss::mse;
      const at::Tensor second = sample_losses(kind, output, reference).mean();
      loss =
          loss.defined() ? loss * (1 - options_.teacher_weight) + second * options_.teacher_weight : second;
    }
    if (!loss.defined())
      throw InputError(
          "the data has no targets: name a --teacher network to follow, or give data with targets");
    return loss;
  }

  const FinetuneOptions& options_;
  const Graph& graph_;
  Executor network_;
  std::vector<int> weights_, statistics_;
  std::vector<at::Tensor> tensors_;  // weights, then statistics
  std::size_t trained_ = 0;
  std::unique_ptr<Average> average_;
  std::unique_ptr<torch::optim::Adam> optimizer_;
  std::unique_ptr<Executor> teacher_;
};

double rate_at(double progress, double highest) {
  constexpr double kWarmUp = 0.02;
  constexpr double kLowest = 0.01;
  if (progress < kWarmUp) return highest * std::max(0.05, progress / kWarmUp);
  const double t = (progress - kWarmUp) / (1 - kWarmUp);
  return highest * (kLowest + (1 - kLowest) * 0.5 * (1 + std::cos(M_PI * std::min(1.0, t))));
}

void check_options(const FinetuneOptions& o) {
  if (o.steps < 1 || o.batch < 1 || o.crop < 0 || !(o.learning_rate > 0) || o.ema < 0 || o.ema >= 1) {
    throw InputError(
        "finetune: steps and batch must be at least 1, the learning rate above 0, ema in [0, 1)");
  }
  if (!o.work.empty()) std::filesystem::create_directories(o.work);
}

}  // namespace

std::vector<int> trainable_constants(const Graph& graph) {
  std::set<int> result;
  for (const auto& node : graph.nodes) {
    for (std::size_t k : weight_inputs(node.op)) {
      const int v = node.input(k);
      if (v < 0) continue;
      const at::Tensor& constant = graph.values[at_index(v)].constant;
      // A single number added is arithmetic of the exporter's, not a bias.
      if (constant.defined() && at::isFloatingType(constant.scalar_type()) &&
          (node.op != "Add" || constant.numel() > 1))
        result.insert(v);
    }
  }
  return {result.begin(), result.end()};
}

FinetuneResult finetune(const Graph& graph, const Dataset& data, const FinetuneOptions& options,
                        const Control& control) {
  check_options(options);
  Trainer trainer(graph, options);
  FinetuneResult result;
  double before = 0;  // seconds of earlier runs of the same work folder
  std::int64_t step = options.work.empty() ? 0 : trainer.take_up(options.work, before);
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return before + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  double saved = elapsed();
  double sum = 0;
  std::int64_t counted = 0;
  auto next = std::async(std::launch::async, draw, std::cref(data), std::cref(options),
                         static_cast<std::uint64_t>(step));
  const auto progress = [&] {
    const double by_steps = static_cast<double>(step) / static_cast<double>(options.steps);
    return options.time_limit > 0 ? std::max(by_steps, elapsed() / options.time_limit) : by_steps;
  };
  while (progress() < 1 && !control.stopped()) {
    const TrainingBatch batch = next.get();
    next = std::async(std::launch::async, draw, std::cref(data), std::cref(options),
                      static_cast<std::uint64_t>(step + 1));
    sum += trainer.step(batch, rate_at(progress(), options.learning_rate), step);
    ++counted;
    ++step;
    if (counted == 100) {
      result.history.push_back({step, sum / static_cast<double>(counted)});
      sum = 0;
      counted = 0;
    }
    control.report("finetune", progress(), 1, result.history.empty() ? NAN : result.history.back().loss);
    if (!options.work.empty() && elapsed() - saved > 60) {
      trainer.save(options.work, step, elapsed());
      saved = elapsed();
    }
  }
  next.wait();
  if (!options.work.empty()) trainer.save(options.work, step, elapsed());
  if (counted > 0) result.history.push_back({step, sum / static_cast<double>(counted)});
  result.reason = control.stopped() ? "stopped" : step >= options.steps ? "steps" : "time limit";
  result.graph = trainer.result();
  result.steps = step;
  result.seconds = elapsed();
  return result;
}

}  // namespace quboprune
