#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>

namespace quboprune {

/// Convolutions with kernels of 3x3 by Winograd's algorithm, which multiplies a quarter as often: oneDNN's,
/// where it has one for this processor (AVX-512) and we are built with it; LibTorch itself never asks for it.
/// One and a half to twice as fast, with several times the rounding error of a direct convolution: for
/// comparing masks, not for figures of a finished network. Not differentiable. For one thread at a time (it
/// uses LibTorch's threads itself). Source: Lavin and Gray, arXiv 1509.09308, F(4x4, 3x3).
class FastConvolutions {
 public:
  /// `bytes`: for kernels that are kept, as given and as transformed, the latest used.
  explicit FastConvolutions(std::size_t bytes);
  ~FastConvolutions();
  FastConvolutions(const FastConvolutions&) = delete;
  FastConvolutions& operator=(const FastConvolutions&) = delete;

  /// input [N, C, H, W], weight [K, C, 3, 3], bias [K] or undefined, all float32; `pad` on all sides,
  /// stride 1. Channels last. Nothing where it doesn't apply or wouldn't pay (few channels, small images).
  std::optional<at::Tensor> run(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                                std::int64_t pad);

  /// Forgets the kernels that were kept: of networks that aren't run again.
  void release_kernels();

 private:
  class Engine;
  std::unique_ptr<Engine> engine_;
};

}  // namespace quboprune
