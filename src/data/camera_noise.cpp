// Noise as cameras and phones leave it in a finished image: drawn in linear light, carried through what a
// camera does to it. Ours; how the ranges were chosen and what they give beside real pairs: docs/noise.md.
#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "data/mosaic.h"
#include "data/noise_kind.h"
#include "data/tone_curve.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

/// The encoded value at which a camera's noise is strongest in every set of docs/noise.md; strengths are
/// given for it.
constexpr float reference_value = 0.3F;

/// What one camera does, drawn anew for every image.
struct Look {
  float shot;                 ///< part of the variance at the reference value that grows with the light
  std::array<float, 3> gain;  ///< white balance: of the noise's deviation in R, G, B
  bool mosaic;                ///< one colour measured a pixel, the others interpolated
  float correction;           ///< how the interpolation uses the other colours, 0..1; see demosaic_noise
  float saturation;           ///< of the colour matrix behind it, which amplifies the differences of channels
  std::array<float, 3> weight;  ///< of R, G, B in what that matrix subtracts; sum 1
  float blur;                   ///< width in pixels of what smooths the noise further; 0: nothing does
  float chroma;                 ///< what the camera's denoiser leaves of the noise of colour, 0..1
  float chroma_blur;            ///< and how smooth (pixels)
  float coarse;                 ///< part of the variance that is smooth, as denoisers and JPEG leave it
  float coarse_blur;            ///< its width in pixels
  bool mean_of_cut;  ///< the clean image is the mean of noisy ones, cut at black as they are; see expose
};

Look draw_look(Rng& rng) {
  const auto between = [&](double low, double high) { return static_cast<float>(uniform(rng, low, high)); };
  const auto chance = [&](double probability) { return rng.uniform() < probability; };
  Look look{};
  look.shot = between(0.1, 1.0);
  look.gain = {between(1.1, 2.3), 1.0F, between(1.1, 2.5)};
  look.mosaic = chance(0.75);
  look.correction = between(0, 1);
  look.saturation = between(0, 0.6);
  const float red = between(0, 0.5);
  const float blue = between(0, 0.3);
  look.weight = {red, 1 - red - blue, blue};
  look.blur = chance(0.5) ? between(0.4, 1.3) : 0.0F;
  const bool denoised = chance(0.4);
  look.chroma = denoised ? between(0.1, 1) : 1.0F;
  look.chroma_blur = denoised ? between(0.7, 4) : 0.0F;
  look.coarse = chance(0.35) ? between(0.05, 0.4) : 0.0F;
  look.coarse_blur = between(1.5, 5);
  look.mean_of_cut = chance(0.6);
  return look;
}

cv::Mat blurred(const cv::Mat& image, float width) {
  if (width <= 0) return image;
  cv::Mat result;
  cv::GaussianBlur(image, result, {}, width, width, cv::BORDER_REFLECT_101);
  return result;
}

/// Grows what differs from a weighted mean of the channels, as a camera's colour matrix does.
void saturate(cv::Mat& field, float saturation, const std::array<float, 3>& weight) {
  cv::Matx33f matrix;
  for (int row = 0; row < 3; ++row)
    for (int column = 0; column < 3; ++column)
      matrix(row, column) =
          (row == column ? 1 + saturation : 0.0F) - saturation * weight[static_cast<std::size_t>(column)];
  cv::transform(field, field, matrix);
}

void denoise_colour(cv::Mat& field, float left, float width) {
  cv::Mat luma;
  cv::transform(field, luma, cv::Matx13f(0.299F, 0.587F, 0.114F));
  cv::Mat grey;
  cv::merge(std::vector<cv::Mat>{luma, luma, luma}, grey);
  field = grey + left * blurred(field - grey, width);
}

void normalise(cv::Mat& field) {
  const double values = static_cast<double>(field.total()) * field.channels();
  field *= std::sqrt(values) / std::max(cv::norm(field), 1e-12);
}

/// Adds smooth noise that is the same in all channels; the variance stays 1.
void add_coarse(cv::Mat& field, float part, float width, Rng& rng) {
  cv::Mat smooth = blurred(normal_field(field.rows, field.cols, 1, rng), width);
  normalise(smooth);
  if (field.channels() == 3) cv::cvtColor(smooth, smooth, cv::COLOR_GRAY2RGB);
  field = std::sqrt(1 - part) * field + std::sqrt(part) * smooth;
}

