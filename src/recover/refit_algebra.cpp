#include "recover/refit_algebra.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "quboprune/error.h"
#ifdef QUBOPRUNE_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#endif

namespace quboprune {
namespace {

constexpr std::int64_t kGramBlock = 128;  // rows at once; only what lies right of the diagonal is multiplied

#ifdef QUBOPRUNE_ONEDNN
bool is_row_major(const at::Tensor& t) {
  return t.scalar_type() == at::kFloat && t.stride(2) == 1 && t.stride(1) >= t.size(2);
}

/// A product of two matrices [g, ., .] as they lie, each of which may be read as its transpose, into result.
void multiply(const at::Tensor& a, bool transposed_a, const at::Tensor& b, bool transposed_b,
              at::Tensor& result) {
  const auto inner = transposed_a ? a.size(1) : a.size(2);
  const auto at_group = [](const at::Tensor& t, std::int64_t k) {
    return static_cast<float*>(t.data_ptr()) + k * t.stride(0);
  };
  for (std::int64_t k = 0; k < result.size(0); ++k) {
    const auto status = dnnl_sgemm(transposed_a ? 'T' : 'N', transposed_b ? 'T' : 'N', result.size(1),
                                   result.size(2), inner, 1, at_group(a, k), a.stride(1), at_group(b, k),
                                   b.stride(1), 0, at_group(result, k), result.stride(1));
    check(status == dnnl_success, "oneDNN's sgemm refused a product");
  }
}
#endif

}  // namespace

at::Tensor transposed_product(const at::Tensor& a, const at::Tensor& b) {
  const auto g = a.size(0);
  const auto n = a.size(1);
  const auto p = a.size(2);
  const auto q = b.size(2);
#ifdef QUBOPRUNE_ONEDNN
  if (p > 0 && q > 0 && n > 0 && is_row_major(a) && is_row_major(b)) {
    at::Tensor result = at::empty({g, p, q}, a.options());
    multiply(a, true, b, false, result);
    return result;
  }
#endif
  // Narrow ones aren't worth the reordering.
  if (p * q < 64 || n == 0) return at::bmm(a.transpose(1, 2), b);
  const at::Tensor kernels = a.transpose(1, 2).contiguous().view({g * p, n, 1, 1});
  const at::Tensor image = b.contiguous().view({1, g * n, q, 1});
  return at::convolution(image, kernels, {}, {1, 1}, {0, 0}, {1, 1}, false, {0, 0}, g)
      .contiguous()
      .view({g, p, q});
}

at::Tensor product_with_transposed(const at::Tensor& a, const at::Tensor& b) {
#ifdef QUBOPRUNE_ONEDNN
  if (a.numel() > 0 && b.numel() > 0 && is_row_major(a) && is_row_major(b)) {
    at::Tensor result = at::empty({a.size(0), a.size(1), b.size(1)}, a.options());
    multiply(a, false, b, true, result);
    return result;
  }
#endif
  return at::bmm(a, b.transpose(1, 2));
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

std::optional<at::Tensor> solve_positive(const at::Tensor& system, const at::Tensor& right) {
  const auto [factor, failed] = at::linalg_cholesky_ex(system);
  if (failed.any().item<bool>()) return std::nullopt;
  return at::cholesky_solve(right, factor).contiguous();
}

}  // namespace quboprune
