#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace quboprune {

/// New weights as a change against the old ones, by convolution group.
struct WeightChange {
  at::Tensor delta;   ///< double [groups, outputs, columns]
  at::Tensor offset;  ///< double [groups, outputs], added to the outputs
};

/// Everything that a least-squares fit of residuals by rows depends on, gathered chunk by chunk: products in
/// float32 (as fast as a convolution), sums over chunks in double.
///
/// With a bias, rows and residuals are shifted by the first chunk's mean before they are multiplied, targets
/// always: subtracting the product of large means afterwards would leave float32's rounding.
class Moments {
 public:
  explicit Moments(bool with_bias) : with_bias_(with_bias) {}

  /// rows float32 [groups, n, columns]; residuals [groups, n, outputs]: what the old weights' outputs lack;
  /// targets: the same shape; weights [n], at least 0.
  void add(const at::Tensor& rows, const at::Tensor& residuals, const at::Tensor& targets,
           const at::Tensor& weights);
  bool empty() const { return weight_ <= 0; }

  /// argmin sum of weight · |residual - delta·row - offset|² + ridge · mean diagonal · |delta|², the Gram
  /// matrix being centred where there is a bias. Nothing if it can't be solved.
  std::optional<WeightChange> solve(double ridge) const;
  /// The weighted sum of squares of what the change leaves of these residuals, over that of the targets about
  /// their mean.
  double relative_error(const WeightChange& change) const;
  double relative_error() const;

  /// Weighted mean of x xᵀ, centred where there is a bias; [groups, columns, columns].
  at::Tensor gram() const;
  /// Weighted mean of the rows; zeros without a bias.
  at::Tensor row_mean() const;

 private:
  at::Tensor centred_cross() const;
  double target_energy() const;

  bool with_bias_;
  double weight_ = 0;
  at::Tensor shift_;                          // [groups, 1, columns]
  at::Tensor residual_shift_, target_shift_;  // [groups, 1, outputs]
  at::Tensor gram_, cross_;                // [g, c, c], [g, o, c]
  at::Tensor rows_, residuals_, squares_;  // [g, c], [g, o], [g, o]
  at::Tensor targets_, target_squares_;    // [g, o]
};

}  // namespace quboprune
