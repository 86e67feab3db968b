// Noise as cameras and phones leave it in a finished image. Ours; how the ranges were chosen and what they
// give beside the real pairs is in docs/noise.md.
#include <algorithm>
#include <array>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "data/noise_kind.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// How one image's noise looks, apart from its strength.
struct Look {
  float gamma;  ///< of the tone curve: linear = encoded ^ gamma
  float shot;   ///< part of the variance at mid-grey that grows with the light; the rest is read noise
  std::array<float, 3> gain;     ///< of each channel
  float mix;                     ///< 0: independent channels, 1: grey noise
  float fine, coarse;            ///< weights (of variance) of the blurred parts; the rest is white
  float fine_blur, coarse_blur;  ///< their Gaussian widths in pixels
  float blotches, blotch_blur;   ///< part of the variance in slow colour blotches, and their size in pixels
};

Look draw_look(Rng& rng) {
  const auto between = [&](double low, double high) { return static_cast<float>(uniform(rng, low, high)); };
  Look look{};
  look.gamma = between(1.6, 2.6);
  look.shot = between(0.2, 1.0);
  look.gain = {between(0.8, 1.6), between(0.7, 1.1), between(0.8, 1.9)};
  look.mix = between(0, 0.8);
  look.fine = between(0, 1);
  look.coarse = (1 - look.fine) * between(0, 0.7);
  look.fine_blur = between(0.4, 1.0);
  look.coarse_blur = between(0.8, 2.2);
  look.blotches = rng.uniform() < 0.5 ? between(0, 0.15) : 0;
  look.blotch_blur = between(3, 10);
  return look;
}

/// Gaussian-blurred white noise, brought back to variance 1. A border is drawn around and cut off, so
/// that the edge has the same variance as the middle.
cv::Mat blurred_field(int rows, int columns, int channels, float blur, Rng& rng) {
  const int border = static_cast<int>(std::ceil(3 * blur));
  cv::Mat field = normal_field(rows + 2 * border, columns + 2 * border, channels, rng);
  const cv::Mat kernel = cv::getGaussianKernel(2 * border + 1, blur, CV_32F);
  // The variance that is left is the sum of the squared weights, in each direction.
  const double left = kernel.dot(kernel);
  cv::sepFilter2D(field, field, CV_32F, kernel, kernel);
  return field(cv::Rect(border, border, columns, rows)) / left;
}

/// Slow blotches: drawn on a coarse grid and enlarged, which is much cheaper than a wide blur.
cv::Mat blotch_field(int rows, int columns, int channels, float blur, Rng& rng) {
  const int cell = std::max(2, static_cast<int>(blur));
  cv::Mat coarse = blurred_field(rows / cell + 3, columns / cell + 3, channels, 1.0F, rng);
  cv::Mat field;
  cv::resize(coarse, field, cv::Size(coarse.cols * cell, coarse.rows * cell), 0, 0, cv::INTER_CUBIC);
  return field(cv::Rect(cell, cell, columns, rows)).clone();
}

/// The noise field that all of `look` but its dependence on light describes: variance gain².
cv::Mat correlated_field(cv::Size size, int channels, const Look& look, Rng& rng) {
  const int rows = size.height;
  const int columns = size.width;
  cv::Mat field = std::sqrt(1 - look.fine - look.coarse) * normal_field(rows, columns, channels, rng);
  if (look.fine > 0)
    cv::scaleAdd(blurred_field(rows, columns, channels, look.fine_blur, rng), std::sqrt(look.fine), field,
                 field);
  if (look.coarse > 0)
    cv::scaleAdd(blurred_field(rows, columns, channels, look.coarse_blur, rng), std::sqrt(look.coarse), field,
                 field);
  if (look.blotches > 0) {
    field *= std::sqrt(1 - look.blotches);
    cv::scaleAdd(blotch_field(rows, columns, channels, look.blotch_blur, rng), std::sqrt(look.blotches),
                 field, field);
  }
  if (channels == 1) return field;
  // Each channel: its own noise and what all three share, then its gain. Of unit variance before it.
  const float shared = look.mix / 3;
  const float own = 1 - look.mix;
  const float norm = 1 / std::sqrt((own + shared) * (own + shared) + 2 * shared * shared);
  cv::Matx33f matrix;
  for (int row = 0; row < 3; ++row)
    for (int column = 0; column < 3; ++column)
      matrix(row, column) =
          look.gain[static_cast<std::size_t>(row)] * norm * (shared + (row == column ? own : 0));
  cv::transform(field, field, matrix);
  return field;
}

