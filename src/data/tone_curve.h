#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "quboprune/random.h"

namespace quboprune {

/// A camera's tone curve between linear light and encoded values, both 0..1, increasing.
///
/// encoded = e + contrast·(s(e) - e), with e = light^(1/gamma) and the S-shape s(e) = 3e² - 2e³. The S makes
/// the curve flat near black, as measured: noise is strongest near 0.3 and weaker below (docs/noise.md).
class ToneCurve {
 public:
  ToneCurve(float gamma, float contrast);
  /// gamma and contrast from the ranges of camera noise.
  static ToneCurve random(Rng& rng);

  /// Linear light of an encoded value (cut to 0..1).
  float light(float encoded) const {
    const float at = std::clamp(encoded, 0.0F, 1.0F) * steps;
    return between(to_light_, at);
  }
  /// Encoded value of linear light (cut to 0..1).
  float encoded(float light) const {
    // Tabulated over the square root: over light itself the steps near black would be too coarse.
    return between(to_encoded_, std::sqrt(std::clamp(light, 0.0F, 1.0F)) * steps);
  }
  /// d encoded / d light at an encoded value in (0, 1).
  float slope(float encoded) const;

 private:
  static constexpr int steps = 1024;
  using Table = std::array<float, steps + 2>;  // one more than points, so that `at` = steps needs no branch
  static float between(const Table& table, float at) {
    const auto low = static_cast<std::size_t>(at);
    return table[low] + (at - static_cast<float>(low)) * (table[low + 1] - table[low]);
  }

  Table to_light_{};
  Table to_encoded_{};
};

/// The mean of a normal variable of deviation 1 whose negative values were set to 0, and its inverse.
class CutMean {
 public:
  CutMean();
  /// The mean before cutting, for a mean after it: negative for small ones, `after` itself for large ones.
  float inverse(float after) const {
    if (after >= largest) return after;
    const float at = std::max(after, 0.0F) / largest * steps;
    const auto low = static_cast<std::size_t>(at);
    return table_[low] + (at - static_cast<float>(low)) * (table_[low + 1] - table_[low]);
  }

 private:
  static constexpr int steps = 512;
  static constexpr float largest = 4;  // beyond, cutting changes the mean by less than 1e-5
  std::array<float, steps + 2> table_{};
};

}  // namespace quboprune
