#include "evaluation/probes.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

namespace quboprune {

std::vector<double> metric_weights(std::span<const Sample> samples, const at::Tensor& outputs,
                                   const Judge& judge) {
  constexpr double kNearlyExact = 1e-5;  // of peak²: 50 dB
  const bool image = judge.metric == Metric::psnr || judge.metric == Metric::ssim;
  std::vector<double> weights(samples.size(), 1.0);
  if (!image && judge.metric != Metric::output) return weights;
  const at::NoGradGuard no_grad;
  const bool whole = samples.size() == 1 && samples[0].target.defined() &&
                     outputs.sizes() == samples[0].target.sizes();  // without a batch axis
  const bool batched =
      !whole && outputs.dim() > 0 && outputs.size(0) == static_cast<std::int64_t>(samples.size());
  for (std::size_t k = 0; k < samples.size() && (batched || samples.size() == 1); ++k) {
    const at::Tensor output = batched ? outputs[static_cast<std::int64_t>(k)] : outputs;
    if (judge.metric == Metric::output) {
      const double size = output.to(at::kDouble).square().mean().item<double>();
      weights[k] = size > 0 ? 1 / size : 1.0;
    } else if (samples[k].target.defined() && samples[k].target.sizes() == output.sizes()) {
      const double error =
          (output.to(at::kDouble) - samples[k].target.to(at::kDouble)).square().mean().item<double>();
      const double peak = judge.peak * judge.peak;
      weights[k] = peak / std::max(error, kNearlyExact * peak);
    }
  }
  return weights;
}

at::Tensor scaled_by_sample(const at::Tensor& probes, const std::vector<double>& weights) {
  if (probes.dim() == 0 || probes.size(0) != static_cast<std::int64_t>(weights.size()))
    return weights.size() == 1 ? probes * std::sqrt(weights.front()) : probes;
  std::vector<std::int64_t> shape(static_cast<std::size_t>(probes.dim()), 1);
  shape[0] = probes.size(0);
  return probes * at::tensor(weights, at::kDouble).sqrt().to(probes.scalar_type()).view(shape);
}

at::Tensor normal_like(const at::Tensor& like, std::uint64_t seed) {
  return at::randn(like.sizes(), at::make_generator<at::CPUGeneratorImpl>(seed), like.options());
}

}  // namespace quboprune
