#include "solvers/subset_sum.h"

namespace quboprune {
namespace {

std::size_t words_for(std::int64_t sum) {
  return static_cast<std::size_t>(sum) / 64 + 1;
}

}  // namespace

bool has_subset_table(std::size_t costs, std::int64_t sum) {
  return sum < 0 || (costs + 1) * words_for(sum) <= (std::size_t{1} << 23);
}

std::vector<std::uint8_t> subset_of_sum(std::span<const std::int32_t> costs, std::int64_t sum) {
  if (sum < 0) return {};
  const std::size_t n = costs.size();
  const std::size_t words = words_for(sum);
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