/// Noise of variance 1 on average over the channels, correlated as `look` says.
cv::Mat correlated_field(cv::Size size, int channels, const Look& look, Rng& rng) {
  cv::Mat field;
  if (channels == 1) {
    field = blurred(normal_field(size.height, size.width, 1, rng), look.blur);
  } else {
    if (look.mosaic) {
      field = demosaic_noise(size, look.gain, look.correction, rng);
    } else {
      field = normal_field(size.height, size.width, 3, rng);
      cv::multiply(field, cv::Scalar(look.gain[0], look.gain[1], look.gain[2]), field);
    }
    saturate(field, look.saturation, look.weight);
    field = blurred(field, look.blur);
    if (look.chroma < 1) denoise_colour(field, look.chroma, look.chroma_blur);
  }
  normalise(field);
  if (look.coarse > 0) add_coarse(field, look.coarse, look.coarse_blur, rng);
  return field;
}

/// clean + noise, where the noise is added to the light: variance there grows with the light, what falls
/// below black is cut, and the tone curve bends it all.
///
/// A benchmark's clean image is often the mean of many noisy ones whose values below black were cut, so it
/// lies above the light that came in; with mean_of_cut the noise is drawn around the latter. Strong noise
/// then fades out towards black and makes shadows darker on average, as it does in SIDD.
cv::Mat expose(const cv::Mat& clean, const cv::Mat& field, const ToneCurve& tone, const Look& look,
               float sigma) {
  const float reference = tone.light(reference_value);
  const float deviation = sigma / tone.slope(reference_value);
  static const CutMean cut_mean;
  cv::Mat result(clean.size(), clean.type());
  for (int y = 0; y < clean.rows; ++y) {
    const float* x = clean.ptr<float>(y);
    const float* n = field.ptr<float>(y);
    float* out = result.ptr<float>(y);
    for (int i = 0; i < clean.cols * clean.channels(); ++i) {
      const float light = tone.light(x[i]);
      const float here = deviation * std::sqrt(look.shot * light / reference + (1 - look.shot));
      const float middle = look.mean_of_cut ? here * cut_mean.inverse(light / here) : light;
      out[i] = tone.encoded(middle + here * n[i]);
    }
  }
  return result;
}

/// Rounds to 8 bit and, where quality is above 0, through JPEG.
cv::Mat as_file(const cv::Mat& image, int quality) {
  cv::Mat bytes;
  image.convertTo(bytes, CV_8U, 255);
  if (quality > 0) {
    const bool colour = bytes.channels() == 3;
    if (colour) cv::cvtColor(bytes, bytes, cv::COLOR_RGB2BGR);
    std::vector<unsigned char> file;
    cv::imencode(".jpg", bytes, file, {cv::IMWRITE_JPEG_QUALITY, quality});
    bytes = cv::imdecode(file, colour ? cv::IMREAD_COLOR : cv::IMREAD_GRAYSCALE);
    check(!bytes.empty(), "OpenCV couldn't read its own JPEG");
    if (colour) cv::cvtColor(bytes, bytes, cv::COLOR_BGR2RGB);
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
    const int quality = rng.uniform() < 0.35 ? static_cast<int>(uniform(rng, 60, 101)) : 0;
    const double kind = rng.uniform();
    if (kind < 0.05) return as_file(clean, quality);  // so that the network leaves clean images alone
    if (kind < 0.2) {  // plain white noise: what denoisers are usually tried with
      const cv::Mat noise = normal_field(clean.rows, clean.cols, clean.channels(), rng);
      return rng.uniform() < 0.5 ? cv::Mat(clean + sigma * noise) : as_file(clean + sigma * noise, 0);
    }
    const Look look = draw_look(rng);
    const ToneCurve tone = ToneCurve::random(rng);
    const cv::Mat field = correlated_field(clean.size(), clean.channels(), look, rng);
    return as_file(expose(clean, field, tone, look, static_cast<float>(sigma)), quality);
  }

 private:
  double lowest_, highest_;
};

}  // namespace

std::unique_ptr<NoiseModel::Kind> make_camera_noise(double lowest_psnr, double highest_psnr) {
  return std::make_unique<Camera>(lowest_psnr, highest_psnr);
}

}  // namespace quboprune
