#include "judging/calibration_parts.h"

#include <map>
#include <string>
#include <string_view>

namespace quboprune {

CalibrationParts calibration_parts(std::span<const Sample> samples, bool repaired) {
  CalibrationParts parts;
  if (samples.size() < 6) {
    parts.fit = parts.search = {samples.begin(), samples.end()};
    return parts;
  }
  constexpr std::string_view kTurns = "fscfsfsc";
  std::map<std::string, std::size_t> scenes;
  for (const auto& s : samples) scenes.try_emplace(s.scene, scenes.size());
  for (std::size_t k = 0; k < samples.size(); ++k) {
    const std::size_t place = scenes.size() >= 3 ? scenes.at(samples[k].scene) : k;
    switch (kTurns[place % kTurns.size()]) {
      case 'f':
        parts.fit.push_back(samples[k]);
        break;
      case 's':
        parts.search.push_back(samples[k]);
        break;
      default:
        parts.check.push_back(samples[k]);
    }
  }
  if (!repaired) {
    parts.search.insert(parts.search.end(), parts.fit.begin(), parts.fit.end());
    parts.fit = parts.search;
  }
  return parts;
}

std::vector<Sample> thinned(std::span<const Sample> samples, int count) {
  const auto wanted = static_cast<std::size_t>(count);
  if (count <= 0 || wanted >= samples.size()) return {samples.begin(), samples.end()};
  std::vector<Sample> some;
  for (std::size_t k = 0; k < wanted; ++k) some.push_back(samples[k * samples.size() / wanted]);
  return some;
}

}  // namespace quboprune
