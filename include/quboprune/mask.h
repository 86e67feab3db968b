#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace quboprune {

/// One entry per channel group (or QUBO variable): 1 = kept, 0 = removed.
using Mask = std::vector<std::uint8_t>;

/// Number of kept entries.
inline int kept_count(const Mask& mask) {
  return static_cast<int>(std::count(mask.begin(), mask.end(), std::uint8_t{1}));
}

}  // namespace quboprune
