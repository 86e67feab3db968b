// The noise specifications, and the two plain kinds; camera noise is in camera_noise.cpp.
#include "quboprune/noise.h"

#include <ATen/ATen.h>

#include <charconv>
#include <cmath>
#include <numbers>
#include <opencv2/core.hpp>
#include <string_view>
#include <vector>

#include "data/image.h"
#include "data/noise_kind.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

class Gaussian : public NoiseModel::Kind {
 public:
  Gaussian(double low, double high) : low_(low / 255), high_(high / 255) {}
  cv::Mat draw(const cv::Mat& clean, Rng& rng) const override {
    const double sigma = uniform(rng, low_, high_);
    cv::Mat noise = normal_field(clean.rows, clean.cols, clean.channels(), rng);
    return clean + sigma * noise;
  }

 private:
  double low_, high_;
};

class PoissonGaussian : public NoiseModel::Kind {
 public:
  PoissonGaussian(double a, double b) : a_(static_cast<float>(a)), b2_(static_cast<float>(b * b)) {}
  cv::Mat draw(const cv::Mat& clean, Rng& rng) const override {
    cv::Mat result = normal_field(clean.rows, clean.cols, clean.channels(), rng);
    for (int y = 0; y < clean.rows; ++y) {
      const float* x = clean.ptr<float>(y);
      float* out = result.ptr<float>(y);
      for (int i = 0; i < clean.cols * clean.channels(); ++i)
        out[i] = x[i] + out[i] * std::sqrt(a_ * std::max(x[i], 0.0F) + b2_);
    }
    return result;
  }

 private:
  float a_, b2_;
};

/// "5-50" or "0.01,0.02" into two numbers; one number alone stands for both where `alone` allows it.
bool parse_two(std::string_view text, char between, bool alone, double& first, double& second) {
  const auto number = [](std::string_view part, double& value) {
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    return error == std::errc{} && end == part.data() + part.size() && std::isfinite(value) && value >= 0;
  };
  const auto cut = text.find(between);
  if (cut != std::string_view::npos)
    return number(text.substr(0, cut), first) && number(text.substr(cut + 1), second);
  if (!alone || !number(text, first)) return false;
  second = first;
  return true;
}

[[noreturn]] void refuse(const std::string& specification, const std::string& why) {
  throw InputError("--noise: '" + specification + "' " + why);
}

std::unique_ptr<NoiseModel::Kind> parse(const std::string& specification) {
  const auto colon = specification.find(':');
  const std::string kind = specification.substr(0, colon);
  const bool numbers = colon != std::string::npos;
  const std::string_view rest =
      numbers ? std::string_view(specification).substr(colon + 1) : std::string_view();
  double low = 0;
  double high = 0;
  if (kind == "gaussian") {
    if (!parse_two(rest, '-', true, low, high) || low > high || high > 255)
      refuse(specification, "isn't gaussian:SIGMA or gaussian:LO-HI with 0 <= LO <= HI <= 255");
    return std::make_unique<Gaussian>(low, high);
  }
  if (kind == "poisson-gaussian") {
    if (!parse_two(rest, ',', false, low, high) || low > 1 || high > 1)
      refuse(specification, "isn't poisson-gaussian:A,B with A and B from 0 to 1");
    return std::make_unique<PoissonGaussian>(low, high);
  }
  if (kind == "camera") {
    if (!numbers) return make_camera_noise(17, 42);
    if (!parse_two(rest, '-', false, low, high) || low > high || low < 10 || high > 60)
      refuse(specification, "isn't camera or camera:LO-HI with 10 <= LO <= HI <= 60 (dB)");
    return make_camera_noise(low, high);
  }
  refuse(specification,
         "is no noise model: use gaussian:25, gaussian:5-50, poisson-gaussian:A,B, camera or camera:LO-HI");
}

cv::Mat interleaved(const at::Tensor& image) {
  const at::Tensor contiguous = image.contiguous();
  const auto rows = static_cast<int>(contiguous.size(1));
  const auto columns = static_cast<int>(contiguous.size(2));
  std::vector<cv::Mat> planes;
  for (std::int64_t c = 0; c < contiguous.size(0); ++c)
    planes.emplace_back(rows, columns, CV_32F, contiguous.data_ptr<float>() + c * rows * columns);
  cv::Mat result;
  cv::merge(planes, result);
  return result;
}

}  // namespace

cv::Mat normal_field(int rows, int columns, int channels, Rng& rng) {
  cv::Mat result(rows, columns, CV_32FC(channels));
  float* out = result.ptr<float>();
  const std::size_t count = result.total() * static_cast<std::size_t>(channels);
  constexpr float turn = 2 * std::numbers::pi_v<float>;
  for (std::size_t i = 0; i < count; i += 2) {
    // 24 bits each for radius and angle out of one draw; +1 keeps the logarithm finite.
    const std::uint64_t bits = rng();
    const float u = (static_cast<float>(bits >> 40) + 1.0F) * 0x1.0p-24F;
    const float angle = static_cast<float>((bits >> 8) & 0xFFFFFFU) * 0x1.0p-24F * turn;
    const float radius = std::sqrt(-2.0F * std::log(u));
    out[i] = radius * std::cos(angle);
    if (i + 1 < count) out[i + 1] = radius * std::sin(angle);
  }
  return result;
}

NoiseModel::NoiseModel(const std::string& specification)
    : specification_(specification), kind_(parse(specification)) {}
NoiseModel::~NoiseModel() = default;
NoiseModel::NoiseModel(NoiseModel&&) noexcept = default;
NoiseModel& NoiseModel::operator=(NoiseModel&&) noexcept = default;

at::Tensor NoiseModel::draw(const at::Tensor& clean, Rng& rng) const {
  if (clean.dim() != 3 || (clean.size(0) != 1 && clean.size(0) != 3) || clean.scalar_type() != at::kFloat)
    throw InputError("noise is drawn on float32 [1 or 3, height, width]");
  return to_tensor(kind_->draw(interleaved(clean), rng));
}

}  // namespace quboprune
