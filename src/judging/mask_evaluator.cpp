#include "quboprune/mask_evaluator.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <mutex>
#include <numeric>
#include <optional>
#include <utility>

#include "core/shuffle.h"
#include "coupling/analysis.h"
#include "judging/blocked_chains.h"
#include "judging/folded_norms.h"
#include "judging/mask_evaluator_race.h"
#include "judging/mask_evaluator_runs.h"
#include "ops/base/blocked_kernels.h"
#include "quboprune/batches.h"
#include "quboprune/error.h"
#include "quboprune/evaluation.h"
#include "quboprune/metrics.h"
#include "quboprune/random.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// At most this part of shared_bytes goes into the weights of networks that wait for their turn.
constexpr std::size_t kWeightsPart = 4;

/// In every so manyth race the first mask that would be given up sees all samples after all, so that a model
/// of differences that errs comes to know it.
constexpr int kAudit = 3;

std::vector<std::size_t> shuffled(std::size_t count, std::uint64_t seed) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Rng rng(seed);
  shuffle(order, rng);
  return order;
}

std::size_t bytes_of_constants(const Graph& graph) {
  std::size_t bytes = 0;
  for (const auto& value : graph.values) {
    if (value.is_constant()) bytes += value.constant.nbytes();
  }
  return bytes;
}

/// A mask's way through the samples.
struct Runner {
  std::size_t place;  ///< among the masks asked for
  KeyedNetwork network;
  std::vector<double> values;  ///< the metric by sample, those not run 0
  Contender contender{};
  bool given_up = false;
};

/// A value above the leader's by the expected difference, and by something at least.
double above(double leader, const Contender& contender) {
  return std::max(leader + contender.mean(), std::nextafter(leader, kInfinity));
}

}  // namespace

/// The best mask of the calls so far, which the next ones race against.
struct MaskEvaluator::Leader {
  explicit Leader(std::size_t count) : model(count) {}

  /// From masks that raced against `leader`, which is this one as it was before.
  void learn(const std::vector<Runner>& runners, const Leader& leader, double sign) {
    learn_variance(runners);
    for (const Runner& runner : runners) {
      if (runner.given_up) continue;
      std::vector<double> differences;
      for (std::size_t s = 0; s < runner.values.size(); ++s)
        differences.push_back(sign * (runner.values[s] - leader.samples[s]));
      model.learn(differences);
      for (const auto& expected : runner.contender.expected) model.compare(expected, mean(differences));
    }
    ++races;
  }
  /// Mean of the last call's masks' variances; nothing to go by: 0.
  void learn_variance(const std::vector<Runner>& runners) {
    double sum = 0;
    int count = 0;
    for (const Runner& runner : runners) {
      if (runner.contender.differences.size() < 2) continue;
      const double of_this = variance_of(runner.contender.differences);
      if (!std::isfinite(of_this)) continue;
      sum += of_this;
      ++count;
    }
    if (count > 0) variance = sum / count;
  }

  double value = kInfinity;
  std::vector<double> samples{};
  double variance = 0;  ///< of the differences from the leader
  DifferenceModel model;
  int races = 0;
};

struct MaskEvaluator::Work {
  Work(const Graph& original, const std::vector<Sample>& samples, const EvaluatorOptions& options);

  std::vector<Runner> line_up(const MaskEvaluator& evaluator, std::span<const Mask> masks,
                              std::span<const std::size_t> places) const;
  /// Runs the masks that empty no layer, as many at once as there is room for, and hands each part on.
  void run_parts(const MaskEvaluator& evaluator, std::span<const Mask> masks, const Leader* leader,
                 const std::function<void(std::vector<Runner>&)>& use);
  /// All samples, or as many as each runner's race against the leader lasts (nullptr: no race).
  void run(const MaskEvaluator& evaluator, std::vector<Runner>& runners, const Leader* leader);
  void run_batch(const MaskEvaluator& evaluator, std::size_t b, std::span<Runner* const> running);
  std::vector<std::size_t> samples_of(std::size_t b) const;
  /// The batches in the order in which they are run: those that tell most first, as far as that is known.
  std::vector<std::size_t> order_of_batches(const Leader* leader) const;

  std::mutex mutex;
  std::vector<std::size_t> order;  ///< sample numbers, as run
  std::vector<Batch> batches;      ///< of samples in that order
  NetworkKeys keys;
  SharedRuns runs;
  std::size_t together = 1;  ///< masks whose weights fit
};

