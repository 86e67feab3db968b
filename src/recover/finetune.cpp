#include "quboprune/finetune.h"

#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <future>
#include <limits>

#include "core/clock.h"
#include "quboprune/batches.h"
#include "quboprune/computed_weights.h"
#include "quboprune/error.h"
#include "quboprune/file.h"
#include "quboprune/random.h"
#include "recover/trainer.h"

namespace quboprune {
namespace {

struct Drawn {
  std::vector<Batch> parts;
  std::string names;  ///< of the samples, for errors
};

/// A step's samples, stacked as the network takes them. A generator of its own for each step: the same
/// samples whether a run was interrupted or not.
Drawn draw(const Dataset& data, const FinetuneOptions& options, int most, std::int64_t step) {
  Rng rng(options.seed * 0x9E3779B97F4A7C15ULL + static_cast<std::uint64_t>(step));
  const bool augment = options.augment.value_or(data.target_kind() != TargetKind::label);
  std::vector<Sample> samples;
  for (int k = 0; k < options.batch; ++k) samples.push_back(data.random_crop(rng, options.crop, augment));
  std::string names;
  for (const auto& sample : samples) names += (names.empty() ? "'" : "', '") + sample.name;
  return {batches(samples, most, std::numeric_limits<std::int64_t>::max()), names + "'"};
}

double rate_at(double progress, double highest) {
  constexpr double kWarmUp = 0.02;
  constexpr double kLowest = 0.01;
  if (progress < kWarmUp) return highest * std::max(0.05, progress / kWarmUp);
  const double t = (progress - kWarmUp) / (1 - kWarmUp);
  return highest * (kLowest + (1 - kLowest) * 0.5 * (1 + std::cos(M_PI * std::min(1.0, t))));
}

void check_options(const FinetuneOptions& o) {
  const auto require = [](bool fits, const char* what) {
    if (!fits) throw InputError(std::string("finetune: ") + what);
  };
  require(o.steps >= 1 && o.batch >= 1, "steps and batch must be at least 1");
  require(o.crop >= 0, "crop must be at least 0");
  require(o.learning_rate > 0 && o.learning_rate <= 1e30,
          "the learning rate must be above 0 and at most 1e30");
  require(o.time_limit >= 0 && o.weight_decay >= 0 && o.clip >= 0 && o.feature_weight >= 0,
          "time_limit, weight_decay, clip and feature_weight must be at least 0");
  require(o.teacher_weight >= 0 && o.teacher_weight <= 1, "teacher_weight must be in [0, 1]");
  require(o.ema >= 0 && o.ema < 1, "ema must be in [0, 1)");
  require(o.judge.loss != Loss::output || o.teacher != nullptr,
          "the loss is the distance to a teacher's outputs; name one (--teacher), or take another loss with "
          "data that have targets");
}

/// Means of the losses over 100 steps each.
class History {
 public:
  void add(std::int64_t step, double loss) {
    sum_ += loss;
    if (++counted_ == 100) close(step);
  }
  void close(std::int64_t step) {
    if (counted_ > 0) points_.push_back({step, sum_ / static_cast<double>(counted_)});
    sum_ = 0;
    counted_ = 0;
  }
  const std::vector<FinetuneResult::Point>& points() const { return points_; }

 private:
  std::vector<FinetuneResult::Point> points_;
  double sum_ = 0;
  std::int64_t counted_ = 0;
};

}  // namespace

std::string training_settings(const FinetuneOptions& o) {
  std::string text = fmt::format(
      "batch {} crop {} augment {} lr {} decay {} clip {} ema {} norms {} teacher {} features {} seed {} "
      "loss {} peak {} "
      "probabilities {}",
      o.batch, o.crop, o.augment ? *o.augment ? "yes" : "no" : "as fits", o.learning_rate, o.weight_decay,
      o.clip, o.ema, o.train_batch_norm, o.teacher_weight, o.feature_weight, o.seed, name_of(o.judge.loss),
      o.judge.peak, o.judge.class_scores == ClassScores::probabilities);
  for (const auto& [input, value] : o.judge.fills) text += fmt::format(" {} {}", input, value);
  return text;
}

FinetuneResult finetune(const Graph& file, const Dataset& data, const FinetuneOptions& options,
                        const Control& control) {
  check_options(options);
  const Graph graph = with_own_constants(file);
  if (trainable_constants(graph).empty())
    throw InputError("the network has no weights that its outputs depend on: nothing can be trained");
  if (!options.work.empty()) make_folder(options.work, "work folder");
  Trainer trainer(graph, options);
  const TrainingProgress before = options.work.empty() ? TrainingProgress{} : trainer.take_up(options.work);
  std::int64_t step = before.step;
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return before.seconds + seconds_since(start); };
  double saved = elapsed();
  FinetuneResult result;
  const auto keep_state = [&] {  // a disk that is full must not throw the training away
    try {
      trainer.save(options.work, {step, elapsed()});
      result.unsaved.clear();
    } catch (const InputError& error) {
      result.unsaved = error.what();
    }
    saved = elapsed();
  };
  History history;
  const auto drawn = [&](std::int64_t number) {  // while the step before is computed
    return std::async(std::launch::async, draw, std::cref(data), std::cref(options),
                      one_at_a_time(graph) ? 1 : options.batch, number);
  };
  auto next = drawn(step);
  const auto progress = [&] {
    const double by_steps = static_cast<double>(step) / static_cast<double>(options.steps);
    return options.time_limit > 0 ? std::max(by_steps, elapsed() / options.time_limit) : by_steps;
  };
  // Without a step there is nothing new, and these may be the weights of a repair that was stopped.
  const auto keep_new_state = [&] {
    if (!options.work.empty() && step > before.step) keep_state();
  };
  while (progress() < 1 && !control.stopped()) {
    Drawn now;
    try {
      now = next.get();
      next = drawn(step + 1);
      history.add(step + 1, trainer.step(now.parts, rate_at(progress(), options.learning_rate), step));
    } catch (const Diverged&) {
      throw;                             // nothing that could be gone on with
    } catch (const InputError& error) {  // a damaged image or a label that isn't one, met late
      keep_new_state();
      if (now.names.empty()) throw;
      throw InputError(fmt::format("{} (in a step of {})", error.what(), now.names));
    }
    ++step;
    control.report("finetune", progress(), 1, history.points().empty() ? NAN : history.points().back().loss);
    if (!options.work.empty() && elapsed() - saved > 60) keep_state();
  }
  next.wait();
  keep_new_state();
  history.close(step);
  result.history = history.points();
  result.reason = step >= options.steps ? "steps" : control.stopped() ? "stopped" : "time limit";
  result.graph = trainer.result();
  result.steps = step;
  result.taken_up = before.step;
  result.seconds = elapsed();
  return result;
}

}  // namespace quboprune
