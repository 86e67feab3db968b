#pragma once

#include <vector>

#include "quboprune/graph.h"

namespace quboprune {

/// By value: made of constants and sizes alone. Equal values in two runs wouldn't tell: a layer that is dead
/// on both inputs gives equal zeros.
std::vector<bool> free_of_data(const Graph& graph);

}  // namespace quboprune