/// Standard deviation in the encoded image, as a table over the encoded value, 1 on average over mid-tones.
///
/// In linear light l the variance is shot·l/l_mid + (1 - shot); the tone curve e = l^(1/gamma) multiplies
/// the deviation by de/dl. Near black that slope has no bound; real curves start straight, as here.
std::array<float, 257> deviation_table(const Look& look) {
  constexpr float toe = 0.04F;
  const float middle = std::pow(0.4F, look.gamma);
  std::array<float, 257> table{};
  double sum = 0;
  for (int i = 0; i < 257; ++i) {
    const float encoded = static_cast<float>(i) / 256;
    const float light = std::pow(encoded, look.gamma);
    const float slope = 1 / (look.gamma * std::pow(std::max(encoded, toe), look.gamma - 1));
    table[static_cast<std::size_t>(i)] = slope * std::sqrt(look.shot * light / middle + (1 - look.shot));
    if (i >= 32 && i < 192)
      sum += table[static_cast<std::size_t>(i)] * table[static_cast<std::size_t>(i)] / 160;
  }
  for (float& value : table) value /= static_cast<float>(std::sqrt(sum));
  return table;
}

void scale_by_light(cv::Mat& field, const cv::Mat& clean, const std::array<float, 257>& table, float sigma) {
  for (int y = 0; y < clean.rows; ++y) {
    const float* x = clean.ptr<float>(y);
    float* n = field.ptr<float>(y);
    for (int i = 0; i < clean.cols * clean.channels(); ++i) {
      const float at = std::clamp(x[i], 0.0F, 1.0F) * 256;
      const auto low = std::min(static_cast<std::size_t>(at), std::size_t{255});
      const float part = at - static_cast<float>(low);
      n[i] *= sigma * (table[low] + part * (table[low + 1] - table[low]));
    }
  }
}

/// Rounds to 8 bit and, where quality is above 0, through JPEG.
cv::Mat as_file(const cv::Mat& image, int quality) {
  cv::Mat bytes;
  image.convertTo(bytes, CV_8U, 255);
  if (quality > 0) {
    if (bytes.channels() == 3) cv::cvtColor(bytes, bytes, cv::COLOR_RGB2BGR);
    std::vector<unsigned char> file;
    cv::imencode(".jpg", bytes, file, {cv::IMWRITE_JPEG_QUALITY, quality});
    bytes = cv::imdecode(file, bytes.channels() == 3 ? cv::IMREAD_COLOR : cv::IMREAD_GRAYSCALE);
    check(!bytes.empty(), "OpenCV couldn't read its own JPEG");
    if (bytes.channels() == 3) cv::cvtColor(bytes, bytes, cv::COLOR_BGR2RGB);
  }
  cv::Mat result;
  bytes.convertTo(result, CV_32F, 1.0 / 255);
  return result;
}

class Camera : public NoiseModel::Kind {
 public:
  Camera(double lowest_psnr, double highest_psnr) : lowest_(lowest_psnr), highest_(highest_psnr) {}

  cv::Mat draw(const cv::Mat& clean, Rng& rng) const override {
    const double sigma = std::pow(10.0, -uniform(rng, lowest_, highest_) / 20);
    const int quality = rng.uniform() < 0.4 ? static_cast<int>(uniform(rng, 60, 101)) : 0;
    if (rng.uniform() < 0.15) {  // white noise, so that the network knows that too
      const cv::Mat noise = normal_field(clean.rows, clean.cols, clean.channels(), rng);
      return as_file(clean + sigma * noise, 0);
    }
    const Look look = draw_look(rng);
    cv::Mat noise = correlated_field(clean.size(), clean.channels(), look, rng);
    scale_by_light(noise, clean, deviation_table(look), static_cast<float>(sigma));
    return as_file(clean + noise, quality);
  }

 private:
  double lowest_, highest_;
};

}  // namespace

std::unique_ptr<NoiseModel::Kind> make_camera_noise(double lowest_psnr, double highest_psnr) {
  return std::make_unique<Camera>(lowest_psnr, highest_psnr);
}

}  // namespace quboprune
