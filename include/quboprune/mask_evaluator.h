#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/dataset.h"
#include "quboprune/evaluation.h"
#include "quboprune/mask_search.h"
#include "quboprune/metrics.h"
#include "quboprune/recover.h"

namespace quboprune {

struct EvaluatorOptions {
  bool refit = false;  ///< the value of a mask is that of the network after refit, as it would ship
  /// What that refit is fitted on; nullptr: the samples that judge. Other samples are better: on those that a
  /// repair was fitted on, the metric flatters the mask.
  std::shared_ptr<const GramCache> grams{};
  double ridge = 1e-2;                               ///< of that refit
  std::size_t memory_limit = std::size_t{1} << 30U;  ///< bytes for the refit's Gram matrices
  /// Bytes for activations that masks share; 0: every mask runs on its own.
  std::size_t shared_bytes = std::size_t{1} << 30U;
  /// Bytes for kernels of fast convolutions (by Winograd's algorithm, where the processor and the build have
  /// them); 0: none. They round several times as much as others, which changes values by far less than masks
  /// differ.
  std::size_t fast_bytes = std::size_t{1} << 28U;
  /// objective() gives a mask up when it is worse than the best so far by a test at this level (see there),
  /// in [0, 0.5); 0: every mask sees all samples.
  double race = 0.05;
  int at_once = 4;         ///< samples run together, at least 1; a race looks after every batch
  std::uint64_t seed = 1;  ///< of the order in which the samples come, and so of which are run together
};

/// The true value of masks: the metric of the cut network on samples, lower is better (a metric of which more
/// is better is negated). The network is run as it would ship: removed channels aren't computed. What the
/// masks of one call compute alike (the nodes before the first difference, and branches without one) is
/// computed once. docs/refinement.md has the measurements.
class MaskEvaluator {
 public:
  /// Keeps a reference to `groups`. Runs the original once where outputs are compared with its own. Throws
  /// InputError for an option outside its range, and as GramCache does with refit.
  MaskEvaluator(const ChannelGroups& groups, std::vector<Sample> samples, const Judge& judge,
                const EvaluatorOptions& options = {}, const Control& control = {});

  /// +infinity for a mask that empties a layer. Over all samples, as are the following: no race.
  double value(const Mask& mask) const;
  std::vector<double> operator()(std::span<const Mask> masks) const;
  /// The metric as users know it, by mask and then by sample; empty for a mask that empties a layer.
  std::vector<std::vector<double>> by_sample(std::span<const Mask> masks) const;

  /// For search_masks(): values as above, but masks race. The samples come in batches of a few, and after
  /// each a mask is given up where it is worse than the best mask of earlier calls.
  ///
  /// The test, at a level (EvaluatorOptions::race) shared out over the looks, is Student's t
  /// - at first: of the differences' mean, the samples being in an order drawn once from the seed and so a
  ///   draw without replacement from all (correction for their finite number; variance the mean of the mask's
  ///   own and that of the masks of the call before)
  /// - once some dozen masks have seen all samples: of what the differences seen lead one to expect of the
  ///   mean over all samples, by the second moments of earlier masks' differences
  ///   (src/judging/difference_model.h, ours), with deviations that are made as large as the errors of such
  ///   expectations were so far. Batches that tell most come first.
  ///
  /// For top1, whose differences aren't normal: Serfling's inequality (Annals of Statistics 2(1), 1974),
  /// which holds without assumptions, in the drawn order.
  ///
  /// A mask given up gets the best's value plus the mean difference that is expected: always worse than the
  /// best's. Values so depend on the calls before; the same calls give the same values. A search taken up
  /// again knows no best mask until its first new batch, so it may give up others.
  /// Each objective has a race of its own. It refers to this evaluator, which must outlive it.
  MaskObjective objective() const;

  /// The metric as users know it, from a value, and back.
  double metric(double value) const { return metric_of(value, judge().metric); }
  /// Each sample's metric under a network.
  Score score(const Graph& network) const { return judged_.score(network); }
  Graph cut(const Mask& mask) const;  ///< with the refit, where that is on

  const std::vector<Sample>& samples() const { return judged_.samples(); }
  const Judge& judge() const { return judged_.judge(); }
  const EvaluatorOptions& options() const { return options_; }

 private:
  struct Work;  // batches and shared activations; src/judging/mask_evaluator.cpp
  struct Leader;

  double sign() const { return larger_is_better(judge().metric) ? -1 : 1; }  ///< makes lower better
  /// The cut as it is run: batch norms folded, chains of convolutions in a faster layout.
  Graph fast_form(const Mask& mask) const;
  double mean_of(const std::vector<double>& values) const;
  std::vector<double> evaluate(std::span<const Mask> masks, Leader* leader) const;

  const ChannelGroups& groups_;
  NetworkJudge judged_;
  EvaluatorOptions options_;
  std::shared_ptr<Work> work_;
};

}  // namespace quboprune
