// Least-squares repair of the layers behind a cut, in the order of the network.
//
// With D = W - W_old and R = Y - (W_old x + b_old), what the old weights lack,
//   argmin |Y - W x - b|² + ridge |W - W_old|²  is  D = C (G + ridge I)⁻¹,  G = cov(x, x), C = cov(R, x),
// so a layer costs one pass over its rows and a Cholesky factor for each ridge.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "ops/base/layers.h"
#include "quboprune/error.h"
#include "quboprune/random.h"
#include "quboprune/recover.h"
#include "recover/refit_bench.h"
#include "recover/refit_importance.h"
#include "recover/refit_linear.h"
#include "recover/refit_moments.h"
#include "recover/refit_positions.h"

namespace quboprune {
namespace {

std::size_t at_index(int i) {
  return static_cast<std::size_t>(i);
}

struct Candidate {
  double ridge = 0;
  double error = 0;
  WeightChange change;
};

/// One walk through the layers.
///
/// A trusting walk takes what lowers a layer's own error on the checking samples and leaves the metric to the
/// end: layers repaired together can help where each alone does harm. A guarded one asks the metric at every
/// layer, so that its result is never worse than the cut network.
class Walk {
 public:
  Walk(const ChannelGroups& groups, const Mask& mask, std::span<const Sample> calibration, const Judge& judge,
       const RefitOptions& options, const Control& control, bool guarded)
      : options_(options),
        guarded_(guarded),
        control_(control),
        bench_(groups, mask, calibration, judge, options),
        rng_(options.seed) {}

  RefitResult run() {
    RefitResult result;
    result.metric_before = bench_.metric();
    result.reason = "done";
    const std::vector<int> nodes = wanted();
    if (options_.weigh_by_output) weigh(nodes);
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      if (control_.stopped()) {
        result.reason = "stopped";
        break;
      }
      result.layers.push_back(refit_node(nodes[k]));
      control_.report("refit", static_cast<double>(k + 1), static_cast<double>(nodes.size()),
                      bench_.metric());
    }
    result.metric_after =
        guarded_ ? bench_.metric() : bench_.score(static_cast<int>(bench_.graph().nodes.size()), {});
    result.graph = bench_.graph();
    if (!bench_.split().note.empty()) result.notes.push_back(bench_.split().note);
    return result;
  }

  bool not_worse(double a, double than) const { return bench_.not_worse(a, than); }
  /// Nine tenths of what the cut cost on the checking samples are made up for: a guarded walk needn't be
  /// tried.
  bool good_enough(double metric) const {
    return bench_.not_worse(metric,
                            bench_.cut_metric() + 0.9 * (bench_.dense_metric() - bench_.cut_metric())) &&
           bench_.not_worse(metric, bench_.cut_metric());
  }
  /// The cut network as it was; for a trusting walk that was stopped before it did any good.
  void undo(RefitResult& result) const {
    result.graph = bench_.cut_graph();
    result.metric_after = result.metric_before;
    for (auto& layer : result.layers) {
      layer.error_after = layer.error_before;
      layer.ridge = 0;
      layer.kept_old = true;
      layer.note = "all repairs together made the metric worse on other scenes";
    }
  }

 private:
  std::vector<int> wanted() const {
    std::vector<int> nodes;
    const auto& which = options_.downstream && options_.sequential ? bench_.affected() : bench_.reads_cut();
    for (std::size_t n = 0; n < which.size(); ++n) {
      if (which[n] && is_layer(bench_.graph().nodes[n])) nodes.push_back(static_cast<int>(n));
    }
    return nodes;
  }

  void weigh(const std::vector<int>& nodes) {
    std::vector<LinearLayer> layers;
    std::string ignored;
    for (int n : nodes) {
      if (auto layer = LinearLayer::of(bench_.dense().graph(), bench_.dense().graph(), n, ignored))
        layers.push_back(std::move(*layer));
    }
    weights_ = position_weights(bench_.dense().graph(), bench_.judged(), layers, options_.seed);
  }

