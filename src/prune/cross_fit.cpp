#include "prune/cross_fit.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "core/phases.h"
#include "prune/shipped_judge.h"
#include "quboprune/error.h"

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
      const ShippedJudge all(groups, {}, {samples.begin(), samples.end()}, judge, nullptr, control);
      for (std::size_t m = 0; m < masks.size(); ++m)
        values[m] = kept.get("all, as cut", masks[m], control, [&] { return all(masks[m]); });
      return values;
    }
    for (std::size_t part = 0; part < kParts; ++part) {
      std::vector<Sample> fitted;
      std::vector<Sample> judged;
      for (std::size_t k = 0; k < samples.size(); ++k)
        (parts[k] == part ? judged : fitted).push_back(samples[k]);
      if (fitted.empty() || judged.empty()) continue;
      std::optional<ShippedJudge> repaired;  // the original's pass, which only a new mask needs
      std::vector<std::vector<double>> found;
      for (const Mask& mask : masks) {
        phases.enter(fmt::format("as it would ship, {} of {}", ++begun, repairs));
        found.push_back(kept.get(fmt::format("part {}, as it would ship", part), mask, control, [&] {
          if (!repaired) repaired.emplace(groups, fitted, judged, judge, refit, phases.control());
          return (*repaired)(mask);
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
