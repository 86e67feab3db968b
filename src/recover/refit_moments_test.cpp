#include "recover/refit_moments.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "model/test_net.h"

namespace quboprune {
namespace {

using testing::numbers;

TEST(Moments, AreTheSameInOneChunkAndInMany) {
  const at::Tensor rows = numbers({2, 200, 7}, 1) + 30;  // far from zero: where cancellation would show
  const at::Tensor residuals = numbers({2, 200, 3}, 2);
  const at::Tensor weights = numbers({200}, 3).abs();
  Moments whole(true);
  whole.add(rows, residuals, residuals, weights);
  Moments parts(true);
  for (std::int64_t from = 0; from < 200; from += 40) {
    const auto part = [&](const at::Tensor& t) { return t.slice(t.dim() - 2, from, from + 40); };
    parts.add(part(rows), part(residuals), part(residuals), weights.slice(0, from, from + 40));
  }
  const auto a = whole.solve(1e-3);
  const auto b = parts.solve(1e-3);
  ASSERT_TRUE(a && b);
  EXPECT_LT((a->delta - b->delta).abs().max().item<double>(), 1e-5);
  EXPECT_NEAR(whole.relative_error(*a), parts.relative_error(*b), 1e-5);
}

TEST(Moments, TellErrorsWhereOutputsHaveLargeMeans) {
  const at::Tensor rows = numbers({1, 300, 5}, 1);
  const at::Tensor targets = numbers({1, 300, 2}, 2) + rows.slice(2, 0, 2) + 500;
  Moments moments(true);
  moments.add(rows, targets, targets, at::ones({300}));
  const auto change = moments.solve(1e-3);
  ASSERT_TRUE(change);
  const at::Tensor t = targets[0].to(at::kDouble);
  const double energy = (t - t.mean(0, true)).square().sum().item<double>();
  const at::Tensor left = t - at::matmul(rows[0].to(at::kDouble), change->delta[0].t()) - change->offset[0];
  // float32 keeps targets of 500 to 3e-5, their squares about the mean of 1 to a relative 1e-4 at worst.
  EXPECT_NEAR(moments.relative_error(), t.square().sum().item<double>() / energy,
              1e-3 * moments.relative_error());
  EXPECT_NEAR(moments.relative_error(*change), left.square().sum().item<double>() / energy, 1e-3);
}

TEST(Moments, SolveTheWeightedRidgeProblem) {
  const at::Tensor rows = numbers({1, 300, 5}, 1) + 2;
  const at::Tensor residuals = numbers({1, 300, 2}, 2) + rows.slice(2, 0, 2) + 7;
  const at::Tensor weights = numbers({300}, 3).abs();
  Moments moments(true);
  moments.add(rows, residuals, residuals, weights);
  const double ridge = 0.3;
  const auto change = moments.solve(ridge);
  ASSERT_TRUE(change);
  // By the normal equations of centred data, in double.
  const at::Tensor w = (weights / weights.sum()).to(at::kDouble).unsqueeze(1);
  const at::Tensor x = rows[0].to(at::kDouble) - (rows[0].to(at::kDouble) * w).sum(0, true);
  const at::Tensor r = residuals[0].to(at::kDouble) - (residuals[0].to(at::kDouble) * w).sum(0, true);
  at::Tensor gram = at::matmul((x * w).t(), x);
  gram = gram + ridge * gram.diagonal().mean() * at::eye(5, at::kDouble);
  const at::Tensor delta = at::matmul(at::matmul((r * w).t(), x), at::linalg_inv(gram));
  EXPECT_LT((change->delta[0] - delta).abs().max().item<double>(), 1e-5);
  const at::Tensor left =
      residuals[0].to(at::kDouble) - at::matmul(rows[0].to(at::kDouble), delta.t()) - change->offset;
  const double error = (left.square() * w).sum().item<double>() / (r.square() * w).sum().item<double>();
  EXPECT_NEAR(moments.relative_error(*change), error, 1e-5);
}

}  // namespace
}  // namespace quboprune