  RefitLayer refit_node(int n) {
    RefitLayer result;
    result.name = bench_.graph().nodes[at_index(n)].name;
    result.node = n;
    result.kept_old = true;
    const auto layer = LinearLayer::of(bench_.graph(), bench_.dense().graph(), n, result.note);
    if (!layer) return result;
    const double bytes = 8.0 * static_cast<double>(layer->groups() * layer->columns() * layer->columns());
    if (8 * bytes > static_cast<double>(options_.memory_limit)) {
      result.note = "its Gram matrix doesn't fit into the memory allowed";
      return result;
    }
    Moments fit(layer->bias().value >= 0);
    Moments check(layer->bias().value >= 0);
    gather(*layer, fit, check, result.note);
    if (!result.note.empty()) return result;
    if (fit.empty() || check.empty()) {
      result.note = "nothing reaches it on the calibration data";
      return result;
    }
    choose(*layer, fit, check, result);
    return result;
  }

  void gather(const LinearLayer& layer, Moments& fit, Moments& check, std::string& note) {
    double share = 0;
    for (std::size_t b = 0; b < bench_.batches() && note.empty(); ++b) {
      const Views views = views_of(layer, b);
      if (b == 0) share = share_of_positions(layer, views.target.size(0));
      const auto weights = weights_of(layer.node(), b, views.target.size(0));
      const auto positions = spread_positions(views.target.size(0), share, rng_);
      if (b == 0 && !layer.is_scale()) note = mismatch(layer, views, positions);
      // 2^24 floats of rows at once: 64 MB.
      const std::int64_t chunk =
          std::max<std::int64_t>(256, (std::int64_t{1} << 24) / (layer.columns() * layer.groups()));
      for (std::int64_t from = 0; from < positions.numel() && note.empty(); from += chunk) {
        const at::Tensor some = positions.slice(0, from, std::min(from + chunk, positions.numel()));
        const at::Tensor target = layer.by_group(views.target.index_select(0, some));
        const at::Tensor residual = target - layer.by_group(views.output.index_select(0, some));
        (bench_.checks(b) ? check : fit)
            .add(rows_of(layer, views, some), residual, target, weights.index_select(0, some));
      }
    }
  }

  /// One layer on one batch.
  struct Views {
    at::Tensor data;                  ///< what it reads
    at::Tensor target, output;        ///< flat: the original's outputs, and its own with the old weights
    std::vector<std::int64_t> shape;  ///< of its outputs
    at::Tensor offset;                ///< flat biases that the node itself adds, where it is a scale
  };

  Views views_of(const LinearLayer& layer, std::size_t b) {
    const int n = layer.node();
    const Node& node = bench_.graph().nodes[at_index(n)];
    Lockstep::Values values = bench_.cut().before(n, b);
    if (!options_.sequential) values[at_index(layer.data_value())] = dense_data(layer, b);
    Views views;
    views.data = values[at_index(layer.data_value())];
    const at::Tensor output = bench_.cut().output_of(n, values);
    views.shape = output.sizes().vec();
    views.output = layer.flat(output);
    const int y = node.output(0);
    at::Tensor target = bench_.dense().before(n + 1, b)[at_index(y)];
    const at::Tensor kept = bench_.kept(y, bench_axis(layer, target));
    if (kept.defined()) target = target.index_select(layer.channel_axis(), kept);
    views.target = layer.flat(target);
    if (layer.is_scale() && node.input(2) >= 0) views.offset = values[at_index(node.input(2))].view({1, -1});
    return views;
  }

  static int bench_axis(const LinearLayer& layer, const at::Tensor& tensor) {
    return layer.channel_axis() < 0 ? layer.channel_axis() + static_cast<int>(tensor.dim())
                                    : layer.channel_axis();
  }

  /// The original network's data, what is cut left out.
  at::Tensor dense_data(const LinearLayer& layer, std::size_t b) {
    at::Tensor data = bench_.dense().before(layer.node(), b)[at_index(layer.data_value())];
    const int axis = layer.contracted_axis();
    const at::Tensor kept =
        bench_.kept(layer.data_value(), axis < 0 ? axis + static_cast<int>(data.dim()) : axis);
    return kept.defined() ? data.index_select(axis, kept) : data;
  }

  static at::Tensor rows_of(const LinearLayer& layer, const Views& views, const at::Tensor& positions) {
    if (!layer.is_scale()) return layer.rows(views.data, views.shape, positions);
    const at::Tensor output = views.output.index_select(0, positions);
    return layer.by_group(views.offset.defined() ? output - views.offset : output);
  }

