#include "search/cholesky.h"

#include <cmath>
#include <cstddef>

namespace quboprune {
namespace {

/// Four partial sums: without them, strict floating point keeps the compiler from using vectors.
double dot(const double* a, const double* b, std::size_t count) {
  double sum[4] = {0, 0, 0, 0};
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4)
    for (std::size_t lane = 0; lane < 4; ++lane) sum[lane] += a[i + lane] * b[i + lane];
  for (; i < count; ++i) sum[0] += a[i] * b[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

}  // namespace

bool cholesky(std::vector<double>& matrix, std::size_t m) {
  for (std::size_t i = 0; i < m; ++i) {
    double* row = matrix.data() + i * m;
    for (std::size_t j = 0; j < i; ++j) {
      const double* other = matrix.data() + j * m;
      row[j] = (row[j] - dot(row, other, j)) / other[j];
    }
    const double square = row[i] - dot(row, row, i);
    if (!(square > 0)) return false;
    row[i] = std::sqrt(square);
  }
  return true;
}

void solve_lower(const std::vector<double>& factor, std::span<double> b) {
  const std::size_t m = b.size();
  for (std::size_t i = 0; i < m; ++i) {
    const double* row = factor.data() + i * m;
    b[i] = (b[i] - dot(row, b.data(), i)) / row[i];
  }
}

void solve_cholesky(const std::vector<double>& factor, std::span<double> b) {
  solve_lower(factor, b);
  const std::size_t m = b.size();
  for (std::size_t i = m; i-- > 0;) {
    const double* row = factor.data() + i * m;
    b[i] /= row[i];
    for (std::size_t j = 0; j < i; ++j) b[j] -= row[j] * b[i];
  }
}

}  // namespace quboprune
