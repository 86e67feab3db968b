#include "data/tone_curve.h"

#include <cmath>

#include "data/noise_kind.h"

namespace quboprune {

ToneCurve::ToneCurve(float gamma, float contrast) {
  const auto curve = [&](float light) {
    const float e = std::pow(light, 1 / gamma);
    return e + contrast * (e * e * (3 - 2 * e) - e);
  };
  for (int i = 0; i <= steps + 1; ++i) {
    const float root = std::min(1.0F, static_cast<float>(i) / steps);
    to_encoded_[static_cast<std::size_t>(i)] = curve(root * root);
  }
  // The inverse by bisection in e: a closed form would be a cubic's root, and this is exact enough.
  for (int i = 0; i <= steps + 1; ++i) {
    const float wanted = std::min(1.0F, static_cast<float>(i) / steps);
    float low = 0;
    float high = 1;
    for (int round = 0; round < 24; ++round) {
      const float e = (low + high) / 2;
      (e + contrast * (e * e * (3 - 2 * e) - e) < wanted ? low : high) = e;
    }
    to_light_[static_cast<std::size_t>(i)] = std::pow((low + high) / 2, gamma);
  }
}

ToneCurve ToneCurve::random(Rng& rng) {
  const auto gamma = static_cast<float>(uniform(rng, 1.6, 2.6));
  return {gamma, static_cast<float>(uniform(rng, 0, 0.9))};
}

float ToneCurve::slope(float encoded) const {
  constexpr float step = 0.01F;
  const float below = std::max(0.0F, encoded - step);
  const float above = std::min(1.0F, encoded + step);
  return (above - below) / (light(above) - light(below));
}

CutMean::CutMean() {
  const auto mean_after = [](double before) {
    constexpr double root_two = 1.4142135623730951;
    constexpr double root_two_pi = 2.5066282746310002;
    return before * 0.5 * std::erfc(-before / root_two) + std::exp(-before * before / 2) / root_two_pi;
  };
  for (int i = 0; i <= steps + 1; ++i) {
    const double wanted = static_cast<double>(largest) * i / steps;
    double low = -4;  // where next to nothing is left: the value that black itself gets
    double high = largest + 0.1;
    for (int round = 0; round < 50; ++round) {
      const double before = (low + high) / 2;
      (mean_after(before) < wanted ? low : high) = before;
    }
    table_[static_cast<std::size_t>(i)] = static_cast<float>(low);
  }
}

}  // namespace quboprune
