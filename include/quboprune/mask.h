#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace quboprune {

/// One entry per channel group (or QUBO variable): 1 = kept, 0 = removed.
using Mask = std::vector<std::uint8_t>;

/// Number of kept entries.
inline int kept_count(const Mask& mask) {
  return static_cast<int>(std::ranges::count_if(mask, [](std::uint8_t kept) { return kept != 0; }));
}

}  // namespace quboprune
