// How many masks a second does the evaluator judge, beside plain runs of the masked network?
//
//   bench_evaluator [NETWORK] [DATA] [MASKS] [WAY]
//
// NETWORK: an ONNX denoiser (default: the environment's QUBOPRUNE_NETWORK; without either it says so and
// ends). DATA: a source with pairs, as the program takes it (default or "drawn": smooth images, noise drawn
// on them). WAY: only the ways in whose names it is. 32 crops of 128x128, 36 % of the groups removed,
// LibTorch on OMP_NUM_THREADS threads.
//
// First the masks that `--refine tt+local` asks for are recorded, batch by batch, from greedy Taylor's mask
// on. Then parts of the same sequence are judged again, each way in turn: the dense network with every gate
// multiplied by the mask (plain); cut networks one by one; with shared activations; with the race; each with
// refit too. Seconds are of processor time over all threads, in one process, one way after another.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "quboprune/batches.h"
#include "quboprune/dataset.h"
#include "quboprune/executor.h"
#include "quboprune/file.h"
#include "quboprune/formulation.h"
#include "quboprune/mask_evaluator.h"
#include "quboprune/memory.h"
#include "quboprune/model.h"
#include "quboprune/random.h"
#include "quboprune/scores.h"
#include "quboprune/surgery.h"
#include "quboprune/target.h"

