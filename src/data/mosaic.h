#pragma once

#include <array>
#include <opencv2/core/mat.hpp>

#include "quboprune/random.h"

namespace quboprune {

/// The noise of a sensor with one colour a pixel (Bayer's pattern, at one of its four positions) after the
/// missing colours were interpolated: CV_32FC3 (RGB), not normalised.
///
/// gain: deviation of the noise in R, G, B. correction: 0 is bilinear interpolation; 1 adds the whole
/// correction by the second difference of the pixel's own colour, of Malvar, He and Cutler ("High-quality
/// linear interpolation for demosaicing", ICASSP 2004); phones and programs lie between.
cv::Mat demosaic_noise(cv::Size size, const std::array<float, 3>& gain, float correction, Rng& rng);

}  // namespace quboprune
