#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "quboprune/dataset.h"
#include "quboprune/graph.h"
#include "quboprune/metrics.h"
#include "quboprune/progress.h"

namespace quboprune {

/// A tensor inside a network whose counterpart in the teacher is a target too.
struct Feature {
  int value = -1;    ///< number in Graph::values of the network that is trained
  int teacher = -1;  ///< in the teacher's
  /// Indices of the teacher's axes that the network has kept, in its own order: axis, indices. Axes that
  /// aren't listed are whole.
  std::vector<std::pair<int, std::vector<std::int64_t>>> kept{};
};

/// How a network is trained further, or from scratch.
struct FinetuneOptions {
  std::int64_t steps = 2000;  ///< at least 1, of all runs that share a work folder
  /// Seconds, at least 0; the schedule then follows whichever of steps and time is further on. 0: none.
  double time_limit = 0;
  int batch = 8;  ///< at least 1
  int crop = 96;  ///< random crops of this size; 0: whole samples
  /// Flips and quarter turns (labelled images: mirrored at most). Unset: not of labelled images, whose label
  /// may tell left from right.
  std::optional<bool> augment{};
  /// Adam's at its highest, above 0 and at most 1e30: warmed up over 2 % of the steps, then a cosine to 1 %.
  double learning_rate = 1e-3;
  double weight_decay = 0;  ///< at least 0; Adam's: this times the weight is added to its gradient
  /// Largest norm of the whole gradient, at least 0; keeps rare hard crops from undoing a day. 0: none.
  double clip = 1.0;
  double ema = 0.999;  ///< in [0, 1), of the exponential average of the weights, which is returned; 0: none
  /// Batch norm learns new statistics (true, for training from scratch) or keeps those it has, which is
  /// safer on few crops: re-estimating them hurt in our pilot.
  bool train_batch_norm = false;
  /// Its outputs are a second target: their mean difference (l1) or squared difference (otherwise), for
  /// cross-entropy class_divergences() (Hinton et al., 1503.02531, at temperature 1).
  const Graph* teacher = nullptr;
  /// Of its loss, in [0, 1]; the data's own has 1 - that. 1 where there are no targets, and where judge.loss
  /// is the distance to the original's outputs: targets that there may be don't count then.
  double teacher_weight = 0.5;
  std::vector<Feature> features{};  ///< what to follow the teacher in besides its output; cut_features()
  /// Of the features' part of the teacher's loss: their mean squared differences, each divided by the mean
  /// square of the teacher's feature, averaged over the features and multiplied by the size of the teacher's
  /// output (mean magnitude for l1, mean square otherwise, 1 for cross-entropy). So it has the same meaning
  /// whatever the range of values and the depth. At least 0.
  double feature_weight = 0;
  std::uint64_t seed = 1;
  /// Folder to keep the state in, every minute and at the end, and to take it up from. Empty: none.
  std::filesystem::path work{};
  /// What the state in `work` is of, in the caller's words (network, data, whatever else makes another
  /// training of it): a state with other words isn't taken up. Steps and time limit may change.
  std::string problem{};
  /// Its loss is what is trained; `output`: the mean squared distance to the teacher's outputs.
  Judge judge{};
};

/// The options that make another training of it, in a line, for FinetuneOptions::problem: all but the steps,
/// the time limit, the teacher with its features, and where the state lies.
std::string training_settings(const FinetuneOptions& options);

struct FinetuneResult {
  Graph graph;
  std::int64_t steps = 0;  ///< with those of earlier runs of the same work folder, as are the seconds
  double seconds = 0;
  std::int64_t taken_up = 0;  ///< of these steps: those that were there before
  struct Point {
    std::int64_t step = 0;
    double loss = 0;  ///< mean since the point before
  };
  std::vector<Point> history;  ///< of this run: each 100 steps and the end
  std::string reason;          ///< "steps", "time limit" or "stopped"
  /// Why the last state couldn't be kept in the work folder (its disk is full, say); otherwise empty.
  std::string unsaved;
};

/// Trains all weights (trainable_constants()) with Adam on
/// random crops of the data's calibration part. Stopped runs return what they have; with a work folder the
/// same call goes on from there as if it hadn't been stopped.
/// Constants that nodes read through Identity are parted (with_own_constants()).
/// Networks whose file fixes the batch get their crops one by one, the gradients are added up.
/// Throws InputError if nothing can be trained, there are neither targets nor a teacher, an option is out of
/// range, a feature doesn't have its teacher's shape, the loss or a weight is no longer finite, or the work
/// folder holds the state of a network of other shapes or of another problem.
FinetuneResult finetune(const Graph& graph, const Dataset& data, const FinetuneOptions& options,
                        const Control& control = {});

/// The constants that are trained: value numbers, ascending. Of convolutions, matrix products, recurrent
/// layers, normalisations and PRelu; and what is added or multiplied, unless it is a single number or a mask
/// (two numbers, one of them 0). Also where they are read in another shape (Unsqueeze, Transpose ...). Not
/// those that aren't finite, that are outputs too, or are also read
/// by what the outputs don't depend on or by subgraphs.
std::vector<int> trainable_constants(const Graph& graph);

}  // namespace quboprune
