// PSNR and SSIM.
#include <ATen/ATen.h>

#include <cmath>

#include "data/image_layout.h"
#include "metrics/advice.h"
#include "quboprune/error.h"
#include "quboprune/metrics.h"

namespace quboprune {
namespace {

void check_same_shape(const at::Tensor& output, const at::Tensor& target) {
  if (output.sizes() != target.sizes())
    throw InputError("the network's output " + at::str(output.sizes()) + " doesn't have the target's shape " +
                     at::str(target.sizes()) + kOtherTargets);
}

constexpr int window_size = 11;
constexpr double window_sigma = 1.5;

at::Tensor gaussian_window() {
  at::Tensor window = at::empty({window_size}, at::kDouble);
  double* values = window.data_ptr<double>();
  for (int i = 0; i < window_size; ++i) {
    const double distance = i - window_size / 2;
    values[i] = std::exp(-distance * distance / (2 * window_sigma * window_sigma));
  }
  return window / window.sum();
}

/// Local means [C, 1, H-10, W-10] of images [C, 1, H, W]: the window is separable.
at::Tensor local_mean(const at::Tensor& images, const at::Tensor& window) {
  const at::Tensor rows = at::conv2d(images, window.view({1, 1, window_size, 1}));
  return at::conv2d(rows, window.view({1, 1, 1, window_size}));
}

}  // namespace

double psnr(const at::Tensor& output, const at::Tensor& target, double peak) {
  check_same_shape(output, target);
  constexpr double highest = 100;
  const double error = (output.to(at::kDouble) - target.to(at::kDouble)).square().mean().item<double>();
  const double value = 10 * std::log10(peak * peak / error);
  return std::isnan(error) ? error : std::min(value, highest);
}

double ssim(const at::Tensor& output, const at::Tensor& target, double peak) {
  check_same_shape(output, target);
  const at::Tensor image = channels_first(output);
  if (image.dim() < 2 || image.dim() > 3 || image.size(-1) < window_size || image.size(-2) < window_size)
    throw InputError("SSIM needs images of at least 11x11, not " + at::str(output.sizes()));
  const auto prepared = [](const at::Tensor& t) {
    return t.detach().to(at::kCPU, at::kDouble).reshape({-1, 1, t.size(-2), t.size(-1)});
  };
  const at::Tensor x = prepared(image);
  const at::Tensor y = prepared(channels_first(target));
  const at::Tensor window = gaussian_window();
  const double c1 = 0.01 * peak * 0.01 * peak;
  const double c2 = 0.03 * peak * 0.03 * peak;
  const at::Tensor mean_x = local_mean(x, window);
  const at::Tensor mean_y = local_mean(y, window);
  const at::Tensor variance_x = local_mean(x * x, window) - mean_x * mean_x;
  const at::Tensor variance_y = local_mean(y * y, window) - mean_y * mean_y;
  const at::Tensor covariance = local_mean(x * y, window) - mean_x * mean_y;
  const at::Tensor map = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) /
                         ((mean_x * mean_x + mean_y * mean_y + c1) * (variance_x + variance_y + c2));
  return map.mean().item<double>();
}

}  // namespace quboprune
