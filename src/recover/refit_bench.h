#pragma once

#include <span>
#include <string>
#include <vector>

#include "quboprune/recover.h"
#include "recover/refit_lockstep.h"
#include "recover/refit_targets.h"

namespace quboprune {

/// Which samples are fitted on, and which judge.
struct CheckSplit {
  std::vector<Sample> fit, check;
  std::string note;  ///< empty where whole scenes could be kept back
};

/// Keeps back `share` of the scenes (at least one, at most all but one), drawn by `seed`; of a single scene's
/// samples the same share; a single sample serves both. Throws InputError if there is none.
CheckSplit check_split(std::span<const Sample> samples, double share, std::uint64_t seed);

/// The metric on some batches of samples.
class Trial {
 public:
  Trial(std::vector<Sample> samples, const Judge& judge) : samples_(std::move(samples)), judge_(judge) {}

  /// The original's outputs, batch by batch in order, kept as references.
  void add_references(const at::Tensor& outputs, std::size_t count) { split(outputs, count, references_); }
  /// Mean of the metric for outputs given batch by batch in order.
  double score(const std::vector<at::Tensor>& outputs, std::span<const std::size_t> counts) const;
  bool not_worse(double a, double than) const {
    return error_of(a, judge_.metric) <= error_of(than, judge_.metric);
  }

 private:
  static void split(const at::Tensor& outputs, std::size_t count, std::vector<at::Tensor>& into);
  std::vector<Sample> samples_;
  Judge judge_;
  std::vector<at::Tensor> references_;
};

/// The samples of a repair in batches, those that are fitted on first.
struct FitAndCheck {
  FitAndCheck(const Graph& graph, std::span<const Sample> calibration, const Judge& judge,
              const RefitOptions& options);

  CheckSplit split;
  std::vector<Sample> samples;  ///< of both parts
  std::vector<std::size_t> counts;
  std::vector<std::vector<at::Tensor>> inputs;
  std::size_t fit_batches = 0;

  std::size_t batches() const { return counts.size(); }
  bool checks(std::size_t batch) const { return batch >= fit_batches; }
  JudgedInputs judged(const Judge& judge) const { return {inputs, counts, samples, judge}; }
  std::span<const std::size_t> check_counts() const { return std::span(counts).subspan(fit_batches); }
};

/// Nodes (by number, the same in the original and in the cut network) that read something else than before:
/// those that sum over channels some of which are cut, and what lies behind them.
std::vector<bool> nodes_behind_cut(const ChannelGroups& groups, const Mask& mask);

/// A cut network that is repaired node by node, and its metric on the checking samples; what both kinds of
/// repair work at.
class Bench {
 public:
  /// `trial` holds the original's outputs on the checking samples.
  Bench(const ChannelGroups& groups, const Mask& mask, const FitAndCheck& data, const Trial& trial,
        const RefitOptions& options);

  Lockstep& cut() { return cut_; }
  const Graph& graph() const { return graph_; }          ///< cut, with all changes so far
  double metric() const { return metric_; }              ///< of graph() on the checking samples
  double cut_metric() const { return cut_metric_; }      ///< of the cut network without changes
  const Graph& cut_graph() const { return cut_graph_; }  ///< without changes

  /// The metric with changes at node `node` or behind it.
  double score(int node, const Changes& changes);
  bool not_worse(double a, double than) const { return trial_.not_worse(a, than); }
  /// Takes the changes over, with the metric that score() gave for them.
  void accept(const Changes& changes, double metric);
  /// Where the repair may have to do something.
  bool behind_cut(std::size_t node) const { return behind_cut_[node]; }  ///< see nodes_behind_cut()
  /// The indices of an axis of one of the original's values that are kept; undefined where all are.
  at::Tensor kept(int value, int axis) const;

 private:
  const ChannelGroups& groups_;
  const Mask& mask_;
  const FitAndCheck& data_;
  const Trial& trial_;
  Graph cut_graph_;
  Graph graph_;
  Lockstep cut_;
  double metric_ = 0, cut_metric_ = 0;
  std::vector<bool> behind_cut_;
};

/// A network's inputs for samples stacked into small batches (of one where it asks for that); appends each
/// batch's number of samples to `counts`.
std::vector<std::vector<at::Tensor>> batched_inputs(const Graph& graph, const std::vector<Sample>& samples,
                                                    const Judge& judge, std::vector<std::size_t>& counts);

/// Throws InputError for options out of range.
void check_options(const RefitOptions& options);

}  // namespace quboprune
