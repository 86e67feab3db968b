#pragma once

#include <span>
#include <vector>

namespace quboprune {

/// Factorises a symmetric positive definite matrix (m x m, row-major, lower half read) in place into L with
/// L L' = A; false if it isn't positive definite. By rows, so that the inner loop is a dot product.
bool cholesky(std::vector<double>& matrix, std::size_t m);

/// Solves L y = b in place.
void solve_lower(const std::vector<double>& factor, std::span<double> b);
/// Solves L L' x = b in place.
void solve_cholesky(const std::vector<double>& factor, std::span<double> b);

}  // namespace quboprune
