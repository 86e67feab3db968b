// Least-squares repair of the layers behind a cut, in the order of the network.
//
// With D = W - W_old and R = Y - (W_old x + b_old), what the old weights lack,
//   argmin |Y - W x - b|² + ridge |W - W_old|²  is  D = C (G + ridge I)⁻¹,  G = cov(x, x), C = cov(R, x),
// so a layer costs one pass over its rows and a Cholesky factor for each ridge.

#include <ATen/core/grad_mode.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "core/clock.h"
#include "core/index.h"
#include "coupling/analysis.h"
#include "quboprune/error.h"
#include "quboprune/evaluation.h"
#include "quboprune/recover.h"
#include "quboprune/surgery.h"
#include "recover/refit_bench.h"
#include "recover/refit_walk.h"

namespace quboprune {
namespace {

using Clock = std::chrono::steady_clock;

/// Takes back what was repaired; layers that kept their weights did so for a reason of their own.
void keep_old(std::vector<RefitLayer>& layers, const char* why) {
  for (auto& layer : layers) {
    if (layer.kept_old) continue;
    layer.error_after = layer.error_before;
    layer.ridge = 0;
    layer.kept_old = true;
    layer.note = why;
  }
}

/// Four fifths of what the cut cost on the checking samples are made up for: a guarded walk, which takes
/// twice as long, then gains next to nothing (docs/recover.md).
bool good_enough(const Refitter::State& state, const RefitWalk& walk, double metric) {
  const double cut = walk.cut_metric();
  return walk.not_worse(metric, cut + 0.8 * (state.dense_metric - cut)) && walk.not_worse(metric, cut);
}

}  // namespace

Refitter::State::State(const ChannelGroups& channel_groups, std::span<const Sample> calibration,
                       const Judge& judge, const RefitOptions& refit_options, const Control& control)
    : groups(channel_groups),
      options(refit_options),
      data(groups.analysis().graph, calibration, judge, options),
      trial(data.split.check, deciding(judge)) {
  const Graph& graph = groups.analysis().graph;
  std::vector<LinearLayer> layers;
  std::string ignored;
  const std::vector<bool> behind = nodes_behind_cut(groups, Mask(at_index(groups.size()), 0));
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!behind[n]) continue;
    if (auto layer = LinearLayer::of(graph, graph, static_cast<int>(n), ignored))
      layers.push_back(std::move(*layer));
  }
  pass = gather_targets(graph, data.judged(judge), layers,
                        {.weigh = options.weigh_by_output,
                         .positions_per_unknown = options.positions_per_unknown,
                         .fitted = data.fit_batches,
                         .memory_limit = options.memory_limit / 4,
                         .seed = options.seed},
                        control);
  for (std::size_t b = 0; b < pass.outputs.size(); ++b)
    trial.add_references(pass.outputs[b], data.check_counts()[b]);
  dense_metric = trial.score(pass.outputs, data.check_counts());
}

Refitter::Refitter(const ChannelGroups& groups, std::span<const Sample> calibration, const Judge& judge,
                   const RefitOptions& options, const Control& control) {
  check_options(options);
  const at::NoGradGuard no_grad;
  state_ = std::make_unique<State>(groups, calibration, judge, options, control);
}

Refitter::~Refitter() = default;

RefitResult Refitter::operator()(const Mask& mask, const Control& control) const {
  const auto start = Clock::now();
  const at::NoGradGuard no_grad;
  RefitWalk trusting(*state_, mask, control, Manner::trusting);
  RefitResult result = trusting.run();
  if (result.reason == "done" && !good_enough(*state_, trusting, result.metric_after)) {
    RefitResult other = RefitWalk(*state_, mask, control, Manner::guarded).run();
    if (!trusting.not_worse(result.metric_after, other.metric_after)) result = std::move(other);
  }
  if (!trusting.not_worse(result.metric_after, result.metric_before)) {
    result.graph = trusting.cut_graph();
    result.metric_after = result.metric_before;
    keep_old(result.layers, "all repairs together made the metric worse on other scenes");
  } else if (result.reason == "done" && state_->options.all_scenes) {
    RefitResult all = RefitWalk(*state_, mask, control, Manner::settled, result.layers).run();
    if (all.reason == "failed") {
      result.notes.emplace_back(
          "the repair can't be fitted on all calibration scenes: the one fitted on a part of them is kept");
    } else if (all.reason != "done") {
      result.notes.emplace_back("stopped before the repair was fitted on all calibration scenes");
    } else if (!trusting.not_worse(all.metric_after, result.metric_before)) {
      result.notes.emplace_back(
          "the repair as fitted on all calibration scenes was worse than none: the one fitted on a part of "
          "them is kept");
    } else {
      result.graph = std::move(all.graph);
    }
  }
  if (state_->pass.thinned < 1)
    result.notes.push_back(
        fmt::format("memory had room for {:.0f} % of the positions that layers are fitted on",
                    100 * state_->pass.thinned));
  result.seconds = seconds_since(start);
  return result;
}

namespace {

/// The scenes kept back judge alone so far: what they like may still ruin the others. On outputs near zero a
/// relative error can be anything, and which scenes have such is left to the draw.
void undo_where_all_is_worse(RefitResult& result, const ChannelGroups& groups, const Mask& mask,
                             std::span<const Sample> calibration, const Judge& judge,
                             const Control& control) {
  const auto repaired = [](const RefitLayer& layer) { return !layer.kept_old; };
  if (result.reason != "done" || control.stopped() || std::ranges::none_of(result.layers, repaired)) return;
  const Graph& original = groups.analysis().graph;
  const Judge by = deciding(judge);
  Graph cut = slice(groups, mask);
  try {
    const NetworkJudge all(original, {calibration.begin(), calibration.end()}, by, control);
    const auto error = [&](const Graph& graph) {
      return error_of(all.score(graph, control).mean, by.metric);
    };
    if (error(result.graph) <= error(cut)) return;
  } catch (const Stopped&) {
    return;  // the scenes kept back have judged it
  }
  result.graph = std::move(cut);
  result.metric_after = result.metric_before;
  keep_old(result.layers, "all repairs together made the metric worse on the calibration data as a whole");
  result.notes.emplace_back(
      "the repair is undone: it was worse than none on the calibration data as a whole");
}

}  // namespace

RefitResult refit(const ChannelGroups& groups, const Mask& mask, std::span<const Sample> calibration,
                  const Judge& judge, const RefitOptions& options, const Control& control) {
  const auto start = Clock::now();
  RefitResult result = Refitter(groups, calibration, judge, options, control)(mask, control);
  undo_where_all_is_worse(result, groups, mask, calibration, judge, control);
  result.seconds = seconds_since(start);
  return result;
}

}  // namespace quboprune
