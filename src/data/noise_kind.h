#pragma once

#include <memory>
#include <opencv2/core/mat.hpp>

#include "quboprune/noise.h"

namespace quboprune {

/// One kind of noise. Works on interleaved float32 images with values 0..1.
class NoiseModel::Kind {
 public:
  virtual ~Kind() = default;
  /// clean: CV_32FC1 or CV_32FC3 (RGB).
  virtual cv::Mat draw(const cv::Mat& clean, Rng& rng) const = 0;
};

/// The range of what PSNR an image's noise would give mid-grey, in dB: the strongest leaves the lowest.
std::unique_ptr<NoiseModel::Kind> make_camera_noise(double lowest_psnr, double highest_psnr);

/// Uniform in [low, high).
inline double uniform(Rng& rng, double low, double high) {
  return low + (high - low) * rng.uniform();
}

/// A white normal field of variance 1 (Box and Muller's transform), CV_32F.
cv::Mat normal_field(int rows, int columns, int channels, Rng& rng);

}  // namespace quboprune
