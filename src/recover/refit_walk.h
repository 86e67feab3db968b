#pragma once

#include <span>
#include <vector>

#include "quboprune/recover.h"
#include "recover/refit_bench.h"
#include "recover/refit_linear.h"
#include "recover/refit_moments.h"
#include "recover/refit_targets.h"

namespace quboprune {

/// What no mask changes: the samples, what the original makes of them, and who judges.
struct Refitter::State {
  State(const ChannelGroups& groups, std::span<const Sample> calibration, const Judge& judge,
        const RefitOptions& options, const Control& control);

  const ChannelGroups& groups;
  const RefitOptions options;
  const FitAndCheck data;
  TargetPass pass;
  Trial trial;
  double dense_metric = 0;
};

/// How a walk decides; see RefitWalk.
enum class Manner { trusting, guarded, settled };

/// One walk through the layers.
///
/// A trusting walk takes what lowers a layer's own error on the checking samples and leaves the metric to the
/// end: layers repaired together can help where each alone does harm. A guarded one asks the metric at every
/// layer, so that its result is never worse than the cut network. A settled one takes over which layers an
/// earlier walk repaired, with which ridges, and fits them on all samples.
class RefitWalk {
 public:
  /// `settled`: the layers of the walk that a settled one takes over, in its order. All must outlive it.
  RefitWalk(const Refitter::State& shared, const Mask& mask, const Control& control, Manner manner,
            std::span<const RefitLayer> settled = {})
      : shared_(shared),
        manner_(manner),
        settled_(settled),
        control_(control),
        bench_(shared.groups, mask, shared.data, shared.trial, shared.options) {}

  /// To be called once. A stopped walk gives what is repaired so far, its reason being "stopped". A
  /// settled walk whose layers can't be fitted on all samples ends as "failed", half done.
  RefitResult run();

  bool not_worse(double a, double than) const { return bench_.not_worse(a, than); }
  double cut_metric() const { return bench_.cut_metric(); }      ///< before any repair
  const Graph& cut_graph() const { return bench_.cut_graph(); }  ///< before any repair

 private:
  struct Candidate {
    double ridge = 0;
    double error = 0;
    WeightChange change;
  };

  const char* stage() const;
  std::vector<int> layers_to_visit() const;
  RefitLayer refit_node(int node);
  bool refit_as(const RefitLayer& before);
  void choose(const LinearLayer& layer, const Moments& fit, const Moments& check, RefitLayer& result);
  void accept(const LinearLayer& layer, const Candidate& candidate, double metric, RefitLayer& result);
  Changes changes_of(const LinearLayer& layer, const WeightChange& change) const;

  const Refitter::State& shared_;
  Manner manner_;
  std::span<const RefitLayer> settled_;
  const Control& control_;
  Bench bench_;
};

}  // namespace quboprune
