#pragma once

#include "ops/base/coupling.h"
#include "quboprune/channel_groups.h"
#include "quboprune/random.h"

namespace quboprune {

/// All that the walk over the graph found; lives as long as a ChannelGroups needs it.
struct Analysis {
  explicit Analysis(Graph g) : graph(std::move(g)) {}
  Graph graph;
  Probe probe;
  std::vector<std::vector<std::int64_t>> input_shapes;        ///< of the probe's first run
  std::vector<std::vector<std::int64_t>> other_input_shapes;  ///< of its second; the same for a fixed size
  std::unique_ptr<Coupling> coupling;                         ///< on graph and probe
  std::vector<int> group_of_root;  ///< by label; -1 for one that stays or isn't a root
};

/// Runs the graph on two inputs of different sizes, of which the first is the sample's if that isn't large.
/// Fills probe, input_shapes and other_input_shapes.
void probe(Analysis& analysis, const SampleSizes& sample);

/// Numbers for an input of this shape, by its declared type: uniform in [0, 1), or zeros for whole numbers
/// and truth values, which may be indices.
at::Tensor random_input(const Value& value, const std::vector<std::int64_t>& shape, Rng& rng);

}  // namespace quboprune