MaskEvaluator::Work::Work(const Graph& original, const std::vector<Sample>& samples,
                          const EvaluatorOptions& options)
    : order(shuffled(samples.size(), options.seed)),
      keys(original),
      runs(options.shared_bytes, options.fast_bytes) {
  std::vector<Sample> in_order;
  for (std::size_t s : order) in_order.push_back(samples[s]);
  batches = quboprune::batches(in_order, one_at_a_time(original) ? 1 : options.at_once);
  const std::size_t bytes = std::max<std::size_t>(1, 2 * bytes_of_constants(original));
  together = std::max<std::size_t>(1, options.shared_bytes / kWeightsPart / bytes);
}

std::vector<Runner> MaskEvaluator::Work::line_up(const MaskEvaluator& evaluator, std::span<const Mask> masks,
                                                 std::span<const std::size_t> places) const {
  std::vector<Runner> runners;
  for (std::size_t place : places) {
    runners.push_back({place, keys.of(evaluator.fast_form(masks[place])),
                       std::vector<double>(evaluator.samples().size(), 0)});
  }
  // Neighbours then share the most, and little has to be kept for those further on.
  std::stable_sort(runners.begin(), runners.end(),
                   [](const Runner& a, const Runner& b) { return a.network.keys < b.network.keys; });
  return runners;
}

void MaskEvaluator::Work::run_batch(const MaskEvaluator& evaluator, std::size_t b,
                                    std::span<Runner* const> running) {
  const Batch& batch = batches[b];
  std::vector<const KeyedNetwork*> networks;
  for (const Runner* runner : running) networks.push_back(&runner->network);
  runs.expect(networks, static_cast<int>(b));
  for (Runner* runner : running) {
    const auto inputs = network_inputs(runner->network.executor.graph(), batch, evaluator.judge());
    const at::Tensor outputs = runs.output(runner->network, inputs, static_cast<int>(b));
    for (std::size_t k = 0; k < batch.samples.size(); ++k) {
      const std::size_t s = order[static_cast<std::size_t>(batch.samples[k])];
      const Judge& judge = evaluator.judge();
      runner->values[s] =
          quboprune::evaluate(judge, output_of(outputs, k, batch.samples.size()),
                              target_of(evaluator.samples()[s], s, judge, evaluator.judged_.references()));
    }
  }
  runs.finish(static_cast<int>(b));
}

void MaskEvaluator::Work::run_parts(const MaskEvaluator& evaluator, std::span<const Mask> masks,
                                    const Leader* leader,
                                    const std::function<void(std::vector<Runner>&)>& use) {
  std::vector<std::size_t> usable;
  for (std::size_t m = 0; m < masks.size(); ++m) {
    if (!evaluator.groups_.empties_an_axis(masks[m])) usable.push_back(m);
  }
  const std::lock_guard lock(mutex);
  const at::NoGradGuard no_grad;
  for (std::size_t first = 0; first < usable.size(); first += together) {
    const std::size_t count = std::min(together, usable.size() - first);
    auto runners = line_up(evaluator, masks, std::span(usable).subspan(first, count));
    run(evaluator, runners, leader);
    use(runners);
    runs.release_kernels();
  }
}

void MaskEvaluator::Work::run(const MaskEvaluator& evaluator, std::vector<Runner>& runners,
                              const Leader* leader) {
  const RaceRule rule{.samples = static_cast<int>(order.size()),
                      .looks = std::max(1, static_cast<int>(batches.size()) - 1),
                      .error = evaluator.options_.race,
                      .range = evaluator.judge().metric == Metric::top1 ? 2.0 : 0.0,
                      .prior_variance = leader != nullptr ? leader->variance : 0};
  std::vector<Runner*> running;
  for (Runner& runner : runners) running.push_back(&runner);
  auto race = leader != nullptr ? std::optional<Race>({rule, leader->model}) : std::nullopt;
  const auto turns = order_of_batches(rule.range > 0 ? nullptr : leader);
  runs.take_turns(turns);
  bool audits = leader != nullptr && leader->races % kAudit == 0;
  const Runner* audited = nullptr;
  for (std::size_t b : turns) {
    if (running.empty()) break;
    run_batch(evaluator, b, running);
    if (!race) continue;
    const auto samples = samples_of(b);
    race->see(samples);
    std::erase_if(running, [&](Runner* runner) {
      for (std::size_t s : samples)
        runner->contender.differences.push_back(evaluator.sign() * (runner->values[s] - leader->samples[s]));
      const bool gives_up = race->gives_up(runner->contender);
      if (gives_up && std::exchange(audits, false)) audited = runner;
      runner->given_up = gives_up && runner != audited;
      return runner->given_up;
    });
  }
}

