// What does a scoring pass cost beside a plain forward and backward pass over the same data?
//
//   bench_scoring [NETWORK] [ROUNDS]
//
// NETWORK: an image-to-image ONNX network of 3 channels (default: the environment's QUBOPRUNE_NETWORK;
// without either it says so and ends). 64 crops of 96x96 with targets, 8 at once, LibTorch on OMP_NUM_THREADS
// threads. Plain: the network in channels_last, mean squared error, gradients of all weights, as a training
// step has them. Scores: as `prune` asks for them, and parts of that. Seconds of processor time, each in
// turn, ratios round by round, then their median and quartiles.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "quboprune/dataset.h"
#include "quboprune/executor.h"
#include "quboprune/memory.h"
#include "quboprune/model.h"
#include "quboprune/scores.h"

namespace {

using namespace quboprune;

constexpr int kCrops = 64;
constexpr int kAtOnce = 8;

std::vector<Sample> crops() {
  std::vector<Sample> samples;
  for (int i = 0; i < kCrops; ++i) {
    const at::Tensor clean = at::rand({3, 96, 96});
    const at::Tensor noisy = (clean + at::randn({3, 96, 96}) * 0.1).clamp(0, 1);
    samples.push_back({noisy, clean, std::to_string(i), std::to_string(i)});
  }
  return samples;
}

void plain(const Executor& network, const std::vector<at::Tensor>& weights,
           const std::vector<Sample>& samples) {
  const at::AutoGradMode with_gradients(true);
  for (std::size_t first = 0; first < samples.size(); first += kAtOnce) {
    std::vector<at::Tensor> inputs;
    std::vector<at::Tensor> targets;
    for (std::size_t s = first; s < first + kAtOnce; ++s) {
      inputs.push_back(samples[s].input);
      targets.push_back(samples[s].target);
    }
    const at::Tensor loss = at::mse_loss(network(at::stack(inputs)), at::stack(targets));
    torch::autograd::grad({loss}, weights, {}, false, false, /*allow_unused=*/true);
  }
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::clock();
  work();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

struct Way {
  const char* name;
  ScoreOptions options;
};

int measure(const std::string& path, int rounds) {
  const Model model = Model::load(path);
  const ChannelGroups groups = analyse(model.graph());
  Executor network(model.graph());
  std::vector<at::Tensor> weights;
  for (std::size_t v = 0; v < model.graph().values.size(); ++v) {
    const auto& value = model.graph().values[v];
    if (!value.is_constant() || value.constant.dim() < 2) continue;
    const at::Tensor leaf = network.constant(static_cast<int>(v)).detach().clone().set_requires_grad(true);
    network.set_constant(static_cast<int>(v), leaf);
    weights.push_back(leaf);
  }
  const std::vector<Sample> samples = crops();
  const Judge judge;
  const std::vector<Way> ways{{"as prune asks for them", {}},
                              {"without similarity", {.similarity = false}},
                              {"without probes", {.probes = 0}},
                              {"Taylor and Fisher alone", {.probes = 0, .similarity = false}}};
  std::vector<std::vector<double>> ratios(ways.size());
  std::printf("%d groups, %d crops of 96x96, %d rounds\n", groups.size(), kCrops, rounds);
  double least = 0;
  for (int round = 0; round <= rounds; ++round) {  // the first warms up
    const double base = seconds_of([&] { plain(network, weights, samples); });
    least = round == 0 ? base : std::min(least, base);
    for (std::size_t k = 0; k < ways.size(); ++k) {
      const double ours = seconds_of([&] { score(groups, samples, judge, ways[k].options); });
      if (round > 0) ratios[k].push_back(ours / base);
    }
  }
  std::printf("plain forward and backward pass: %.2f s at least\n", least);
  for (std::size_t k = 0; k < ways.size(); ++k) {
    auto& r = ratios[k];
    std::sort(r.begin(), r.end());
    std::printf("%-26s %.2f x plain [%.2f, %.2f]\n", ways[k].name, r[r.size() / 2], r[r.size() / 4],
                r[r.size() * 3 / 4]);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const char* from_environment = std::getenv("QUBOPRUNE_NETWORK");
  const std::string network = argc > 1 ? argv[1] : from_environment != nullptr ? from_environment : "";
  if (network.empty()) {
    std::printf("skipped: no network; give an ONNX file, or set QUBOPRUNE_NETWORK\n");
    return 0;
  }
  keep_freed_memory();  // as the program does
  return measure(network, argc > 2 ? std::max(1, std::atoi(argv[2])) : 5);
}
