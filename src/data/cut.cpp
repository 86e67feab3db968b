#include "data/cut.h"

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "data/image.h"

namespace quboprune {
namespace {

int random_offset(int room, Rng& rng) {
  return static_cast<int>(rng.below(static_cast<std::uint32_t>(room) + 1));
}

/// The largest multiple of `multiple` that is at most min(length, largest).
int cut_length(int length, int largest, int multiple) {
  const int limit = largest > 0 ? std::min(length, largest) : length;
  return limit / multiple * multiple;
}

}  // namespace

cv::Rect region_of(cv::Size image, const Piece& piece) {
  const auto at = [](int length, double part) { return static_cast<int>(std::lround(length * part)); };
  cv::Rect region(0, 0, image.width, image.height);
  if (image.width >= image.height) {
    region.x = at(image.width, piece.begin);
    region.width = at(image.width, piece.end) - region.x;
  } else {
    region.y = at(image.height, piece.begin);
    region.height = at(image.height, piece.end) - region.y;
  }
  return region;
}

double room_for(const cv::Rect& region, cv::Size piece) {
  return std::min(region.width / static_cast<double>(piece.width),
                  region.height / static_cast<double>(piece.height));
}

bool fits(const cv::Rect& region, cv::Size piece) {
  return room_for(region, piece) >= 1;
}

Cut random_cut(const cv::Rect& region, cv::Size crop, double max_downscale, Rng& rng) {
  const double largest = std::max(1.0, std::min(max_downscale, room_for(region, crop)));
  const double scale = std::exp(rng.uniform() * std::log(largest));
  const int width = std::min(static_cast<int>(std::lround(crop.width * scale)), region.width);
  const int height = std::min(static_cast<int>(std::lround(crop.height * scale)), region.height);
  const int x = region.x + random_offset(region.width - width, rng);
  const int y = region.y + random_offset(region.height - height, rng);
  return {{x, y, width, height}, crop};
}

Cut middle_cut(const cv::Rect& region, cv::Size largest, cv::Size multiple, double downscale) {
  const int width = cut_length(static_cast<int>(region.width / downscale), largest.width, multiple.width);
  const int height = cut_length(static_cast<int>(region.height / downscale), largest.height, multiple.height);
  const int from_width = std::min(static_cast<int>(std::lround(width * downscale)), region.width);
  const int from_height = std::min(static_cast<int>(std::lround(height * downscale)), region.height);
  return {{region.x + (region.width - from_width) / 2, region.y + (region.height - from_height) / 2,
           from_width, from_height},
          {width, height}};
}

cv::Mat take(const cv::Mat& image, const Cut& cut) {
  cv::Mat part = to_float(image(cut.from));
  if (cut.from.size() != cut.to) cv::resize(part, part, cut.to, 0, 0, cv::INTER_AREA);
  return part;
}

cv::Mat turned(const cv::Mat& image, unsigned which) {
  cv::Mat result = image.clone();
  if (which & 1U) cv::flip(result, result, 1);
  if (which & 2U) cv::flip(result, result, 0);
  if (which & 4U) result = result.t();
  return result;
}

}  // namespace quboprune
