#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/dataset.h"
#include "quboprune/graph.h"
#include "quboprune/mask.h"
#include "quboprune/metrics.h"
#include "quboprune/progress.h"

namespace quboprune {

/// How the weights behind a cut are repaired without gradients of the weights and without labels. Shared by
/// refit() and reestimate_batch_norm(). docs/recover.md has the measurements behind the defaults.
struct RefitOptions {
  /// Strengths of the pull towards the old weights, as shares of the mean diagonal of the layer's Gram
  /// matrix; the one that serves the checking scenes best is taken, layer by layer. Each above 0.
  std::vector<double> ridges{1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0};
  /// Share of the calibration scenes that the fit doesn't see, on which ridge and harm are judged; in (0, 1).
  /// With one scene only, that share of its samples instead (RefitResult::notes then says so).
  double check_share = 0.3;
  /// Once the scenes kept back have decided what is repaired, and with which ridges, that is fitted anew on
  /// all scenes. Without it RefitResult's figures are those of its graph.
  bool all_scenes = true;
  /// Weighs positions by how much the output depends on them: the squared derivative of the output, by one
  /// random probe through the original network. Takes care of saturating outputs (Sigmoid), where unweighted
  /// least squares did harm.
  bool weigh_by_output = true;
  /// A layer is fitted on at most this many positions (at least 1) for each unknown of an output channel,
  /// drawn evenly.
  double positions_per_unknown = 50;
  /// Bytes for kept outputs of the original (a quarter; beyond it layers are fitted on fewer positions),
  /// activations of the cut network (half; beyond it they are computed anew for each layer, which is slower)
  /// and Gram matrices (a layer whose own takes more than an eighth keeps its weights).
  std::size_t memory_limit = std::size_t{2} << 30U;
  std::uint64_t seed = 1;  ///< of the choice of scenes, positions and probes
};

/// What became of one layer.
struct RefitLayer {
  std::string name;         ///< the node's
  int node = -1;            ///< number in Graph::nodes, the same before and after the cut
  double error_before = 0;  ///< |dense output - output|² / |dense output|² about its mean, on checking scenes
  double error_after = 0;  ///< the same with the new weights, before they were fitted on these scenes too
  double ridge = 0;        ///< the one taken; 0 where the old weights were kept
  bool kept_old = false;
  std::string note;  ///< why the old weights were kept, or what else is worth knowing; usually empty
};

struct RefitResult {
  Graph graph;  ///< the cut network with its new weights, in the file's own types
  std::vector<RefitLayer> layers;
  double metric_before = 0;  ///< of the cut network, by deciding(judge), mean over the checking samples
  /// Of the repaired one, before it was fitted on these samples too; never worse than metric_before.
  double metric_after = 0;
  double seconds = 0;
  std::string reason;              ///< why it ended: "done" or "stopped"
  std::vector<std::string> notes;  ///< what the user should know, a sentence each
};

/// Cuts the network by the mask and refits the layers that read what was cut: Conv (grouped, dilated,
/// strided), ConvTranspose, depthwise (a scale and a bias a channel), Gemm and MatMul with constant weights.
///
/// For each layer in order: W, b = argmin |Y - W x - b|² + ridge·|W - W_old|², x: its inputs in the cut and
/// already refitted network, Y: its outputs in the original one (those channels that are kept), both on
/// calibration samples. Biases take up the mean (into the batch norm behind where a layer has none); no
/// parameter is added.
///
/// No harm: a share of the calibration *scenes* isn't fitted on. First all layers whose own error falls on
/// those are repaired, and the judge's metric on those is asked once; unless that makes up for four fifths of
/// the loss, a second walk asks it at every layer, which keeps its old weights where it gets worse. The
/// better of both is taken, and never anything worse than the cut network. Without targets the metric is
/// the distance to the original's outputs. refit() at last, not a Refitter, undoes a repair that is worse
/// than none on the calibration data as a whole.
///
/// All scenes: the layers that this repaired are then fitted with the same ridges on all scenes. What only
/// the scenes kept back show (a colour, say) would else be left to chance. All figures are of the fit without
/// them.
///
/// Stopped work returns the layers done so far. Throws InputError if the mask would empty a layer, the
/// calibration is empty or doesn't fit the network, or an option is out of range.
/// Source: least-squares reconstruction after ThiNet (1707.06342), He et al. (1707.06168) and OSSCAR (ICML
/// 2024); the pull towards old weights, the check on other scenes, the fit on all of them after it and the
/// weighting are ours.
RefitResult refit(const ChannelGroups& groups, const Mask& mask, std::span<const Sample> calibration,
                  const Judge& judge, const RefitOptions& options = {}, const Control& control = {});

/// refit() for many masks on the same data: the original network is run and differentiated once, here.
class Refitter {
 public:
  /// Throws InputError as refit() does. `groups` must outlive it.
  Refitter(const ChannelGroups& groups, std::span<const Sample> calibration, const Judge& judge,
           const RefitOptions& options = {}, const Control& control = {});
  ~Refitter();
  Refitter(const Refitter&) = delete;
  Refitter& operator=(const Refitter&) = delete;

