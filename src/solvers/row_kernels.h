#pragma once

#include <cstddef>
#include <cstdint>

namespace quboprune {

/// Variables are handled in groups of this many; each group's smallest and largest key are kept.
inline constexpr std::size_t kKeyGroup = 512;
/// Rows are padded with zeros to a multiple of this, so that the kernels have no tail.
inline constexpr std::size_t kRowPadding = 64;

/// The keys of all variables, and per group of kKeyGroup their extremes.
struct KeyView {
  std::int32_t* keys = nullptr;      ///< `length` entries
  std::int32_t* smallest = nullptr;  ///< one per group
  std::int32_t* largest = nullptr;   ///< one per group
  std::size_t length = 0;            ///< a multiple of kRowPadding
};

/// keys += factor * row, and the groups' extremes, in one pass. |factor * row| must fit 16 bits for
/// int8 rows; for the wider ones factor is +1 or -1. Chosen at run time for the processor.
void add_row(const KeyView& view, const std::int8_t* row, int factor);
void add_row(const KeyView& view, const std::int16_t* row, int factor);
void add_row(const KeyView& view, const std::int32_t* row, int factor);

/// keys += factor * (in - out): both flips of a swap in one pass.
void add_row_difference(const KeyView& view, const std::int8_t* in, const std::int8_t* out, int factor);
void add_row_difference(const KeyView& view, const std::int16_t* in, const std::int16_t* out, int factor);
void add_row_difference(const KeyView& view, const std::int32_t* in, const std::int32_t* out, int factor);

/// The groups' extremes alone, after keys were changed one by one.
void scan_keys(const KeyView& view);

/// Where `value` first occurs in view.keys from a start that `spin` (any number) chooses, cyclically;
/// the value must be the recorded smallest (or largest, if `of_largest`) of at least one group.
std::size_t find_key(const KeyView& view, std::int32_t value, bool of_largest, std::uint64_t spin);

/// What may be added beside one removal: value_j = fields[j] - couplings[j] where least <= costs[j] <= most.
struct SwapScan {
  const std::int32_t* fields;  ///< kNoSwap where j may not be added
  const std::int32_t* costs;
  const std::int32_t* couplings;
  std::size_t length;
  std::int32_t least, most;
};
/// Above any field (below 2^28) less any coupling.
inline constexpr std::int32_t kNoSwap = std::int32_t{1} << 30;

/// The smallest value, kNoSwap or near it if there is none; a loop without branches, for vectors.
std::int32_t smallest_swap(const SwapScan& scan);
/// The first j that has it.
std::size_t find_swap(const SwapScan& scan, std::int32_t value);

}  // namespace quboprune
