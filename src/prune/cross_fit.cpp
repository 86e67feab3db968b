#include "prune/cross_fit.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "quboprune/error.h"
#include "quboprune/mask_evaluator.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

constexpr std::size_t kParts = 4;

/// Which part each sample is judged in.
std::vector<std::size_t> parts_of(std::span<const Sample> samples) {
  std::map<std::string, std::size_t> scenes;
  for (const auto& s : samples) scenes.try_emplace(s.scene, scenes.size());
  std::vector<std::size_t> parts(samples.size());
  for (std::size_t k = 0; k < samples.size(); ++k)
    parts[k] = scenes.size() > 1 ? scenes.at(samples[k].scene) % std::min(kParts, scenes.size()) : k % kParts;
  return parts;
}

/// Throws Stopped rather than return networks that were repaired in part.
std::vector<std::vector<double>> values_of_part(const ChannelGroups& groups, std::span<const Mask> masks,
                                                std::span<const Sample> fitted, std::vector<Sample> judged,
                                                const Judge& judge, const RefitOptions& refit,
                                                const Control& control) {
  const MaskEvaluator evaluator(groups, std::move(judged), judge, {}, control);
  const Refitter refitter(groups, fitted, judge, refit, control);
  std::vector<std::vector<double>> values;
  for (const Mask& mask : masks) {
    const Graph repaired = refitter(mask, control).graph;
    if (control.stopped()) throw Stopped("stopped while repairing");
    values.push_back(evaluator.score(repaired).samples);
  }
  return values;
}

}  // namespace

std::vector<std::vector<double>> shipped_values(const ChannelGroups& groups, std::span<const Mask> masks,
                                                std::span<const Sample> samples, const Judge& judge,
                                                const RefitOptions* refit, const Control& control) {
  std::vector<std::vector<double>> values(masks.size());
  const auto parts = parts_of(samples);
  try {
    if (refit == nullptr) {
      const MaskEvaluator all(groups, {samples.begin(), samples.end()}, judge, {}, control);
      for (std::size_t m = 0; m < masks.size(); ++m) values[m] = all.score(slice(groups, masks[m])).samples;
      return values;
    }
    for (std::size_t part = 0; part < kParts; ++part) {
      std::vector<Sample> fitted;
      std::vector<Sample> judged;
      for (std::size_t k = 0; k < samples.size(); ++k)
        (parts[k] == part ? judged : fitted).push_back(samples[k]);
      if (fitted.empty() || judged.empty()) continue;
      const auto found = values_of_part(groups, masks, fitted, judged, judge, *refit, control);
      for (std::size_t m = 0; m < masks.size(); ++m)
        values[m].insert(values[m].end(), found[m].begin(), found[m].end());
    }
  } catch (const Stopped&) {
    // What is done serves.
  }
  return values;
}

}  // namespace quboprune
