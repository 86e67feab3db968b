#pragma once

#include <vector>

#include "quboprune/graph.h"

namespace quboprune {

/// By node: those that the outputs need, those wanted `anyway`, and what these read. `given` marks values
/// that needn't be made, besides constants; empty: none.
std::vector<char> kept_nodes(const Graph& graph, const std::vector<char>& anyway,
                             const std::vector<char>& given = {});

}  // namespace quboprune
