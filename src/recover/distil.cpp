#include "quboprune/distil.h"

#include <algorithm>
#include <limits>
#include <set>

#include "core/index.h"
#include "coupling/analysis.h"
#include "quboprune/error.h"
#include "quboprune/evaluation.h"
#include "recover/refit_bench.h"
#include "recover/trainer.h"

namespace quboprune {
namespace {

/// A data set whose training samples come from some of its scenes alone.
class WithoutScenes final : public Dataset {
 public:
  WithoutScenes(const Dataset& data, std::set<std::string> scenes)
      : data_(data), scenes_(std::move(scenes)) {}

  Sample random_crop(Rng& rng, int crop, bool augment) const override {
    constexpr int kTries = 10000;  // even a single scene among a thousand is met
    for (int i = 0; i < kTries; ++i) {
      Sample sample = data_.random_crop(rng, crop, augment);
      if (!scenes_.contains(sample.scene)) return sample;
    }
    throw InputError(
        "no training crop can be drawn besides the scenes kept back for checking; give more data");
  }
  std::vector<Sample> samples(Part part, const Control& control) const override {
    return data_.samples(part, control);
  }
  TargetKind target_kind() const override { return data_.target_kind(); }
  Manifest manifest() const override { return data_.manifest(); }
  std::vector<std::string> notes() const override { return data_.notes(); }

 private:
  const Dataset& data_;
  std::set<std::string> scenes_;
};

std::set<std::string> scenes_of(const std::vector<Sample>& samples) {
  std::set<std::string> scenes;
  for (const auto& s : samples) scenes.insert(s.scene);
  return scenes;
}

/// Scenes that only judge; none where a single one has to serve for both.
std::set<std::string> kept_back(const CheckSplit& split) {
  std::set<std::string> scenes = scenes_of(split.check);
  for (const auto& scene : scenes_of(split.fit)) scenes.erase(scene);
  return scenes;
}

/// The indices that are kept on each cut axis; nothing to follow where an axis is gone as a whole.
bool find_kept(const ChannelGroups& groups, const Mask& mask, Feature& feature, std::size_t rank) {
  for (std::size_t axis = 0; axis < rank; ++axis) {
    auto kept = groups.kept(feature.value, static_cast<int>(axis), mask);
    if (kept && kept->empty()) return false;
    if (kept) feature.kept.emplace_back(static_cast<int>(axis), std::move(*kept));
  }
  return true;
}

FinetuneOptions training_of(const DistilOptions& options, const ChannelGroups& groups, const Mask& mask,
                            const Judge& judge) {
  FinetuneOptions train = options.train;
  train.judge = judge;
  train.teacher = &groups.analysis().graph;
  train.features = cut_features(groups, mask);
  return train;
}

}  // namespace

std::vector<Feature> cut_features(const ChannelGroups& groups, const Mask& mask) {
  groups.check_size(mask);
  const Analysis& analysis = groups.analysis();
  std::vector<Feature> result;
  std::set<int> seen;
  for (const auto& gate : groups.gates()) {
    const int value = analysis.graph.nodes[at_index(gate.node)].inputs[at_index(gate.input)];
    const bool is_cut = std::any_of(gate.groups.begin(), gate.groups.end(),
                                    [&](int g) { return g >= 0 && mask[at_index(g)] == 0; });
    if (!is_cut || gate.averages || analysis.graph.values[at_index(value)].is_constant() ||
        !seen.insert(value).second)
      continue;
    Feature feature{.value = value, .teacher = value};
    if (find_kept(groups, mask, feature, analysis.probe.shapes[at_index(value)].size()))
      result.push_back(std::move(feature));
  }
  return result;
}

DistilResult distil(const ChannelGroups& groups, const Mask& mask, const Dataset& data,
                    std::span<const Sample> calibration, const Judge& judge, const DistilOptions& options,
                    const Control& control) {
  DistilResult result;
  result.refit = refit(groups, mask, calibration, judge, options.refit, control);
  result.notes = result.refit.notes;
  if (trainable_constants(result.refit.graph).empty()) {
    result.notes.emplace_back("nothing is left that could be trained: the refitted network is kept");
    result.graph = result.refit.graph;
    result.training.reason = "nothing to train";
    result.metric_refitted = result.metric_trained = result.refit.metric_after;
    return result;
  }
  // The same scenes are kept back as in the refit, which saw them in its last walk alone.
  const CheckSplit split = check_split(calibration, options.refit.check_share, options.refit.seed);
  const FinetuneOptions train = training_of(options, groups, mask, judge);
  const std::set<std::string> judging = kept_back(split);
  if (judging.empty())
    result.notes.push_back(
        "training saw the only scene that its result was judged on: give data of more scenes");
  std::string diverged;  // hours of choosing and a repair that holds mustn't be lost to a rate too high
  try {
    result.training = finetune(result.refit.graph, WithoutScenes(data, judging), train, control);
  } catch (const Diverged& error) {
    diverged = error.what();
    result.training.reason = "diverged";
  }

  const Judge by = deciding(judge);
  const NetworkJudge judged(*train.teacher, split.check, by);
  const auto score = [&](const Graph& graph) { return judged.score(graph).mean; };
  result.metric_refitted = score(result.refit.graph);
  result.metric_trained =
      diverged.empty() ? score(result.training.graph) : std::numeric_limits<double>::quiet_NaN();
  const auto no_harm = [&](double metric) {
    return error_of(metric, by.metric) <= error_of(result.metric_refitted, by.metric);
  };
  result.trained = no_harm(result.metric_trained);
  result.graph = result.trained ? result.training.graph : result.refit.graph;
  if (!diverged.empty()) {
    result.notes.push_back("training failed, and the refitted network is kept: " + diverged);
  } else if (!result.trained) {
    result.notes.push_back(
        "training made the network worse on calibration scenes that it didn't see: the refitted one is kept");
  } else if (options.all_scenes && !judging.empty() && result.training.reason != "stopped") {
    FinetuneOptions again = train;
    if (!again.work.empty()) again.work /= "all";
    try {
      result.on_all_scenes = finetune(result.refit.graph, data, again, control);
    } catch (const InputError& error) {  // diverged, or met damaged data in a scene that was kept back so far
      result.notes.push_back(
          "training on all calibration scenes failed, and the network trained on a part of them is kept: " +
          std::string(error.what()));
      return result;
    }
    FinetuneResult& all = *result.on_all_scenes;
    if (all.reason == "stopped") {
      result.notes.emplace_back("stopped before it was trained on all calibration scenes");
    } else if (!no_harm(score(all.graph))) {
      result.notes.emplace_back(
          "trained on all calibration scenes the network was worse than the refitted one: the one trained on "
          "a part of them is kept");
    } else {
      result.graph = std::move(all.graph);
      result.on_all_kept = true;
    }
  }
  return result;
}

}  // namespace quboprune
