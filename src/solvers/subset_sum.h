#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace quboprune {

/// Whether the table that subset_of_sum() fills, of costs * sum bits, is small enough (64 MiB) to be filled
/// often.
bool has_subset_table(std::size_t costs, std::int64_t sum);

/// A subset of `costs` (each >= 0) that adds up to exactly `sum`, as 0/1 entries, preferring early ones;
/// empty if there is none. Only where has_subset_table().
std::vector<std::uint8_t> subset_of_sum(std::span<const std::int32_t> costs, std::int64_t sum);

}  // namespace quboprune
