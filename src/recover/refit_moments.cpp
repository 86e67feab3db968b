#include "recover/refit_moments.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "recover/refit_algebra.h"

namespace quboprune {
namespace {

void accumulate(at::Tensor& sum, const at::Tensor& part) {
  const at::Tensor wide = part.to(at::kDouble);
  if (sum.defined()) {
    sum.add_(wide);
  } else {
    sum = wide.clone();
  }
}

}  // namespace

void Moments::add(const at::Tensor& rows, const at::Tensor& residuals, const at::Tensor& targets,
                  const at::Tensor& weights) {
  const double total = weights.sum().item<double>();
  if (total <= 0) return;
  if (!shift_.defined()) {
    const auto first = [&](const at::Tensor& of, bool shifted) {
      const at::Tensor mean = of.mean(1, true);
      return shifted ? mean : at::zeros_like(mean);
    };
    shift_ = first(rows, with_bias_);
    residual_shift_ = first(residuals, with_bias_);
    target_shift_ = first(targets, true);
  }
  const at::Tensor w = weights.to(rows.scalar_type()).view({1, -1, 1});
  const at::Tensor x = with_bias_ ? rows - shift_ : rows;
  const at::Tensor wx = x * w;
  accumulate(gram_, weighted_gram(x, wx));
  accumulate(rows_, wx.sum(1));
  const at::Tensor r = with_bias_ ? residuals - residual_shift_ : residuals;
  accumulate(cross_, r.size(2) > 0 ? transposed_product(r, wx) : at::zeros({rows.size(0), 0, rows.size(2)}));
  const at::Tensor wr = r * w;
  accumulate(residuals_, wr.sum(1));
  accumulate(squares_, (wr * r).sum(1));
  const at::Tensor t = targets - target_shift_;
  const at::Tensor wt = t * w;
  accumulate(targets_, wt.sum(1));
  accumulate(target_squares_, (wt * t).sum(1));
  weight_ += total;
}

at::Tensor Moments::gram() const {
  at::Tensor result = gram_ / weight_;
  if (with_bias_) {
    const at::Tensor mean = rows_ / weight_;
    result = result - mean.unsqueeze(2) * mean.unsqueeze(1);
  }
  return result;
}

at::Tensor Moments::row_mean() const {
  return with_bias_ ? rows_ / weight_ + shift_.squeeze(1) : at::zeros_like(rows_);
}

at::Tensor Moments::centred_cross() const {
  at::Tensor result = cross_ / weight_;
  if (with_bias_) result = result - (residuals_ / weight_).unsqueeze(2) * (rows_ / weight_).unsqueeze(1);
  return result;
}

std::optional<WeightChange> Moments::solve(double ridge) const {
  at::Tensor system = gram();
  const double diagonal = system.diagonal(0, 1, 2).mean().item<double>();
  WeightChange change;
  if (diagonal <= 0) {
    change.delta = at::zeros_like(cross_);  // nothing but zeros is read
  } else {
    system.diagonal(0, 1, 2).add_(ridge * diagonal);
    const auto solution = solve_positive(system, centred_cross().transpose(1, 2));
    if (!solution) return std::nullopt;
    change.delta = solution->transpose(1, 2);
  }
  change.offset = at::zeros_like(residuals_);
  if (with_bias_)
    change.offset = residuals_ / weight_ + residual_shift_.squeeze(1) -
                    at::matmul(change.delta, row_mean().unsqueeze(2)).squeeze(2);
  return change;
}

double Moments::relative_error(const WeightChange& change) const {
  // In shifted rows and residuals the offset is larger by delta·shift, smaller by the residuals' shift.
  const at::Tensor& d = change.delta;
  const at::Tensor b = change.offset + at::matmul(d, shift_.to(at::kDouble).transpose(1, 2)).squeeze(2) -
                       residual_shift_.squeeze(1);
  const at::Tensor dx = at::matmul(d, rows_.unsqueeze(2)).squeeze(2);
  const at::Tensor quadratic = (at::bmm(d, gram_) * d).sum(2);
  const at::Tensor left =
      squares_ - 2 * (d * cross_).sum(2) + quadratic - 2 * b * (residuals_ - dx) + weight_ * b * b;
  return std::max(0.0, left.sum().item<double>()) / target_energy();
}

double Moments::relative_error() const {
  const at::Tensor shift = residual_shift_.squeeze(1).to(at::kDouble);
  const at::Tensor all = squares_ + 2 * shift * residuals_ + weight_ * shift * shift;
  return all.sum().item<double>() / target_energy();
}

double Moments::target_energy() const {
  const double energy = (target_squares_ - targets_ * targets_ / weight_).sum().item<double>();
  return std::max(energy, 1e-30);
}

}  // namespace quboprune