  RefitResult operator()(const Mask& mask, const Control& control = {}) const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

/// Cuts the network by the mask and estimates the means and variances of its BatchNormalization nodes anew on
/// the calibration samples, in order, each from the network with those before it done. The same no-harm rule,
/// a node at a time; of the options only check_share, memory_limit and seed matter.
RefitResult reestimate_batch_norm(const ChannelGroups& groups, const Mask& mask,
                                  std::span<const Sample> calibration, const Judge& judge,
                                  const RefitOptions& options = {}, const Control& control = {});

/// What one layer of the original network reads, as second moments: all that its best linear repair depends
/// on, whichever inputs go.
///
/// A column is one weight of an output: channel-major, column = channel · taps + tap, channel within the
/// layer's convolution group. So the Gram matrix is channels x channels blocks of taps x taps.
struct InputGram {
  int gate = -1;    ///< number in ChannelGroups::gates()
  int node = -1;    ///< number in Graph::nodes
  int taps = 1;     ///< kernel positions
  at::Tensor gram;  ///< double [conv groups, columns, columns]: weighted mean of x xᵀ less the means' product
  at::Tensor mean;    ///< double [conv groups, columns]; zero where the layer has no bias to take it up
  at::Tensor weight;  ///< double [conv groups, outputs a group, columns]
};

/// Gram matrices of the original network, for refits of many masks: one Cholesky solve a layer, kept for the
/// sets of inputs already seen. The layers are fitted independently on the original's activations; no check
/// for harm: the caller measures the mask's value anyway.
class GramCache {
 public:
  /// Runs the network once over all samples. Layers whose Gram matrices don't fit into memory_limit together
  /// are left out, largest first (see left_out()). Changes that were solved for take as much again at most.
  /// Copies the groups. Throws InputError as refit() does.
  GramCache(const ChannelGroups& groups, std::span<const Sample> samples, const Judge& judge,
            std::size_t memory_limit = std::size_t{1} << 30U, const Control& control = {});
  ~GramCache();
  GramCache(const GramCache&) = delete;
  GramCache& operator=(const GramCache&) = delete;

  /// Gives the layers of `sliced`, which slice() made by the same mask, new weights. Safe from several
  /// threads. ridge: as in RefitOptions; throws InputError unless it is above 0.
  void refit(const Mask& mask, Graph& sliced, double ridge = 1e-2) const;

  /// By gate point, for those that layers with constant weights read: for who needs the matrices (up to a
  /// gigabyte), and no refits.
  std::vector<InputGram> take_grams() &&;
  /// Names of layers that memory had no room for.
  const std::vector<std::string>& left_out() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace quboprune
