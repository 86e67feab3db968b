// Means and variances of batch norms behind a cut, estimated anew.
//
// Few crops don't have the statistics of the data that the network was trained on, so taking theirs over
// hurts even where nothing was cut. What the cut changes can be seen on few crops, though: with the same
// samples through both networks,
//   mean' = mean + (mean of the cut network's input - mean of the original's)
//   var'  = var · (variance of the cut network's input / variance of the original's).
// Nothing cut, nothing changed. (Ours.)

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <chrono>
#include <cmath>

#include "core/clock.h"
#include "core/index.h"
#include "coupling/analysis.h"
#include "quboprune/batches.h"
#include "quboprune/error.h"
#include "quboprune/evaluation.h"
#include "quboprune/recover.h"
#include "recover/refit_bench.h"

namespace quboprune {
namespace {

/// Mean and variance by channel (axis 1) over batches, in double.
class ChannelStatistics {
 public:
  void add(const at::Tensor& data) {
    const at::Tensor x = data.transpose(0, 1).reshape({data.size(1), -1}).to(at::kDouble);
    const double n = static_cast<double>(x.size(1));
    const at::Tensor mean = x.mean(1);
    const at::Tensor squares = (x - mean.unsqueeze(1)).square().sum(1);
    if (count_ == 0) {
      mean_ = mean;
      squares_ = squares;
    } else {  // Chan, Golub and LeVeque's update: no cancellation
      const at::Tensor difference = mean - mean_;
      mean_ = mean_ + difference * (n / (count_ + n));
      squares_ = squares_ + squares + difference.square() * (count_ * n / (count_ + n));
    }
    count_ += n;
  }
  const at::Tensor& mean() const { return mean_; }
  at::Tensor variance() const { return squares_ / count_; }

 private:
  double count_ = 0;
  at::Tensor mean_, squares_;
};

class Reestimation {
 public:
  Reestimation(const ChannelGroups& groups, const Mask& mask, std::span<const Sample> calibration,
               const Judge& judge, const RefitOptions& options, const Control& control)
      : control_(control),
        data_(groups.analysis().graph, calibration, judge, options),
        dense_(groups.analysis().graph, data_.inputs, options.memory_limit / 4),
        trial_(trial_of(judge)),
        bench_(groups, mask, data_, trial_, options) {}

  RefitResult run() {
    RefitResult result;
    result.metric_before = bench_.metric();
    result.reason = "done";
    const auto& nodes = bench_.graph().nodes;
    const std::vector<char> needed = bench_.graph().needed_nodes();  // of a branch that goes nothing is
    for (std::size_t n = 0; n < nodes.size(); ++n) {
      if (nodes[n].op != "BatchNormalization" || !bench_.behind_cut(n) || needed[n] == 0) continue;
      if (control_.stopped()) {
        result.reason = "stopped";
        break;
      }
      result.layers.push_back(reestimate(static_cast<int>(n)));
      control_.report("batch norm", static_cast<double>(n + 1), static_cast<double>(nodes.size()),
                      bench_.metric());
    }
    if (result.layers.empty()) result.notes.emplace_back("no batch norm lies behind the cut");
    result.metric_after = bench_.metric();
    result.graph = bench_.graph();
    if (!data_.split.note.empty()) result.notes.push_back(data_.split.note);
    return result;
  }

 private:
  Trial trial_of(const Judge& judge) {
    Trial trial(data_.split.check, deciding(judge));
    for (std::size_t b = data_.fit_batches; b < data_.batches(); ++b)
      trial.add_references(dense_.finish(0, b, {}), data_.counts[b]);
    return trial;
  }

