// What does a training step of ours cost beside the same step in plain LibTorch?
//
//   bench_finetune [NETWORK] [STEPS]
//
// NETWORK: the Half-UNet of examples/ (default: the environment's QUBOPRUNE_NETWORK; without either it says
// so and ends). The same network is built of torch::nn modules with the file's weights, and must give the
// same outputs. Both are trained on the same batches of 8 crops of 96x96 with L1, Adam, a clipped gradient
// and averaged weights: a step of ours, a step of theirs in either memory layout, and again. LibTorch on
// OMP_NUM_THREADS threads (default 1); seconds of processor time, ratios step by step, then their median and
// quartiles.
#include <fmt/core.h>
#include <torch/torch.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <map>
#include <vector>

#include "quboprune/batches.h"
#include "quboprune/executor.h"
#include "quboprune/model.h"
#include "recover/trainer.h"

namespace {

using namespace quboprune;
using Constants = std::map<std::string, at::Tensor>;

Constants constants_of(const Graph& graph) {
  Constants result;
  for (const auto& value : graph.values) {
    if (value.is_constant()) result[value.name] = value.constant.tensor();
  }
  return result;
}

/// A 3x3 convolution, batch norm, ReLU.
struct BlockImpl : torch::nn::Module {
  BlockImpl(const Constants& c, const std::string& name)
      : conv(torch::nn::Conv2dOptions(c.at(name + ".weight").size(1), c.at(name + ".weight").size(0), 3)
                 .padding(1)
                 .bias(false)),
        norm(c.at(name + ".bn.scale").size(0)) {
    register_module("conv", conv);
    register_module("norm", norm);
    const torch::NoGradGuard no_grad;
    conv->weight.copy_(c.at(name + ".weight"));
    norm->weight.copy_(c.at(name + ".bn.scale"));
    norm->bias.copy_(c.at(name + ".bn.bias"));
    norm->running_mean.copy_(c.at(name + ".bn.mean"));
    norm->running_var.copy_(c.at(name + ".bn.var"));
  }
  at::Tensor forward(const at::Tensor& x) { return torch::relu(norm(conv(x))); }
  torch::nn::Conv2d conv;
  torch::nn::BatchNorm2d norm;
};
TORCH_MODULE(Block);

struct HalfUnetImpl : torch::nn::Module {
  explicit HalfUnetImpl(const Constants& c)
      : head(torch::nn::Conv2dOptions(c.at("head.weight").size(1), 3, 1)) {
    for (int level = 1; level <= 6; ++level) {
      for (int k = 1; k <= 2; ++k)
        blocks->push_back(Block(c, "level" + std::to_string(level) + "." + std::to_string(k)));
    }
    register_module("blocks", blocks);
    register_module("head", head);
    const torch::NoGradGuard no_grad;
    head->weight.copy_(c.at("head.weight"));
    head->bias.copy_(c.at("head.bias"));
  }
  at::Tensor forward(const at::Tensor& noisy) {
    const auto run = [&](std::size_t first, const at::Tensor& x) {
      return blocks[first + 1]->as<Block>()->forward(blocks[first]->as<Block>()->forward(x));
    };
    at::Tensor x = run(0, noisy);
    at::Tensor total = x;
    for (std::size_t level = 1; level < 5; ++level) {
      x = run(2 * level, torch::max_pool2d(x, 2));
      total = total + at::upsample_bilinear2d(x, {noisy.size(2), noisy.size(3)}, false);
    }
    return noisy - head(run(10, total));
  }
  torch::nn::ModuleList blocks;
  torch::nn::Conv2d head;
};
TORCH_MODULE(HalfUnet);

/// The loop as one writes it without us.
class PlainTraining {
 public:
  PlainTraining(const Constants& constants, bool channels_last, const FinetuneOptions& options)
      : options_(options),
        format_(channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous),
        network_(constants) {
    network_->train(options.train_batch_norm);
    for (auto& p : network_->parameters()) {
      if (p.dim() == 4) p.set_data(p.contiguous(format_));
    }
    for (const auto& p : network_->parameters()) average_.push_back(p.detach().clone());
    adam_ = std::make_unique<torch::optim::Adam>(network_->parameters(),
                                                 torch::optim::AdamOptions(options.learning_rate));
    if (!options.teacher) return;
    teacher_ = HalfUnet(constants);
    teacher_->eval();
  }

