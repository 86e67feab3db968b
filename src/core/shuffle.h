#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "quboprune/random.h"

namespace quboprune {

/// All orders alike (Fisher and Yates). The same seed gives the same order on every platform, which
/// std::shuffle doesn't promise.
template <typename T>
void shuffle(std::vector<T>& items, Rng& rng) {
  for (std::size_t i = items.size(); i > 1; --i)
    std::swap(items[i - 1], items[rng.below(static_cast<std::uint32_t>(i))]);
}

}  // namespace quboprune
