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

float Cover::distance(const Features& candidate, std::size_t own) const {
  float nearest = std::numeric_limits<float>::max();
  for (std::size_t i = 0; i < chosen_.size(); ++i) {
    float sum = 0;
    for (std::size_t f = 0; f < candidate.size(); ++f) {
      const bool place = f >= 4;
      const float difference = candidate[f] - chosen_[i][f];
      if (!place || i >= own) sum += difference * difference;
    }
    nearest = std::min(nearest, sum);
  }
  return nearest;
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
  const std::size_t own = chosen_.size();
  std::vector<Cut> result;
  while (result.size() < count) {
    next();
    std::size_t best = 0;
    float farthest = -1;
    for (std::size_t i = 0; i < candidates.size(); ++i)
      if (const float d = distance(described[i], own); d > farthest) {
        farthest = d;
        best = i;
      }
    result.push_back(candidates[best]);
    chosen_.push_back(described[best]);
  }
  return result;
}

}  // namespace quboprune