  RefitLayer reestimate(int n) {
    const Node& node = bench_.graph().nodes[at_index(n)];
    RefitLayer result;
    result.name = node.name;
    result.node = n;
    result.kept_old = true;
    if (!changeable(node)) {
      result.note = "its statistics are computed or shared";
      return result;
    }
    ChannelStatistics before;
    ChannelStatistics after;
    for (std::size_t b = 0; b < data_.fit_batches; ++b) {
      before.add(dense_value(node.input(0), n, b));
      after.add(bench_.cut().before(n, b)[at_index(node.input(0))]);
    }
    result.error_before = result.error_after = output_error(n, {});
    for (double share : {1.0, 0.5}) {
      const Changes changes = changes_of(node, before, after, share);
      const double metric = bench_.score(n, changes);
      if (!bench_.not_worse(metric, bench_.metric())) continue;
      result.error_after = output_error(n, changes);
      bench_.accept(changes, metric);
      result.kept_old = false;
      if (share < 1) result.note = "half of the change";
      return result;
    }
    result.note = "it made the metric worse on other scenes";
    return result;
  }

  bool changeable(const Node& node) const {
    for (std::size_t k : {3U, 4U}) {
      const int v = node.input(k);
      if (v < 0 || bench_.graph().uses(v) != 1 || !bench_.graph().values[at_index(v)].is_constant())
        return false;
    }
    return true;
  }

  /// A value of the original network, read by node n, less the channels that are cut.
  at::Tensor dense_value(int value, int n, std::size_t b) {
    const at::Tensor tensor = dense_.before(n, b)[at_index(value)];
    const at::Tensor kept = bench_.kept(value, 1);
    return kept.defined() ? tensor.index_select(1, kept) : tensor;
  }

  Changes changes_of(const Node& node, const ChannelStatistics& before, const ChannelStatistics& after,
                     double share) const {
    const at::Tensor& mean = bench_.graph().values[at_index(node.input(3))].constant;
    const at::Tensor& variance = bench_.graph().values[at_index(node.input(4))].constant;
    const at::Tensor wide = variance.to(at::kDouble);
    // A channel that hardly varied in the original says nothing about the ratio.
    const at::Tensor usable = before.variance() > wide * 1e-6;
    const at::Tensor ratio =
        at::where(usable, after.variance() / at::clamp_min(before.variance(), 1e-30), at::ones_like(wide));
    return {{node.input(3),
             (mean.to(at::kDouble) + (after.mean() - before.mean()) * share).to(mean.scalar_type())},
            {node.input(4), (wide * at::pow(ratio, share)).to(variance.scalar_type())}};
  }

  /// How far the node's outputs on the checking samples are from the original's, about their mean.
  double output_error(int n, const Changes& changes) {
    const int y = bench_.graph().nodes[at_index(n)].output(0);
    double error = 0;
    double energy = 0;
    for (std::size_t b = data_.fit_batches; b < data_.batches(); ++b) {
      Lockstep::Values values = bench_.cut().before(n, b);
      for (const auto& [value, tensor] : changes) values[at_index(value)] = as_run(tensor);
      const at::Tensor output = bench_.cut().output_of(n, values);
      at::Tensor target = dense_.output_of(n, dense_.before(n, b));
      const at::Tensor kept = bench_.kept(y, 1);
      if (kept.defined()) target = target.index_select(1, kept);
      error += (target - output).square().sum().item<double>();
      const at::Tensor rows = target.transpose(0, 1).reshape({target.size(1), -1});
      energy += (rows - rows.mean(1, true)).square().sum().item<double>();
    }
    return error / std::max(energy, 1e-30);
  }

  const Control& control_;
  const FitAndCheck data_;
  Lockstep dense_;
  const Trial trial_;
  Bench bench_;
};

}  // namespace

RefitResult reestimate_batch_norm(const ChannelGroups& groups, const Mask& mask,
                                  std::span<const Sample> calibration, const Judge& judge,
                                  const RefitOptions& options, const Control& control) {
  check_options(options);
  const auto start = std::chrono::steady_clock::now();
  const at::NoGradGuard no_grad;
  RefitResult result = Reestimation(groups, mask, calibration, judge, options, control).run();
  result.seconds = seconds_since(start);
  return result;
}

}  // namespace quboprune