  double share_of_positions(const LinearLayer& layer, std::int64_t first) const {
    const double wanted = options_.positions_per_unknown * static_cast<double>(layer.columns() + 1);
    const double all = static_cast<double>(first) * bench_.fit_size();
    return std::min(1.0, wanted / all);
  }

  at::Tensor weights_of(int node, std::size_t b, std::int64_t positions) const {
    const auto found = weights_.find(node);
    if (found == weights_.end() || found->second[b].numel() != positions)
      return at::ones({positions}, at::kFloat);
    return found->second[b];
  }

  /// Rows times the old weights must be the node's own outputs up to its biases; else this node has a form
  /// that we didn't foresee, and stays as it is.
  std::string mismatch(const LinearLayer& layer, const Views& views, const at::Tensor& positions) const {
    const at::Tensor some = positions.slice(0, 0, std::min<std::int64_t>(positions.numel(), 64));
    const at::Tensor& weight = bench_.graph().values[at_index(layer.weight_value())].constant;
    const at::Tensor rows = layer.rows(views.data, views.shape, some);
    const at::Tensor mine = at::bmm(rows, layer.matrix(weight).to(rows.scalar_type()).transpose(1, 2));
    const at::Tensor rest = layer.by_group(views.output.index_select(0, some)) - mine;
    const double spread = (rest - rest.mean(1, true)).abs().max().item<double>();
    const double size = views.output.abs().max().item<double>() + mine.abs().max().item<double>();
    return spread <= 1e-3 * size ? "" : "its outputs aren't its weights times its inputs plus a bias";
  }

  void choose(const LinearLayer& layer, const Moments& fit, const Moments& check, RefitLayer& result) {
    result.error_before = result.error_after = check.relative_error();
    std::vector<Candidate> candidates;
    for (double ridge : options_.ridges) {
      auto change = fit.solve(ridge);
      if (!change) continue;
      const double error = check.relative_error(*change);
      if (error < result.error_before) candidates.push_back({ridge, error, std::move(*change)});
    }
    if (candidates.empty()) {
      result.note = "what was fitted doesn't hold on other scenes";
      return;
    }
    std::sort(candidates.begin(), candidates.end(),
              [](const Candidate& a, const Candidate& b) { return a.error < b.error; });
    for (const auto& candidate : candidates) {
      const Changes changes = changes_of(layer, candidate.change);
      const double metric = guarded_ ? bench_.score(layer.node(), changes) : bench_.metric();
      if (!bench_.not_worse(metric, bench_.metric())) continue;
      bench_.accept(changes, metric);
      result.error_after = candidate.error;
      result.ridge = candidate.ridge;
      result.kept_old = false;
      return;
    }
    result.note = "it made the metric worse on other scenes";
  }

  Changes changes_of(const LinearLayer& layer, const WeightChange& change) const {
    const auto constant = [&](int value) { return bench_.graph().values[at_index(value)].constant; };
    Changes changes{{layer.weight_value(), layer.changed(constant(layer.weight_value()), change.delta)}};
    const int bias = layer.bias().value;
    if (bias >= 0) changes.emplace_back(bias, layer.changed_bias(constant(bias), change.offset));
    return changes;
  }

  const RefitOptions& options_;
  bool guarded_;
  const Control& control_;
  Bench bench_;
  Rng rng_;
  PositionWeights weights_;
};

}  // namespace

RefitResult refit(const ChannelGroups& groups, const Mask& mask, std::span<const Sample> calibration,
                  const Judge& judge, const RefitOptions& options, const Control& control) {
  check_options(options);
  const auto start = std::chrono::steady_clock::now();
  const at::NoGradGuard no_grad;
  Walk trusting(groups, mask, calibration, judge, options, control, false);
  RefitResult result = trusting.run();
  if (result.reason == "done" && !trusting.good_enough(result.metric_after)) {
    RefitResult other = Walk(groups, mask, calibration, judge, options, control, true).run();
    if (!trusting.not_worse(result.metric_after, other.metric_after)) result = std::move(other);
  }
  if (!trusting.not_worse(result.metric_after, result.metric_before)) trusting.undo(result);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace quboprune
