#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>

namespace quboprune {

struct Window;

/// Channels that lie in blocks of this many are *blocked*: [N, C, H, W] as [N * ceil(C / 16), 16, H, W],
/// channels last, zeros where the last block has no channel. It is oneDNN's nChw16c, and whatever treats each
/// channel of each sample by itself runs on it as on any other batch.
constexpr std::int64_t kChannelBlock = 16;

/// Operators that no file holds: rewriting a graph puts them in (judging/blocked_chains.h).
/// - Block: X -> blocked
/// - Unblock: blocked, W -> X; W: a convolution's weights, `axis`: which of its axes counts X's channels
/// - Conv: blocked, W [K, C, 3, 3], B (optional) -> blocked; `pad` on all sides, `relu` 0 or 1
constexpr const char* kBlockedDomain = "quboprune.blocked";

/// [N, C, H, W] blocked, and back, by LibTorch.
at::Tensor blocked(const at::Tensor& plain);
at::Tensor unblocked(const at::Tensor& blocked, std::int64_t channels);

/// Operators on blocked tensors of float32: oneDNN's, where it has them for this processor (convolutions:
/// AVX-512) and we are built with it; LibTorch itself asks for none of them. For one thread at a time (they
/// use LibTorch's threads themselves). Not differentiable.
class BlockedKernels {
 public:
  /// `bytes`: for kernels that are kept, as given and as transformed, the latest used.
  explicit BlockedKernels(std::size_t bytes);
  ~BlockedKernels();
  BlockedKernels(const BlockedKernels&) = delete;
  BlockedKernels& operator=(const BlockedKernels&) = delete;

  /// Whether this build and this processor have any convolutions.
  static bool exist();

  /// Convolution with a kernel of 3x3 by Winograd's algorithm, which multiplies a quarter as often: one and a
  /// half to twice as fast as a direct one, with several times its rounding error; for comparing masks, not
  /// for figures of a finished network. Source: Lavin and Gray, arXiv 1509.09308, F(4x4, 3x3).
  ///
  /// `input` [N, C, H, W] and the result [N, K, H', W'] are blocked, weight [K, C, 3, 3], bias [K] or
  /// undefined, all float32; `pad` on all sides, stride 1; `relu`: the result's positive part. Nothing where
  /// it doesn't apply or wouldn't pay (few channels, small images).
  std::optional<at::Tensor> convolution(const at::Tensor& input, const at::Tensor& weight,
                                        const at::Tensor& bias, std::int64_t pad, bool relu);
  /// Of each window of x, which is blocked. Nothing for a window that oneDNN doesn't have.
  std::optional<at::Tensor> max_pool(const at::Tensor& x, const Window& window);
  /// As the functions of that name: in one pass.
  at::Tensor blocked(const at::Tensor& plain);
  at::Tensor unblocked(const at::Tensor& blocked, std::int64_t channels);

  /// Forgets the kernels that were kept: of networks that aren't run again.
  void release_kernels();

 private:
  class Engine;
  std::unique_ptr<Engine> engine_;
};

}  // namespace quboprune
