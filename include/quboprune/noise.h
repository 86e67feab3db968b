#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "quboprune/random.h"

namespace quboprune {

/// Draws noise on clean images. Values are 0..1, encoded as in the file (sRGB), not linear light.
///
/// - `gaussian:25`: white, sigma 25 of 255, as in the denoising literature: neither clipped nor rounded
/// - `gaussian:5-50`: the same, sigma uniform in the range for every image
/// - `poisson-gaussian:a,b`: variance a·x + b² at value x (of 0..1): shot and read noise, white
/// - `camera:LO-HI`: a wide mix of what cameras and phones leave in a finished image; the noise of an image
///   would give mid-grey a PSNR drawn between LO and HI dB
/// - `camera`: `camera:17-42`
///
/// `camera` (ours; ranges fitted in docs/noise.md): shot and read noise in approximately linear light, a
/// tone curve, correlation between neighbours and channels as demosaicking leaves it, blotches of colour,
/// rounding to 8 bit and JPEG. Some images stay nearly clean, some get white Gaussian noise instead.
class NoiseModel {
 public:
  /// Throws InputError if `specification` is none of the above or a number is out of range.
  explicit NoiseModel(const std::string& specification);
  ~NoiseModel();
  NoiseModel(NoiseModel&&) noexcept;
  NoiseModel& operator=(NoiseModel&&) noexcept;

  /// The noisy image of `clean`: float32 [channels, height, width], 1 or 3 channels, values 0..1. Throws
  /// InputError for another type or shape.
  /// The same clean image and the same state of `rng` give the same result. Safe from several threads.
  at::Tensor draw(const at::Tensor& clean, Rng& rng) const;

  const std::string& specification() const { return specification_; }

  /// One kind of noise; see src/data/noise.cpp.
  class Kind;

 private:
  std::string specification_;
  std::unique_ptr<Kind> kind_;
};

}  // namespace quboprune
