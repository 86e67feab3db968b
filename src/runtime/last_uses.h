#pragma once

#include <vector>

#include "quboprune/graph.h"

namespace quboprune {

/// For each node, the values that no later node reads: what a run may let go after it. Constants and the
/// graph's outputs aren't among them.
std::vector<std::vector<int>> last_uses(const Graph& graph);

}  // namespace quboprune
