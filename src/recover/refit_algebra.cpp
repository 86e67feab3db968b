#include "recover/refit_algebra.h"

#include <ATen/Functions.h>

#include <Eigen/Cholesky>
#include <algorithm>

namespace quboprune {
namespace {

constexpr std::int64_t kGramBlock = 128;  // rows at once; only what lies right of the diagonal is multiplied

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Map<Matrix> view(const at::Tensor& tensor, std::int64_t group) {
  auto* data = static_cast<double*>(tensor.data_ptr()) + group * tensor.size(1) * tensor.size(2);
  return {data, tensor.size(1), tensor.size(2)};
}

}  // namespace

at::Tensor transposed_product(const at::Tensor& a, const at::Tensor& b) {
  const auto g = a.size(0);
  const auto n = a.size(1);
  const auto p = a.size(2);
  const auto q = b.size(2);
  // Narrow ones aren't worth the reordering.
  if (p * q < 64 || n == 0) return at::bmm(a.transpose(1, 2), b);
  const at::Tensor kernels = a.transpose(1, 2).contiguous().view({g * p, n, 1, 1});
  const at::Tensor image = b.contiguous().view({1, g * n, q, 1});
  return at::convolution(image, kernels, {}, {1, 1}, {0, 0}, {1, 1}, false, {0, 0}, g)
      .contiguous()
      .view({g, p, q});
}

at::Tensor weighted_gram(const at::Tensor& x, const at::Tensor& wx) {
  const auto columns = x.size(2);
  if (columns < 2 * kGramBlock) return transposed_product(wx, x);
  at::Tensor result = at::empty({x.size(0), columns, columns}, x.options());
  for (std::int64_t from = 0; from < columns; from += kGramBlock) {
    const auto to = std::min(from + kGramBlock, columns);
    const at::Tensor rows = transposed_product(wx.slice(2, from, to), x.slice(2, from));
    result.slice(1, from, to).slice(2, from).copy_(rows);
    result.slice(2, from, to).slice(1, to).copy_(rows.slice(2, to - from).transpose(1, 2));
  }
  return result;
}

at::Tensor product(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor left = a.contiguous();
  const at::Tensor right = b.contiguous();
  at::Tensor result = at::empty({a.size(0), a.size(1), b.size(2)}, a.options());
  for (std::int64_t k = 0; k < a.size(0); ++k) view(result, k).noalias() = view(left, k) * view(right, k);
  return result;
}

std::optional<at::Tensor> solve_positive(const at::Tensor& system, const at::Tensor& right) {
  const at::Tensor matrix = system.contiguous();
  at::Tensor result = right.clone().contiguous();
  for (std::int64_t k = 0; k < matrix.size(0); ++k) {
    const Eigen::LLT<Matrix> factor(view(matrix, k));
    if (factor.info() != Eigen::Success) return std::nullopt;
    auto x = view(result, k);
    factor.solveInPlace(x);
  }
  return result;
}

}  // namespace quboprune
