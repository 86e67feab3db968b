#pragma once

#include <cstdint>
#include <vector>

#include "quboprune/graph.h"

namespace quboprune {

/// Throws InputError for a shape that no real network has: a negative size, or above 2^31 elements. Damaged
/// files ask for such.
void require_usable(const Node& node, const std::vector<std::int64_t>& shape);

}  // namespace quboprune
