#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/dataset.h"
#include "quboprune/metrics.h"
#include "quboprune/progress.h"

namespace quboprune {

/// Similarity of groups that the same layer produces (the first, where several do), over calibration samples
/// and positions. A group that several gate points read, or that holds several channels of one, is compared
/// place by place: numerators and squared norms are summed over all of them. Groups that hold different
/// numbers of a gate point's channels aren't compared there: 0 if nowhere.
struct SimilarityBlock {
  std::vector<int> groups;
  std::vector<float> cosine;   ///< m x m, row-major, 1 on the diagonal (0 for a group that is never active)
  std::vector<float> pearson;  ///< the same with each channel's mean over all samples removed; empty unless
                               ///< ScoreOptions::centred
};

/// Layers of more groups have no SimilarityBlock: its memory grows with their square.
constexpr std::size_t kMostCompared = 8192;

/// What one pass over the calibration data says of every group. Lists hold one entry a group unless noted.
struct Scores {
  int groups = 0;
  /// Norms of the filters (weights, not biases) of all of a group's members together.
  std::vector<double> l1, l2;
  /// Mean over samples of |G[n,g]|, in units of the loss; where label_free, of the entries of `probes`.
  std::vector<double> taylor;
  /// (sum of w dL/dw over its filters)², L the mean loss; empty without labels or unless asked for.
  std::vector<double> taylor_weight;
  /// Sum over samples of G[n,g]² / (2n), in squares of taylor's unit.
  std::vector<double> fisher;
  /// Mean square of the activations at the gates; 0: dead on these samples. All 0 if ScoreOptions::similarity
  /// is off.
  std::vector<double> energy;
  int rows = 0;                  ///< of gradients: samples; 0 without labels
  std::vector<float> gradients;  ///< G [rows, groups], row-major
  int probe_rows = 0;            ///< samples x probes
  /// v'df_n/dm_g sqrt(w_n / outputs) [probe_rows, groups], w_n the sample's metric weight
  /// (evaluation/probes.h) over their mean: E[G'G]/rows is Gauss-Newton's J'J of the mean squared output,
  /// samples counting as the metric sees them.
  std::vector<float> probes;
  std::vector<SimilarityBlock> similarity;
  bool label_free = false;  ///< taylor and fisher come from the probes; there are no gradients
};

struct ScoreOptions {
  int probes = 2;                 ///< random output vectors for each sample; 0: none (one, without labels)
  bool similarity = true;         ///< also SimilarityBlocks and energy
  bool centred = false;           ///< SimilarityBlocks with pearson
  bool weight_gradients = false;  ///< also taylor_weight; half as much again as a pass without them
  int batch = 8;                  ///< samples a pass at most; scores don't depend on it, but for rounding and
                                  ///< the order in which probes are drawn
  std::uint64_t seed = 1;         ///< of the probes
};

/// Scores all groups in one pass over the samples.
///
/// A gate of value 1, one for each sample and group, multiplies what each gate point reads; its gradient
/// G[n,g] = sum over the group's channels and positions of (dL_n/da)·a is read off the activations and their
/// gradients, so all gates cost one backward pass. L is summed over samples, not averaged.
/// Without targets (Loss::output, or samples that have none) the loss's gradient vanishes at the original;
/// the probes then stand in for it, see label_free.
/// Throws InputError if there are no samples, one doesn't fit the network's input, or an operator can't be
/// run; Stopped if it is stopped.
/// Source: Taylor, Molchanov et al. 1611.06440 (activation) and 1906.10771 (weight); Fisher, Theis et al.
/// 1801.05787 and Liu et al. 2021 (members inside the square); L1, Li et al. 2017; gates of all samples in
/// one pass and the probes: ours.
Scores score(const ChannelGroups& groups, std::span<const Sample> samples, const Judge& judge,
             const ScoreOptions& options, const Control& control = {});

}  // namespace quboprune
