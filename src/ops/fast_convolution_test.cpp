#include "ops/base/fast_convolution.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

namespace quboprune {
namespace {

/// The largest difference from a convolution in double precision, in units of what one rounding of the
/// largest sum of absolute products would make.
double roundings(FastConvolutions& fast, std::int64_t n, std::int64_t c, std::int64_t k, std::int64_t h,
                 std::int64_t w, std::int64_t pad, bool with_bias) {
  const at::Tensor input = at::randn({n, c, h, w}), weight = at::randn({k, c, 3, 3});
  const at::Tensor bias = with_bias ? at::randn({k}) : at::Tensor();
  const auto result = fast.run(input, weight, bias, pad);
  if (!result) return -1;
  const at::Tensor in_double = at::conv2d(input.to(at::kDouble), weight.to(at::kDouble),
                                          with_bias ? bias.to(at::kDouble) : bias, 1, pad);
  const at::Tensor sums = at::conv2d(input.abs(), weight.abs(), {}, 1, pad);
  EXPECT_EQ(result->sizes(), in_double.sizes());
  EXPECT_TRUE(result->is_contiguous(at::MemoryFormat::ChannelsLast));
  return (*result - in_double).abs().max().item<double>() / (sums.max().item<double>() * 0x1p-24);
}

/// Direct sums of 9 C products stay within a few roundings; the transforms of F(4x4, 3x3) multiply errors by
/// about ten.
TEST(FastConvolutions, AgreeWithDirectOnes) {
  FastConvolutions fast(std::size_t{1} << 24U);
  if (roundings(fast, 4, 32, 32, 64, 64, 1, true) < 0)
    GTEST_SKIP() << "this build or this processor has no Winograd convolution";
  for (const bool bias : {false, true})
    for (const std::int64_t pad : {0, 1}) {
      EXPECT_LT(roundings(fast, 4, 64, 64, 48, 40, pad, bias), 50);
      EXPECT_LT(roundings(fast, 1, 41, 55, 97, 83, pad, bias), 50) << "odd sizes";
      EXPECT_LT(roundings(fast, 3, 17, 16, 50, 50, pad, bias), 50);
    }
}

TEST(FastConvolutions, RememberKernelsOnlyAsLongAsTheyAreThose) {
  FastConvolutions fast(1);  // room for one
  const at::Tensor input = at::randn({4, 16, 40, 40});
  for (int round = 0; round < 6; ++round) {
    const at::Tensor weight = at::randn({16, 16, 3, 3}), other = at::randn({16, 16, 3, 3});
    for (const at::Tensor& kernel : {weight, other, weight}) {
      const auto result = fast.run(input, kernel, {}, 1);
      if (!result) GTEST_SKIP() << "this build or this processor has no Winograd convolution";
      EXPECT_LT((*result - at::conv2d(input, kernel, {}, 1, 1)).abs().max().item<double>(), 1e-3);
    }
  }
}

TEST(FastConvolutions, LeaveAloneWhatDoesNotPay) {
  FastConvolutions fast(std::size_t{1} << 24U);
  EXPECT_LT(roundings(fast, 1, 3, 64, 64, 64, 1, false), 0) << "few channels";
  EXPECT_LT(roundings(fast, 1, 64, 64, 16, 16, 1, false), 0) << "few pixels";
  EXPECT_FALSE(fast.run(at::randn({1, 32, 1, 5000}), at::randn({32, 32, 3, 3}), {}, 0)) << "too low";
  EXPECT_FALSE(
      fast.run(at::randn({4, 32, 64, 64}, at::kDouble), at::randn({32, 32, 3, 3}, at::kDouble), {}, 1));
}

}  // namespace
}  // namespace quboprune
