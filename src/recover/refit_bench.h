#pragma once

#include <span>
#include <string>
#include <vector>

#include "quboprune/recover.h"
#include "recover/refit_importance.h"
#include "recover/refit_lockstep.h"

namespace quboprune {

/// Which samples are fitted on, and which judge.
struct CheckSplit {
  std::vector<Sample> fit, check;
  std::string note;  ///< empty where whole scenes could be kept back
};

/// Keeps back `share` of the scenes (at least one, at most all but one), drawn by `seed`; of a single scene's
/// samples the same share; a single sample serves both. Throws InputError if there is none.
CheckSplit split_scenes(std::span<const Sample> samples, double share, std::uint64_t seed);

/// The metric on some batches of samples.
class Trial {
 public:
  Trial(std::vector<Sample> samples, const Judge& judge) : samples_(std::move(samples)), judge_(judge) {}

  const std::vector<Sample>& samples() const { return samples_; }
  /// The original's outputs, batch by batch in order, kept as references.
  void add_references(const at::Tensor& outputs, std::size_t count) { split(outputs, count, references_); }
  /// Mean of the metric for outputs given batch by batch in order.
  double score(const std::vector<at::Tensor>& outputs, const std::vector<std::size_t>& counts) const;
  bool not_worse(double a, double than) const {
    return larger_is_better(judge_.metric) ? a >= than : a <= than;
  }
  const std::vector<at::Tensor>& references() const { return references_; }

 private:
  static void split(const at::Tensor& outputs, std::size_t count, std::vector<at::Tensor>& into);
  std::vector<Sample> samples_;
  Judge judge_;
  std::vector<at::Tensor> references_;
};

/// The original and the cut network side by side on the samples that are fitted on and on those that judge;
/// what both kinds of repair work at.
class Bench {
 public:
  Bench(const ChannelGroups& groups, const Mask& mask, std::span<const Sample> calibration,
        const Judge& judge, const RefitOptions& options);

  Lockstep& dense() { return dense_; }
  Lockstep& cut() { return cut_; }
  const Graph& graph() const { return graph_; }  ///< cut, with all changes so far
  std::size_t fit_batches() const { return fit_batches_; }
  std::size_t batches() const { return counts_.size(); }
  /// Both parts, those fitted on first.
  JudgedInputs judged() const { return {inputs_, counts_, samples_, judge_}; }
  /// The fitted samples' size in units of the first batch's.
  double fit_size() const;
  bool checks(std::size_t batch) const { return batch >= fit_batches_; }
  const CheckSplit& split() const { return split_; }
  double metric() const { return metric_; }  ///< of graph() on the checking samples

  double cut_metric() const { return cut_metric_; }      ///< of the cut network without changes
  double dense_metric() const { return dense_metric_; }  ///< of the original
  const Graph& cut_graph() const { return cut_graph_; }  ///< without changes

  /// The metric with changes at node `node` or behind it.
  double score(int node, const Changes& changes);
  bool not_worse(double a, double than) const { return trial_.not_worse(a, than); }
  /// Takes the changes over, with the metric that score() gave for them.
  void accept(const Changes& changes, double metric);
  /// Nodes of the cut network that read other values than in the original: by number.
  const std::vector<bool>& affected() const { return affected_; }
  /// Nodes that sum over channels some of which are cut.
  const std::vector<bool>& reads_cut() const { return reads_cut_; }
  /// The indices of an axis of one of the original's values that are kept; undefined where all are.
  at::Tensor kept(int value, int axis) const;

 private:
  std::vector<std::vector<at::Tensor>> inputs_of(const Graph& graph, const Judge& judge);
  void find_affected();
  std::vector<std::size_t> check_counts() const;

  const ChannelGroups& groups_;
  const Mask& mask_;
  const Judge& judge_;
  Graph cut_graph_;
  Graph graph_;
  CheckSplit split_;
  std::vector<Sample> samples_;  // fit, then check
  std::size_t fit_batches_ = 0;
  std::vector<std::size_t> counts_;
  std::vector<std::vector<at::Tensor>> inputs_;
  Trial trial_;
  Lockstep dense_, cut_;
  double metric_ = 0, cut_metric_ = 0, dense_metric_ = 0;
  std::vector<bool> affected_, reads_cut_;
};

/// A network's inputs for samples stacked into small batches (of one where it asks for that); appends each
/// batch's number of samples to `counts`.
std::vector<std::vector<at::Tensor>> batched_inputs(const Graph& graph, const std::vector<Sample>& samples,
                                                    const Judge& judge, std::vector<std::size_t>& counts);

/// Throws InputError for options out of range.
void check_options(const RefitOptions& options);

}  // namespace quboprune
