#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <opencv2/core/mat.hpp>
#include <vector>

#include "data/cut.h"
#include "quboprune/random.h"

namespace quboprune {

/// Chooses crops that differ: in brightness, colour, amount of detail, and place.
///
/// A few crops have to stand for a whole data set, and random ones mostly show its commonest content (sky,
/// blurred background). Ours: farthest-first traversal over a few random candidates per image, against
/// everything chosen before, from all images.
class Cover {
 public:
  /// `count` crops of this image's region; see random_cut for crop and max_downscale. Where none is reduced,
  /// no two are the same, and there may be fewer. `next` is called before each is described or chosen, and
  /// may throw.
  std::vector<Cut> choose(const cv::Mat& image, const cv::Rect& region, cv::Size crop, double max_downscale,
                          std::size_t count, Rng& rng, const std::function<void()>& next);
  std::size_t size() const { return chosen_.size(); }  ///< crops chosen so far, of all images

 private:
  using Features = std::array<float, 6>;
  static Features features(const cv::Mat& image, const cv::Rect& region, const Cut& cut);
  /// Squared; places count within one image only.
  static float distance(const Features& a, const Features& b, bool of_one_image);

  std::vector<Features> chosen_;
};

}  // namespace quboprune
