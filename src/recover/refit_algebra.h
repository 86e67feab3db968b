#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace quboprune {

// Dense algebra. Products in float32 are oneDNN's own where we are built with it (by which OpenBLAS is beaten
// on processors that it doesn't know), otherwise 1x1 convolutions, which are oneDNN's in every LibTorch: not
// the BLAS that it was built with, as Debian's reference one would take 85 % of a refit. What is solved in
// double is LAPACK's by that BLAS all the same: with OpenBLAS, which the scripts install, that is much
// faster than Eigen in SSE2.

/// aᵀ b for each group: float32 [g, n, p] and [g, n, q] give [g, p, q].
at::Tensor transposed_product(const at::Tensor& a, const at::Tensor& b);
/// a bᵀ for each group: float32 [g, n, c] and [g, o, c] give [g, n, o].
at::Tensor product_with_transposed(const at::Tensor& a, const at::Tensor& b);

/// xᵀ·(w x) over the middle axis for x [groups, n, columns] and wx, its rows times weights: symmetric, of
/// which about half is multiplied.
at::Tensor weighted_gram(const at::Tensor& x, const at::Tensor& wx);

/// The solution of system · x = right for each group, double [g, p, p] (symmetric) and [g, p, r]. Nothing if
/// a system isn't positive definite.
std::optional<at::Tensor> solve_positive(const at::Tensor& system, const at::Tensor& right);

}  // namespace quboprune