  at::Tensor output(const at::Tensor& input) { return network_(input.contiguous(format_)); }

  double step(const at::Tensor& input, const at::Tensor& target) {
    adam_->zero_grad();
    const at::Tensor x = input.contiguous(format_);
    at::Tensor loss;
    if (teacher_) {
      at::Tensor reference;
      {
        const torch::NoGradGuard no_grad;
        reference = teacher_(x);
      }
      const at::Tensor output = network_(x);
      loss = 0.5 * torch::l1_loss(output, target) + 0.5 * torch::l1_loss(output, reference);
    } else {
      loss = torch::l1_loss(network_(x), target);
    }
    const double value = loss.item<double>();
    loss.backward();
    torch::nn::utils::clip_grad_norm_(network_->parameters(), options_.clip);
    adam_->step();
    const torch::NoGradGuard no_grad;
    const auto parameters = network_->parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i) average_[i].lerp_(parameters[i], 1 - options_.ema);
    return value;
  }

 private:
  const FinetuneOptions& options_;
  at::MemoryFormat format_;
  HalfUnet network_, teacher_{nullptr};
  std::vector<at::Tensor> average_;
  std::unique_ptr<torch::optim::Adam> adam_;
};

template <typename F>
double seconds(F&& f) {
  const std::clock_t start = std::clock();
  f();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

std::string spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double q) {
    return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
  };
  return fmt::format("{:.3f} [{:.3f}, {:.3f}]", at(0.5), at(0.25), at(0.75));
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

void compare(const std::string& name, const Graph& graph, const FinetuneOptions& options, int steps) {
  const Constants constants = constants_of(graph);
  Trainer ours(graph, options);
  PlainTraining plain(constants, false, options), last(constants, true, options);
  std::vector<double> own, to_plain, to_last;
  for (int k = -2; k < steps; ++k) {  // the first two steps warm up
    Batch batch;
    for (int s = 0; s < options.batch; ++s) batch.samples.push_back(s);
    batch.input = torch::rand({options.batch, 3, options.crop, options.crop});
    batch.target = torch::rand_like(batch.input);
    const double a = seconds([&] { ours.step({batch}, options.learning_rate, 1000000); });
    const double b = seconds([&] { plain.step(batch.input, batch.target); });
    const double c = seconds([&] { last.step(batch.input, batch.target); });
    if (k < 0) continue;
    own.push_back(a);
    to_plain.push_back(a / b);
    to_last.push_back(a / c);
  }
  fmt::print("| {} | {:.3f} | {} | {} |\n", name, median(own), spread(to_plain), spread(to_last));
  std::fflush(stdout);
}

void check_same(const Graph& graph) {
  const torch::NoGradGuard no_grad;
  const at::Tensor x = torch::rand({1, 3, 96, 96});
  HalfUnet plain(constants_of(graph));
  plain->eval();
  const double difference = (Executor(graph)(x) - plain(x)).abs().max().item<double>();
  fmt::print("largest difference of the two networks' outputs: {:.2g}\n\n", difference);
  if (!(difference < 1e-4)) throw std::runtime_error("not the same network: give examples/half_unet.onnx");
}

}  // namespace

int main(int count, char** words) {
  const char* named = std::getenv("QUBOPRUNE_NETWORK");
  const std::string path = count > 1 ? words[1] : named ? named : "";
  if (path.empty()) {
    fmt::print("give examples/half_unet.onnx, or name it in QUBOPRUNE_NETWORK\n");
    return 0;
  }
  try {
    const char* threads = std::getenv("OMP_NUM_THREADS");
    set_threads(threads ? std::atoi(threads) : 1);
    torch::manual_seed(1);
    const Graph graph = Model::load(path).graph();
    check_same(graph);
    const int steps = count > 2 ? std::atoi(words[2]) : 15;
    fmt::print("| step | ours (s) | ours / plain | ours / plain, channels_last |\n|---|---|---|---|\n");
    FinetuneOptions options;
    compare("batch norm frozen", graph, options, steps);
    options.train_batch_norm = true;
    compare("batch norm trained", graph, options, steps);
    options.train_batch_norm = false;
    options.teacher = &graph;
    compare("with a teacher's outputs", graph, options, steps);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
  return 0;
}
