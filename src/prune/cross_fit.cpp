#include "prune/cross_fit.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "core/phases.h"
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

/// What repairs on some samples and judges on others. Throws Stopped rather than judge a network that was
/// repaired in part.
class Fold {
 public:
  Fold(const ChannelGroups& groups, std::span<const Sample> fitted, std::vector<Sample> judged,
       const Judge& judge, const RefitOptions& refit, const Control& control)
      : evaluator_(groups, std::move(judged), judge, {}, control),
        refitter_(groups, fitted, judge, refit, control),
        control_(control) {}

  std::vector<double> values(const Mask& mask) const {
    const Graph repaired = refitter_(mask, control_).graph;
    if (control_.stopped()) throw Stopped("stopped while repairing");
    return evaluator_.score(repaired).samples;
  }

 private:
  MaskEvaluator evaluator_;
  Refitter refitter_;
  const Control& control_;
};

}  // namespace

std::vector<std::vector<double>> shipped_values(const ChannelGroups& groups, std::span<const Mask> masks,
                                                std::span<const Sample> samples, const Judge& judge,
                                                const RefitOptions* refit, KeptValues& kept,
                                                const Control& control) {
  std::vector<std::vector<double>> values(masks.size());
  const auto parts = parts_of(samples);
  Phases phases(control);
  const std::size_t repairs = parts.empty() ? 0 : masks.size() * (1 + *std::ranges::max_element(parts));
  std::size_t begun = 0;
  try {
    if (refit == nullptr) {
      const MaskEvaluator all(groups, {samples.begin(), samples.end()}, judge, {}, control);
      for (std::size_t m = 0; m < masks.size(); ++m)
        values[m] = kept.get("all, as cut", masks[m], control,
                             [&] { return all.score(slice(groups, masks[m])).samples; });
      return values;
    }
    for (std::size_t part = 0; part < kParts; ++part) {
      std::vector<Sample> fitted;
      std::vector<Sample> judged;
      for (std::size_t k = 0; k < samples.size(); ++k)
        (parts[k] == part ? judged : fitted).push_back(samples[k]);
      if (fitted.empty() || judged.empty()) continue;
      std::optional<Fold> work;  // the original's pass, which only a new mask needs
      std::vector<std::vector<double>> found;
      for (const Mask& mask : masks) {
        phases.enter(fmt::format("as it would ship, {} of {}", ++begun, repairs));
        found.push_back(kept.get(fmt::format("part {}, as it would ship", part), mask, control, [&] {
          if (!work) work.emplace(groups, fitted, judged, judge, *refit, phases.control());
          return work->values(mask);
        }));
        check(found.back().size() == judged.size(), "values of a mask that were kept are of other samples");
      }
      for (std::size_t m = 0; m < masks.size(); ++m)
        values[m].insert(values[m].end(), found[m].begin(), found[m].end());
    }
  } catch (const Stopped&) {
    // What is done serves.
  }
  return values;
}

}  // namespace quboprune
