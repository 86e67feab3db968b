#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <opencv2/core/mat.hpp>

namespace quboprune {

/// What is decoded of one item: RGB or grey, 8 or 16 bit as stored. One of the two may be empty.
struct ImagePair {
  cv::Mat input;   ///< what the network gets; empty where noise is drawn on the target
  cv::Mat target;  ///< empty without image targets

  const cv::Mat& any() const { return input.empty() ? target : input; }
  std::size_t bytes() const { return input.total() * input.elemSize() + target.total() * target.elemSize(); }
};

/// Whether the name ends like a format that read_image takes (PNG, JPEG, TIFF, WebP, BMP, PNM).
bool is_image_name(const std::filesystem::path& path);

/// The image as stored, turned as stored (a camera's orientation mark is not applied: it can differ
/// between the two images of a pair). channels: 1 grey, 3 RGB; transparency is dropped.
/// Throws InputError naming the file if it can't be read, is cut short or isn't 8 or 16 bit.
cv::Mat read_image(const std::filesystem::path& path, int channels);

/// Class numbers that are kept as an image: one channel, 8 or 16 bit, as stored. Throws InputError as
/// read_image does, and where the image is in colour.
cv::Mat read_labels(const std::filesystem::path& path);

/// What values maps of labels hold.
struct Tones {
  bool black = false, white = false, others = false;  ///< 0, 255, any but these

  /// 0 and 255 alone, and both: two classes, as editors save them.
  bool two_classes() const { return black && white && !others; }
};
Tones tones_of(const at::Tensor& labels);

/// Labels [rows, columns], int64, of such an image.
at::Tensor to_labels(const cv::Mat& labels);

/// 8, 16 bit or float32 (0..1) to float32 [C, H, W], 0..1 times `scale`.
at::Tensor to_tensor(const cv::Mat& image, double scale = 1.0);

/// To float32, 0..1, the channels as they lie in `image`.
cv::Mat to_float(const cv::Mat& image);

}  // namespace quboprune
