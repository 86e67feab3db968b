#include "solvers/subset_sum.h"

#include <string>

#include "quboprune/error.h"

namespace quboprune {

std::vector<std::uint8_t> subset_of_sum(std::span<const std::int32_t> costs, std::int64_t sum) {
  if (sum < 0) return {};
  const std::size_t n = costs.size();
  const std::size_t words = static_cast<std::size_t>(sum) / 64 + 1;
  if ((n + 1) * words > (std::size_t{1} << 27))
    throw InputError("an exact total of " + std::to_string(sum) + " over " + std::to_string(n) +
                     " costs is too large to fill exactly: give costs in coarser units");
  // reach[k]: the sums that costs k..n-1 can make; filled from the end so that early ones are taken first.
  std::vector<std::uint64_t> reach((n + 1) * words, 0);
  reach[n * words] = 1;
  for (std::size_t k = n; k-- > 0;) {
    const std::uint64_t* from = &reach[(k + 1) * words];
    std::uint64_t* to = &reach[k * words];
    const auto shift = static_cast<std::size_t>(costs[k]);
    const std::size_t jump = shift / 64, bits = shift % 64;
    for (std::size_t w = 0; w < words; ++w) {
      to[w] = from[w];
      if (w >= jump) to[w] |= from[w - jump] << bits;
      if (bits > 0 && w > jump) to[w] |= from[w - jump - 1] >> (64 - bits);
    }
  }
  auto reachable = [&](std::size_t k, std::int64_t rest) {
    const auto at = static_cast<std::size_t>(rest);
    return rest >= 0 && (reach[k * words + at / 64] >> (at % 64) & 1) != 0;
  };
  if (!reachable(0, sum)) return {};
  std::vector<std::uint8_t> chosen(n, 0);
  for (std::size_t k = 0; k < n; ++k) {
    if (!reachable(k + 1, sum - costs[k])) continue;
    chosen[k] = 1;
    sum -= costs[k];
  }
  return chosen;
}

}  // namespace quboprune
