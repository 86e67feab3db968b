#pragma once

#include <opencv2/core/mat.hpp>
#include <opencv2/core/types.hpp>

#include "data/split.h"
#include "quboprune/random.h"

namespace quboprune {

/// A place in an image: what is cut, and the size that it is reduced to (the same size: not reduced).
struct Cut {
  cv::Rect from;
  cv::Size to;
};

/// The part of an image of this size that a piece stands for.
cv::Rect region_of(cv::Size image, const Piece& piece);

/// A random piece of the size `crop` inside `region`, reduced from one up to `max_downscale` times larger
/// (uniform in the logarithm, as far as the region allows). The region has to be large enough for `crop`.
Cut random_cut(const cv::Rect& region, cv::Size crop, double max_downscale, Rng& rng);

/// The middle of `region` reduced by `downscale`: at most `largest` (0: no limit), height and width multiples
/// of those of `multiple`. Empty if the region is smaller than one multiple.
Cut middle_cut(const cv::Rect& region, cv::Size largest, cv::Size multiple, double downscale);

/// How many times as large as the piece the region is, on its tighter side: below 1 it doesn't fit.
double room_for(const cv::Rect& region, cv::Size piece);
bool fits(const cv::Rect& region, cv::Size piece);

/// Cuts and reduces (averaging), as float32 0..1.
cv::Mat take(const cv::Mat& image, const Cut& cut);

/// One of the eight flips and quarter turns, 0..7; 0 leaves the image as it is.
cv::Mat turned(const cv::Mat& image, unsigned which);

}  // namespace quboprune
