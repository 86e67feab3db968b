#pragma once

#include <memory>
#include <span>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/dataset.h"
#include "quboprune/metrics.h"
#include "quboprune/progress.h"
#include "quboprune/recover.h"
#include "quboprune/scores.h"
#include "quboprune/target.h"

namespace quboprune {

struct ReconstructionOptions {
  /// Pull of the repaired weights towards the old ones, as a share of the Gram matrix's mean diagonal: what
  /// the refit that follows has too.
  double ridge = 1e-2;
  int probes = 2;  ///< random output vectors a sample for what the output sees of a layer's error
  /// Bytes for Gram matrices: layers whose own don't fit, largest first, are judged by their Gauss-Newton
  /// diagonals. eliminate() holds the inverse of each besides.
  std::size_t memory_limit = std::size_t{1} << 30U;
  std::uint64_t seed = 1;
};

/// The order in which groups go when each step removes the one that the best linear repair of the layers
/// behind it makes up for best. What a removal adds is meant of the layers that read the group: that errors
/// of its own, in the layer that makes it, no longer count isn't taken off, so sums of these aren't E.
struct Elimination {
  Mask mask;                   ///< what is left at the target
  std::vector<int> order;      ///< of removal, first to last
  std::vector<double> errors;  ///< what each removal of `order` added
  /// For every group what its removal adds: for kept ones if they went next after all of `order` (and what
  /// was put back in the end), for removed ones what they added when they went.
  std::vector<double> marginal;
};

/// Error of the layers behind the cut after their best linear repair, as the output sees it.
///
/// For each layer that reads groups (a convolution or product with constant weights W, inputs x of the
/// original network with Gram matrix G): removing its input columns R and refitting the kept ones K leaves
///
///     E = tr(H · W_R (G_RR - G_RK G_KK⁻¹ G_KR) W_Rᵀ),   H = mean of Jᵀ J over the layer's output positions
///
/// where J is the derivative of the network's output by the layer's outputs, from random probes. E is then a
/// mean squared change of the network's output, whatever the layer: layers compare, groups that several
/// layers read sum up, and errors of outputs that are removed themselves don't count. Groups read by
/// something without a Gram matrix (or left out for memory) add their Gauss-Newton diagonal instead.
/// G has the ridge on its whole diagonal, as the pull of the refit that follows: a weight that goes costs its
/// own pull too, ridge · mean diagonal · H-weighted |w|².
/// Source: elimination after OSSCAR (Meng et al., ICML 2024); the weighting, merging over layers and both
/// sides of a cut: ours.
class Reconstruction {
 public:
  /// Gathers Gram matrices and J on the samples. `scores` gives the diagonals where there is no Gram matrix.
  /// Throws InputError as GramCache does, and for a ridge that isn't a positive number.
  Reconstruction(const ChannelGroups& groups, std::span<const Sample> samples, const Judge& judge,
                 const Scores& scores, const ReconstructionOptions& options = {},
                 const Control& control = {});
  ~Reconstruction();
  Reconstruction(const Reconstruction&) = delete;
  Reconstruction& operator=(const Reconstruction&) = delete;

  /// E summed over layers, from scratch: one Cholesky factor for each layer that lost inputs.
  double error(const Mask& mask) const;
  /// Greedy elimination down to the target; Gram matrices are downdated, not solved again. For parameters and
  /// MACs each step takes the smallest error for the cost it saves, by the marginal cost at that moment, and
  /// what still fits in the end is put back. Stopped work takes the rest by the errors as they stand.
  /// norms_last: groups that means over channels read go when no others may. E is of repaired layers, and
  /// what fewer channels do to a norm isn't repaired. Throws InputError if the target can't be met with one
  /// channel in each layer.
  Elimination eliminate(const Target& target, const Control& control = {}, bool norms_last = false) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace quboprune
