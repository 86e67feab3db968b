#include "recover/refit_positions.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>

namespace quboprune {

at::Tensor spread_positions(std::int64_t n, double share, Rng& rng) {
  const auto count = std::min<std::int64_t>(n, std::llround(std::ceil(share * static_cast<double>(n))));
  if (count == n) return at::arange(n, at::kLong);
  at::Tensor positions = at::empty({count}, at::kLong);
  auto* numbers = static_cast<std::int64_t*>(positions.data_ptr());
  const double stretch = static_cast<double>(n) / static_cast<double>(count);
  for (std::int64_t i = 0; i < count; ++i) {
    const double at = (static_cast<double>(i) + rng.uniform()) * stretch;
    numbers[i] = std::min<std::int64_t>(n - 1, static_cast<std::int64_t>(at));
  }
  return positions;
}

}  // namespace quboprune
