#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/graph.h"

namespace quboprune {

/// A shape for each of a network's inputs.
using InputShapes = std::vector<std::vector<std::int64_t>>;

/// What to fill in for sizes that the file leaves open, the most likely first, without repetitions: one entry
/// where it leaves none open.
struct ProbeSizes {
  std::vector<InputShapes> shapes;
  std::string words;    ///< "128, 64, ... and each from 16 to 160", for errors
  bool wanted = false;  ///< the first is the sample's
};

/// For a first run, with a batch of one. `sample` comes first if it fits the first input (after the usual
/// sizes, if it is large).
/// Throws InputError for an input whose shape the file doesn't give, or gives with more than 2^30 elements.
ProbeSizes first_sizes(const Graph& graph, const SampleSizes& sample);

/// For a second run, which tells what depends on the input: other sizes than the first run's, with other
/// batches; at the end the first run's own, for networks that take no other.
std::vector<InputShapes> other_sizes(const Graph& graph, const InputShapes& first);

}  // namespace quboprune
