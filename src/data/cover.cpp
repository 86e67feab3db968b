#include "data/cover.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

namespace quboprune {

Cover::Features Cover::features(const cv::Mat& image, const cv::Rect& region, const Cut& cut) {
  const cv::Mat crop = take(image, cut);
  cv::Mat grey = crop;
  float colour = 0;
  if (crop.channels() == 3) {
    cv::cvtColor(crop, grey, cv::COLOR_RGB2GRAY);
    const cv::Scalar mean = cv::mean(crop);
    colour = static_cast<float>(mean[0] - mean[2]);
  }
  cv::Scalar mean;
  cv::Scalar deviation;
  cv::meanStdDev(grey, mean, deviation);
  // Detail is measured at half the size: noise in the finest scale isn't detail.
  cv::Mat half = grey;
  if (grey.rows > 1 && grey.cols > 1) cv::resize(grey, half, {}, 0.5, 0.5, cv::INTER_AREA);
  cv::Mat edges;
  cv::Laplacian(half, edges, CV_32F);
  const double detail = cv::norm(edges, cv::NORM_L1) / static_cast<double>(edges.total());
  // Logarithms, as contrasts range over decades; the factors bring each feature's usual range to about 1.
  return {static_cast<float>(mean[0]),
          colour,
          0.25F * static_cast<float>(std::log(deviation[0] + 0.003)),
          0.25F * static_cast<float>(std::log(detail + 0.001)),
          static_cast<float>(cut.from.x - region.x) / static_cast<float>(region.width),
          static_cast<float>(cut.from.y - region.y) / static_cast<float>(region.height)};
}

float Cover::distance(const Features& a, const Features& b, bool of_one_image) {
  constexpr std::size_t kContent = 4;  // features before those of place
  float sum = 0;
  for (std::size_t f = 0; f < (of_one_image ? a.size() : kContent); ++f) sum += (a[f] - b[f]) * (a[f] - b[f]);
  return sum;
}

std::vector<Cut> Cover::choose(const cv::Mat& image, const cv::Rect& region, cv::Size crop,
                               double max_downscale, std::size_t count, Rng& rng,
                               const std::function<void()>& next) {
  std::vector<Cut> candidates;
  std::vector<Features> described;
  for (std::size_t i = 0; i < 3 * count + 3; ++i) {
    next();
    candidates.push_back(random_cut(region, crop, max_downscale, rng));
    described.push_back(features(image, region, candidates.back()));
  }
  std::vector<float> nearest(candidates.size(), std::numeric_limits<float>::max());
  const auto come_nearer = [&](const Features& chosen, bool own) {
    for (std::size_t i = 0; i < candidates.size(); ++i)
      nearest[i] = std::min(nearest[i], distance(described[i], chosen, own));
  };
  for (const Features& chosen : chosen_) come_nearer(chosen, false);
  std::vector<Cut> result;
  constexpr float kTaken = -1;
  while (result.size() < count) {
    next();
    const auto best = static_cast<std::size_t>(std::ranges::max_element(nearest) - nearest.begin());
    if (nearest[best] == kTaken) break;
    result.push_back(candidates[best]);
    chosen_.push_back(described[best]);
    come_nearer(chosen_.back(), true);
    if (max_downscale > 1) continue;  // noise is drawn, each time another
    for (std::size_t i = 0; i < candidates.size(); ++i)
      if (candidates[i].from == candidates[best].from) nearest[i] = kTaken;
  }
  return result;
}

}  // namespace quboprune
