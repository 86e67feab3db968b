#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "quboprune/finetune.h"
#include "quboprune/recover.h"

namespace quboprune {

/// How a cut network is refitted and then trained by the original.
struct DistilOptions {
  RefitOptions refit{};
  /// Of these distil() itself sets teacher, features and judge, and the loss by the judge's.
  FinetuneOptions train{};
  /// Where training has proved itself on the scenes kept back, the refitted network is trained anew on all,
  /// which takes as long again. Without it what only those scenes show is lost again (docs/recover.md).
  bool all_scenes = true;
};

struct DistilResult {
  Graph graph;  ///< the better of the refitted and the trained network
  RefitResult refit;
  FinetuneResult training;
  bool trained = false;  ///< graph is a trained one
  /// The second training, on all scenes, where there was one (its graph moved to `graph` where that is it).
  std::optional<FinetuneResult> on_all_scenes;
  bool on_all_kept = false;  ///< graph is that one's
  /// deciding(judge)'s metric on the calibration scenes that training didn't see, after the refit (which saw
  /// them unless refit.all_scenes is off) and after training; as cut: refit.metric_before.
  double metric_refitted = 0, metric_trained = 0;
  std::vector<std::string> notes;  ///< what the user should know, a sentence each
};

/// Cuts the network by the mask, refits it by least squares (refit()) and trains the result with the original
/// as its teacher, on outputs and, where train.feature_weight is above 0, on cut_features(). Needs no labels.
///
/// No harm: training doesn't see refit.check_share of the calibration scenes; these judge the refitted
/// network, as it would ship, and the trained one. Where training made the metric worse on them, the refitted
/// network is returned. With a single scene there is none to keep back from training, and the notes say so.
///
/// All scenes: otherwise the refitted network is then trained anew on all, and that is returned, unless the
/// scenes kept back, which it has now seen, find even that worse than the refitted network. All figures are
/// of the training without them. A cut that leaves nothing to train ends with the refit.
///
/// data: what `calibration` was taken from. Stopped work returns the better of what there is, and so does
/// training that diverges (training.reason "diverged", metric_trained NaN) and a second training that fails:
/// the notes say so. Otherwise throws InputError as refit() and finetune() do.
/// Source: distillation after Hinton et al. (1503.02531), features after FitNets (1412.6550); that the kept
/// channels need no adapter, the start from a refit and the judgement on other scenes are ours.
DistilResult distil(const ChannelGroups& groups, const Mask& mask, const Dataset& data,
                    std::span<const Sample> calibration, const Judge& judge, const DistilOptions& options,
                    const Control& control = {});

/// Where a cut network can follow the original inside: what reaches the layers that sum over channels some of
/// which are gone (so after batch norm and activation), each tensor once, with the indices that are kept.
/// Numbers of values are those of the original and of slice()'s result alike.
std::vector<Feature> cut_features(const ChannelGroups& groups, const Mask& mask);

}  // namespace quboprune
