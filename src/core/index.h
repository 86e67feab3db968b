#pragma once

#include <concepts>
#include <cstddef>

namespace quboprune {

/// Numbers of nodes, values, groups and labels are ints, as -1 stands for none, and sizes of tensors signed
/// too: this one indexes.
constexpr std::size_t at_index(std::signed_integral auto i) {
  return static_cast<std::size_t>(i);
}

}  // namespace quboprune
