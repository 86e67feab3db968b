#pragma once

#include <string>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/executor.h"

namespace quboprune {

/// The smaller graph: constants cut, attributes and shape inputs adapted, declared shapes with them. Shares
/// what it doesn't cut. A branch that the mask empties (ChannelGroups::branches()) is replaced by what it
/// gives without input, its bias; its nodes stay behind, unread. mask: one entry a group. Throws InputError
/// if the mask would empty another axis.
Graph slice(const ChannelGroups& groups, const Mask& mask);

/// For saving: the sliced graph without the nodes of `file` that no output depends on any more, and without
/// additions of zero where branches were.
Graph without_dead_branches(const Graph& file, Graph sliced);

/// How to run the network with its channels removed but not cut: what each gate point reads is multiplied by
/// the mask, or, in means, weighted by it. Keeps nothing of its arguments. A run with it throws InputError
/// where a gated axis isn't as long as it was in the analysis.
RunOptions masked_run(const ChannelGroups& groups, const Mask& mask);

/// What came out of comparing two networks that should compute the same.
struct Equivalence {
  /// Of the output and size that uses up most of its tolerance, over its elements; infinite where sizes
  /// differ.
  double max_abs_difference = 0;
  double tolerance = 0;             ///< what arithmetic in another order may change that output by
  std::vector<std::string> shapes;  ///< of the inputs tried
  /// The first node whose values differ by more, or why the smaller network can't be run; else empty.
  std::string where;
  bool holds() const { return max_abs_difference <= tolerance; }
};

/// Runs the dense network as masked_run() says and the sliced one on random inputs of several sizes and
/// batches.
///
/// Tolerance: float32 sums of n terms in another order differ by at most about 2^-24 · sqrt(n) · |terms|
/// each, adding up over layers; we allow 64 · 2^-24 · (1 + number of layers) · the output's largest element,
/// or 1e-6 if that is smaller (2^-53 for one in float64; whole numbers must be the same). The 64 and the 1e-6
/// are chosen, not derived. An output that nearly cancels can be smaller than its rounding. So where the
/// difference is larger, both networks run in float64 too: what falls at least 2^20-fold there (the unit
/// roundoff falls 2^29-fold) is rounding, and allowed. Elements that are the same infinity, or no number, in
/// both agree. Throws InputError where the original puts out no finite number at all.
Equivalence verify(const ChannelGroups& groups, const Mask& mask, const Graph& sliced);

}  // namespace quboprune
