#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "ops/base/blocked_kernels.h"
#include "ops/base/convolution.h"

namespace quboprune {
namespace {

/// The largest difference from a convolution in double precision, in units of what one rounding of the
/// largest sum of absolute products would make.
double roundings(BlockedKernels& fast, std::int64_t n, std::int64_t c, std::int64_t k, std::int64_t h,
                 std::int64_t w, std::int64_t pad, bool with_bias) {
  const at::Tensor input = at::randn({n, c, h, w}), weight = at::randn({k, c, 3, 3});
  const at::Tensor bias = with_bias ? at::randn({k}) : at::Tensor();
  const auto given = fast.convolution(blocked(input), weight, bias, pad, false);
  if (!given) return -1;
  const at::Tensor result = unblocked(*given, k);
  const at::Tensor in_double = at::conv2d(input.to(at::kDouble), weight.to(at::kDouble),
                                          with_bias ? bias.to(at::kDouble) : bias, 1, pad);
  const at::Tensor sums = at::conv2d(input.abs(), weight.abs(), {}, 1, pad);
  EXPECT_EQ(result.sizes(), in_double.sizes());
  EXPECT_TRUE(at::equal(*fast.convolution(blocked(input), weight, bias, pad, true), at::relu(*given)));
  EXPECT_TRUE(at::equal(*given, blocked(result))) << "zeros where there is no channel";
  return (result - in_double).abs().max().item<double>() / (sums.max().item<double>() * 0x1p-24);
}

/// Direct sums of 9 C products stay within a few roundings; the transforms of F(4x4, 3x3) multiply errors by
/// about ten.
TEST(BlockedKernels, AgreeWithDirectOnes) {
  BlockedKernels fast(std::size_t{1} << 24U);
  if (roundings(fast, 4, 32, 32, 64, 64, 1, true) < 0)
    GTEST_SKIP() << "this build or this processor has no Winograd convolution";
  for (const bool bias : {false, true})
    for (const std::int64_t pad : {0, 1}) {
      EXPECT_LT(roundings(fast, 4, 64, 64, 48, 40, pad, bias), 50);
      EXPECT_LT(roundings(fast, 1, 41, 55, 97, 83, pad, bias), 50) << "odd sizes";
      EXPECT_LT(roundings(fast, 3, 17, 16, 50, 50, pad, bias), 50);
    }
}

TEST(BlockedKernels, RememberKernelsOnlyAsLongAsTheyAreThose) {
  BlockedKernels fast(1);  // room for one
  const at::Tensor input = at::randn({4, 16, 40, 40});
  for (int round = 0; round < 6; ++round) {
    const at::Tensor weight = at::randn({16, 16, 3, 3}), other = at::randn({16, 16, 3, 3});
    for (const at::Tensor& kernel : {weight, other, weight}) {
      const auto result = fast.convolution(blocked(input), kernel, {}, 1, false);
      if (!result) GTEST_SKIP() << "this build or this processor has no Winograd convolution";
      EXPECT_LT((*result - at::conv2d(input, kernel, {}, 1, 1)).abs().max().item<double>(), 1e-3);
    }
  }
}

TEST(BlockedKernels, LeaveAloneWhatDoesNotPay) {
  BlockedKernels fast(std::size_t{1} << 24U);
  EXPECT_LT(roundings(fast, 1, 3, 64, 64, 64, 1, false), 0) << "few channels";
  EXPECT_LT(roundings(fast, 1, 64, 64, 16, 16, 1, false), 0) << "few pixels";
  EXPECT_FALSE(fast.convolution(at::randn({2, 16, 1, 5000}), at::randn({32, 32, 3, 3}), {}, 0, false))
      << "too low";
  EXPECT_FALSE(fast.convolution(at::randn({8, 16, 64, 64}, at::kDouble),
                                at::randn({32, 32, 3, 3}, at::kDouble), {}, 1, false));
}

TEST(BlockedKernels, PoolAsLibTorchDoes) {
  BlockedKernels fast(1);
  for (const std::int64_t height : {6, 13}) {
    const at::Tensor x = at::randn({5, 16, height, 8});
    for (const std::int64_t pad : {0, 1}) {
      const Window window{{3, 2}, {2, 2}, {1, 1}, {1, pad}, {1, pad}};
      const auto pooled = fast.max_pool(x, window);
      if (!pooled) GTEST_SKIP() << "this build has no oneDNN";
      EXPECT_TRUE(at::equal(*pooled, at::max_pool2d(x, {3, 2}, {2, 2}, {1, pad})));
    }
  }
  const at::Tensor x = at::randn({5, 16, 6, 8});
  EXPECT_FALSE(fast.max_pool(x, {{2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 2}})) << "a window of padding alone";
  EXPECT_FALSE(fast.max_pool(x, {{2, 2}, {1, 1}, {2, 1}, {0, 0}, {0, 0}})) << "dilated";
}

TEST(BlockedTensors, AreAsBeforeOnceUnblocked) {
  BlockedKernels fast(1);
  for (const std::int64_t channels : {1, 16, 17, 40}) {
    const at::Tensor plain = at::randn({3, channels, 5, 4});
    const at::Tensor there = blocked(plain);
    EXPECT_EQ(there.sizes(), (std::vector<std::int64_t>{3 * ((channels + 15) / 16), 16, 5, 4}));
    EXPECT_TRUE(at::equal(unblocked(there, channels), plain));
    EXPECT_TRUE(at::equal(fast.blocked(plain), there));
    EXPECT_TRUE(at::equal(fast.unblocked(there, channels), plain));
    EXPECT_EQ(at::count_nonzero(there).item<std::int64_t>(), plain.numel()) << "zeros where no channel is";
  }
}

}  // namespace
}  // namespace quboprune