std::vector<std::size_t> MaskEvaluator::Work::samples_of(std::size_t b) const {
  std::vector<std::size_t> samples;
  for (int k : batches[b].samples) samples.push_back(order[static_cast<std::size_t>(k)]);
  return samples;
}

std::vector<std::size_t> MaskEvaluator::Work::order_of_batches(const Leader* leader) const {
  std::vector<std::size_t> result(batches.size());
  std::iota(result.begin(), result.end(), std::size_t{0});
  if (leader == nullptr || !leader->model.ready()) return result;
  std::vector<std::vector<std::size_t>> samples;
  for (std::size_t b : result) samples.push_back(samples_of(b));
  return leader->model.order(samples);
}

MaskEvaluator::MaskEvaluator(const ChannelGroups& groups, std::vector<Sample> samples, const Judge& judge,
                             const EvaluatorOptions& options, const Control& control)
    : groups_(groups),
      judged_(groups.analysis().graph, std::move(samples), judge, control),
      options_(options) {
  if (!(options.race >= 0 && options.race < 0.5))
    throw InputError("evaluator: the race's error must be at least 0 and below 0.5");
  if (options.refit && !(options.ridge > 0)) throw InputError("evaluator: the refit's ridge must be above 0");
  if (options.at_once < 1) throw InputError("evaluator: at least one sample must run at once");
  if (options_.refit && !options_.grams)
    options_.grams =
        std::make_shared<GramCache>(groups, this->samples(), judge, options.memory_limit, control);
  if (!this->samples().empty())
    work_ = std::make_shared<Work>(groups.analysis().graph, this->samples(), options);
}

Graph MaskEvaluator::cut(const Mask& mask) const {
  Graph graph = slice(groups_, mask);
  if (options_.refit) options_.grams->refit(mask, graph, options_.ridge);
  return graph;
}

Graph MaskEvaluator::fast_form(const Mask& mask) const {
  Graph graph = with_norms_folded(cut(mask));
  if (options_.fast_bytes == 0 || !BlockedKernels::exist()) return graph;
  const Coupling& coupling = *groups_.analysis().coupling;
  const int values = static_cast<int>(groups_.analysis().graph.values.size());
  return with_blocked_chains(std::move(graph), [&](int v) {
    return v < values && coupling.seen(v) ? coupling.shape(v) : std::vector<std::int64_t>();
  });
}

double MaskEvaluator::value(const Mask& mask) const {
  return evaluate({&mask, 1}, nullptr).front();
}

std::vector<double> MaskEvaluator::operator()(std::span<const Mask> masks) const {
  return evaluate(masks, nullptr);
}

MaskObjective MaskEvaluator::objective() const {
  return [this, leader = std::make_shared<Leader>(samples().size())](std::span<const Mask> masks) {
    return evaluate(masks, leader.get());
  };
}

double MaskEvaluator::mean_of(const std::vector<double>& values) const {
  return error_of(score_of(values).mean, judge().metric);
}

std::vector<std::vector<double>> MaskEvaluator::by_sample(std::span<const Mask> masks) const {
  std::vector<std::vector<double>> metrics(masks.size());
  if (!work_) return metrics;
  work_->run_parts(*this, masks, nullptr, [&](std::vector<Runner>& runners) {
    for (Runner& runner : runners) metrics[runner.place] = std::move(runner.values);
  });
  return metrics;
}

std::vector<double> MaskEvaluator::evaluate(std::span<const Mask> masks, Leader* leader) const {
  std::vector<double> values(masks.size(), kInfinity);
  if (!work_) return values;
  const bool racing = leader != nullptr && options_.race > 0 && !leader->samples.empty();
  Leader next = leader != nullptr ? *leader : Leader(samples().size());
  work_->run_parts(*this, masks, racing ? leader : nullptr, [&](std::vector<Runner>& runners) {
    const Runner* best = nullptr;
    for (const Runner& runner : runners) {
      double& value = values[runner.place];
      value = runner.given_up ? above(leader->value, runner.contender) : mean_of(runner.values);
      if (runner.given_up || !(value < next.value)) continue;
      next.value = value;
      next.samples = runner.values;
      best = &runner;
    }
    if (racing) next.learn(runners, *leader, sign());
    if (leader != nullptr && best != nullptr) work_->runs.follow(best->network);
  });
  if (leader != nullptr) *leader = std::move(next);
  return values;
}

}  // namespace quboprune
