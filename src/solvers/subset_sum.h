#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace quboprune {

/// A subset of `costs` (each >= 0) that adds up to exactly `sum`, as 0/1 entries, preferring early ones;
/// empty if there is none. Throws InputError if the table of costs.size() * sum bits exceeds 1 GiB.
std::vector<std::uint8_t> subset_of_sum(std::span<const std::int32_t> costs, std::int64_t sum);

}  // namespace quboprune
