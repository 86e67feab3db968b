#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace quboprune {

/// Whether an image can have so many channels: 1 or 3.
constexpr bool is_channels(std::int64_t size) {
  return size == 1 || size == 3;
}

/// [H, W, C] of 1 or 3 channels, as networks from TensorFlow have it, as [C, H, W]; others as they are.
inline at::Tensor channels_first(const at::Tensor& image) {
  const bool last = image.dim() == 3 && is_channels(image.size(2)) && !is_channels(image.size(0));
  return last ? image.movedim(2, 0) : image;
}

}  // namespace quboprune
