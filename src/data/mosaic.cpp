#include "data/mosaic.h"

#include <opencv2/core.hpp>

#include "data/noise_kind.h"

namespace quboprune {
namespace {

constexpr int border = 2;  // the interpolation looks two pixels far

/// The sensor's colour at a place: 0 red, 1 green, 2 blue.
int colour_at(int y, int x) {
  if (((y + x) & 1) != 0) return 1;
  return (y & 1) == 0 ? 0 : 2;
}

/// The linear interpolations around one pixel of the mosaic.
class Neighbourhood {
 public:
  Neighbourhood(const cv::Mat& mosaic, int y, int x) : mosaic_(mosaic), y_(y), x_(x) {}

  float own() const { return at(0, 0); }
  float cross() const { return (at(-1, 0) + at(1, 0) + at(0, -1) + at(0, 1)) / 4; }
  float diagonal() const { return (at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)) / 4; }
  float horizontal() const { return (at(0, -1) + at(0, 1)) / 2; }
  float vertical() const { return (at(-1, 0) + at(1, 0)) / 2; }
  /// Second difference of the pixel's own colour, from the four at distance two.
  float difference() const { return at(0, 0) - (at(-2, 0) + at(2, 0) + at(0, -2) + at(0, 2)) / 4; }
  /// The same at a green pixel, along and across the row that holds the wanted colour (Malvar et al., fig.
  /// 2).
  float green_difference(bool in_row) const {
    const float along = in_row ? at(0, -2) + at(0, 2) : at(-2, 0) + at(2, 0);
    const float across = in_row ? at(-2, 0) + at(2, 0) : at(0, -2) + at(0, 2);
    return at(0, 0) - (along - across / 2 + 4 * diagonal()) / 5;
  }

 private:
  float at(int dy, int dx) const { return mosaic_.at<float>(y_ + dy, x_ + dx); }

  const cv::Mat& mosaic_;
  int y_, x_;
};

cv::Vec3f interpolate(const Neighbourhood& near, int colour, int y, float correction) {
  cv::Vec3f result;
  result[colour] = near.own();
  if (colour == 1) {
    const int row_colour = (y & 1) == 0 ? 0 : 2;
    const int column_colour = 2 - row_colour;
    result[row_colour] = near.horizontal() + 0.625F * correction * near.green_difference(true);
    result[column_colour] = near.vertical() + 0.625F * correction * near.green_difference(false);
  } else {
    result[1] = near.cross() + 0.5F * correction * near.difference();
    result[2 - colour] = near.diagonal() + 0.75F * correction * near.difference();
  }
  return result;
}

}  // namespace

cv::Mat demosaic_noise(cv::Size size, const std::array<float, 3>& gain, float correction, Rng& rng) {
  // Where the pattern begins: an even or odd row and column.
  const int top = static_cast<int>(rng.below(2));
  const int left = static_cast<int>(rng.below(2));
  cv::Mat mosaic = normal_field(size.height + 2 * border, size.width + 2 * border, 1, rng);
  for (int y = 0; y < mosaic.rows; ++y) {
    auto* row = mosaic.ptr<float>(y);
    for (int x = 0; x < mosaic.cols; ++x)
      row[x] *= gain[static_cast<std::size_t>(colour_at(y + top, x + left))];
  }
  cv::Mat result(size, CV_32FC3);
  for (int y = 0; y < size.height; ++y)
    for (int x = 0; x < size.width; ++x) {
      const int colour = colour_at(y + border + top, x + border + left);
      result.at<cv::Vec3f>(y, x) =
          interpolate(Neighbourhood(mosaic, y + border, x + border), colour, y + border + top, correction);
    }
  return result;
}

}  // namespace quboprune
