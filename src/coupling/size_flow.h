#pragma once

#include "coupling/analysis.h"

namespace quboprune {

/// Follows the sizes of channel axes through Shape and the arithmetic behind it. Where a size becomes the
/// shape, bound or count of an operator that is known to take one, it is noted (Coupling::size_sources), so
/// that surgery can put the right number there; where it is calculated with, the axis is frozen. Call after
/// all nodes are coupled.
void follow_sizes(Analysis& analysis);

/// Is the node's k-th input a shape, a bound or a count, and nothing else?
bool is_size_input(const Node& node, std::size_t k);

}  // namespace quboprune
