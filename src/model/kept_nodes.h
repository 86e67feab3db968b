#pragma once

#include <vector>

#include "quboprune/graph.h"

namespace quboprune {

/// By node: those that the outputs need, those wanted `anyway`, and what these read.
std::vector<char> kept_nodes(const Graph& graph, const std::vector<char>& anyway);

}  // namespace quboprune