namespace {

using namespace quboprune;
using Batches = std::vector<std::vector<Mask>>;

/// Of processor time: on a machine that does other things too, time on the clock says nothing.
double seconds_since(std::clock_t t) {
  return static_cast<double>(std::clock() - t) / CLOCKS_PER_SEC;
}

std::vector<Sample> drawn_samples(int count) {
  std::vector<Sample> samples;
  Rng rng(1);
  const auto uniform = [&](std::vector<std::int64_t> shape) {
    at::Tensor result = at::empty(shape, at::kFloat);
    auto* values = static_cast<float*>(result.data_ptr());
    for (std::int64_t i = 0; i < result.numel(); ++i) values[i] = static_cast<float>(rng.uniform());
    return result;
  };
  for (int i = 0; i < count; ++i) {
    const at::Tensor clean = at::upsample_bilinear2d(uniform({1, 3, 12, 12}), {128, 128}, true).squeeze(0);
    const at::Tensor noise = 0.35 * (uniform({3, 128, 128}) - 0.5);
    samples.push_back({(clean + noise).clamp(0, 1), clean, std::to_string(i), std::to_string(i)});
  }
  return samples;
}

std::vector<Sample> samples_of(const std::string& source) {
  constexpr int count = 32;
  if (source == "drawn") return drawn_samples(count);
  DataOptions options;
  options.limit = count;
  return open_dataset(source, options)->samples(Part::calibration);
}

/// Greedy Taylor's mask and all that a search is told, as choose_mask() does it.
struct Start {
  Mask mask;
  SearchOptions search;
};

Start start_of(const ChannelGroups& groups, std::span<const Sample> samples, const Judge& judge) {
  ScoreOptions scoring;
  scoring.probes = 0;
  scoring.similarity = scoring.weight_gradients = false;
  const Scores scores = score(groups, samples, judge, scoring);
  const Target target{Cost::filters, 0.36};
  const Formulation formulation =
      formulate("taylor", groups, scores, {}, static_cast<int>(allowance(groups, target)));
  Start start;
  start.mask = solve_at_target(formulation, groups, target, {.seconds = 1}).pool.front().x;
  start.search.prior = formulation.importance;
  start.search.fixed = guard_layers(groups, formulation.importance);
  for (std::size_t g = 0; g < start.mask.size(); ++g) {
    if (start.search.fixed[g] == 1 && start.mask[g] == 0) start.search.fixed[g] = -1;
    start.search.blocks.push_back(groups.layer_of(static_cast<int>(g)) + 1);
  }
  return start;
}

Batches record(const MaskEvaluator& evaluator, const Start& start, int count) {
  Batches batches;
  const MaskObjective inner = evaluator.objective();
  const MaskObjective objective = [&](std::span<const Mask> masks) {
    batches.emplace_back(masks.begin(), masks.end());
    return inner(masks);
  };
  SearchOptions search = start.search;
  search.evaluations = count;
  MaskConstraint constraint;
  constraint.kind = MaskConstraint::Kind::exactly;
  constraint.count = kept_count(start.mask);
  const SearchResult result =
      search_masks(objective, static_cast<int>(start.mask.size()), constraint, {&start.mask, 1}, search);
  std::printf("search: best %.4f after %lld masks\n", evaluator.metric(result.value),
              static_cast<long long>(result.evaluations));
  return batches;
}

/// About `count` masks, in whole batches from the front.
Batches first_of(const Batches& batches, std::size_t count) {
  Batches result;
  std::size_t masks = 0;
  for (const auto& batch : batches) {
    if (masks >= count) break;
    masks += batch.size();
    result.push_back(batch);
  }
  return result;
}

double plain_value(const ChannelGroups& groups, const Executor& dense, const Mask& mask,
                   std::span<const Sample> samples, const Judge& judge) {
  const at::NoGradGuard no_grad;
  const RunOptions run = masked_run(groups, mask);
  double sum = 0;
  for (const Batch& batch : batches(samples)) {
    const at::Tensor out = dense.run({batch.input}, run).front();
    for (std::size_t k = 0; k < batch.samples.size(); ++k) {
      const auto& sample = samples[static_cast<std::size_t>(batch.samples[k])];
      sum += evaluate(judge, out[static_cast<std::int64_t>(k)], sample.target);
    }
  }
  return -sum / static_cast<double>(samples.size());
}

double show(const char* name, double seconds, std::size_t masks, double plain, std::int64_t memory) {
  const double each = seconds / static_cast<double>(masks);
  std::printf("%-28s %4zu masks %8.3f s each %8.2f masks/s %6.2f x plain, peak memory +%.2f GB\n", name,
              masks, each, 1 / each, plain > 0 ? plain / each : 1.0, static_cast<double>(memory) / 1e9);
  std::fflush(stdout);
  return each;
}

struct Way {
  const char* name;
  EvaluatorOptions options;
  std::size_t masks;
};

void replay(const ChannelGroups& groups, const std::vector<Sample>& samples, const Judge& judge,
            const Batches& recorded, const Way& way, double plain) {
  const MaskEvaluator evaluator(groups, samples, judge, way.options);
  const std::int64_t before = peak_rss_bytes();
  const MaskObjective objective = evaluator.objective();
  const Batches part = first_of(recorded, way.masks);
  std::size_t masks = 0;
  const auto start = std::clock();
  for (const auto& batch : part) masks += objective(batch).size();
  show(way.name, seconds_since(start), masks, plain, peak_rss_bytes() - before);
}

int measure(const std::string& network, const std::string& source, int count, const std::string& only) {
  const Model model = Model::load(network);
  const ChannelGroups groups = analyse(model.graph());
  const std::vector<Sample> samples = samples_of(source);
  const Judge judge;
  std::printf("%d groups, %zu samples of %s\n", groups.size(), samples.size(), source.c_str());
  const Start start = start_of(groups, samples, judge);
  Batches recorded;
  {
    const MaskEvaluator unraced(groups, samples, judge, {.race = 0});  // so that a race changes no mask
    recorded = record(unraced, start, count);
  }
  const Executor dense(model.graph());
  const std::int64_t before = peak_rss_bytes();
  std::vector<Mask> some{start.mask};
  for (const auto& batch : recorded) some.push_back(batch.back());
  some.resize(std::min<std::size_t>(some.size(), 4));
  const auto begin = std::clock();
  std::vector<double> plain_values;
  for (const auto& mask : some) plain_values.push_back(plain_value(groups, dense, mask, samples, judge));
  const double plain = show("plain", seconds_since(begin), some.size(), 0, peak_rss_bytes() - before);
  const auto values = MaskEvaluator(groups, samples, judge)(some);
  double difference = 0;
  for (std::size_t m = 0; m < some.size(); ++m)
    difference = std::max(difference, std::abs(values[m] - plain_values[m]));
  std::printf("largest difference of a value from plain: %.2g dB\n", difference);
  const auto all = static_cast<std::size_t>(count);
  for (const Way& way :
       {Way{"cut", {.shared_bytes = 0, .race = 0}, all / 4},
        Way{"cut, 1 sample at once", {.shared_bytes = 0, .race = 0, .at_once = 1}, all / 4},
        Way{"cut, race", {.shared_bytes = 0}, all}, Way{"cut, shared", {.race = 0}, all / 2},
        Way{"cut, shared, race", {}, all}, Way{"cut, shared, race, no Winograd", {.fast_bytes = 0}, all},
        Way{"cut, shared, race, 2 at once", {.at_once = 2}, all},
        Way{"cut, shared, refit", {.refit = true, .race = 0}, all / 2},
        Way{"cut, shared, race, refit", {.refit = true}, all}})
    if (std::string(way.name).find(only) != std::string::npos)
      replay(groups, samples, judge, recorded, way, plain);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const char* from_environment = std::getenv("QUBOPRUNE_NETWORK");
  const std::string network = argc > 1 ? argv[1] : from_environment != nullptr ? from_environment : "";
  if (network.empty() || !std::filesystem::exists(network)) {
    std::printf("skipped: no network; give an ONNX file, or set QUBOPRUNE_NETWORK\n");
    return 0;
  }
  keep_freed_memory();  // as the program does
  return measure(network, argc > 2 ? argv[2] : "drawn", argc > 3 ? std::atoi(argv[3]) : 100,
                 argc > 4 ? argv[4] : "");
}
