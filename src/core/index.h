#pragma once

#include <cstddef>

namespace quboprune {

/// Numbers of nodes, values, groups and labels are ints, as -1 stands for none: this one indexes.
constexpr std::size_t at_index(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace quboprune
