// Least-squares repair of the layers behind a cut, in the order of the network.
//
// With D = W - W_old and R = Y - (W_old x + b_old), what the old weights lack,
//   argmin |Y - W x - b|² + ridge |W - W_old|²  is  D = C (G + ridge I)⁻¹,  G = cov(x, x), C = cov(R, x),
// so a layer costs one pass over its rows and a Cholesky factor for each ridge.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "core/clock.h"
#include "core/index.h"
#include "coupling/analysis.h"
#include "ops/base/layers.h"
#include "quboprune/error.h"
#include "quboprune/evaluation.h"
#include "quboprune/executor.h"
#include "quboprune/recover.h"
#include "quboprune/surgery.h"
#include "recover/refit_algebra.h"
#include "recover/refit_bench.h"
#include "recover/refit_linear.h"
#include "recover/refit_moments.h"
#include "recover/refit_targets.h"

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

struct Candidate {
  double ridge = 0;
  double error = 0;
  WeightChange change;
};

}  // namespace

struct Refitter::State {
  State(const ChannelGroups& channel_groups, std::span<const Sample> calibration, const Judge& judge,
        const RefitOptions& refit_options, const Control& control)
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

  const ChannelGroups& groups;
  const RefitOptions options;
  const FitAndCheck data;
  TargetPass pass;
  Trial trial;
  double dense_metric = 0;
};

namespace {

enum class Manner { trusting, guarded, settled };

/// One walk through the layers.
///
/// A trusting walk takes what lowers a layer's own error on the checking samples and leaves the metric to the
/// end: layers repaired together can help where each alone does harm. A guarded one asks the metric at every
/// layer, so that its result is never worse than the cut network. A settled one takes over which layers an
/// earlier walk repaired, with which ridges, and fits them on all samples.
class Walk {
 public:
  Walk(const Refitter::State& shared, const Mask& mask, const Control& control, Manner manner,
       std::span<const RefitLayer> settled = {})
      : shared_(shared),
        options_(shared.options),
        manner_(manner),
        settled_(settled),
        control_(control),
        bench_(shared.groups, mask, shared.data, shared.trial, shared.options) {}

  RefitResult run() {
    RefitResult result;
    result.metric_before = bench_.metric();
    result.reason = "done";
    const std::vector<int> nodes = wanted();
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      if (control_.stopped() || shared_.pass.batches < shared_.data.batches()) {
        result.reason = "stopped";
        break;
      }
      if (manner_ != Manner::settled) {
        result.layers.push_back(refit_node(nodes[k]));
      } else if (!settled_[k].kept_old) {
        refit_as(settled_[k]);
      }
      control_.report(stage(), static_cast<double>(k + 1), static_cast<double>(nodes.size()),
                      guarded() ? bench_.metric() : std::numeric_limits<double>::quiet_NaN());
    }
    result.metric_after =
        guarded() ? bench_.metric() : bench_.score(static_cast<int>(bench_.graph().nodes.size()), {});
    result.graph = bench_.graph();
    if (!shared_.data.split.note.empty()) result.notes.push_back(shared_.data.split.note);
    return result;
  }

  bool not_worse(double a, double than) const { return bench_.not_worse(a, than); }
  /// Four fifths of what the cut cost on the checking samples are made up for: a guarded walk, which takes
  /// twice as long, then gains next to nothing (docs/recover.md).
  bool good_enough(double metric) const {
    const double cut = bench_.cut_metric();
    return not_worse(metric, cut + 0.8 * (shared_.dense_metric - cut)) && not_worse(metric, cut);
  }
  /// The cut network as it was; for a trusting walk that did harm, or was stopped before it did any good.
  void undo(RefitResult& result) const {
    result.graph = bench_.cut_graph();
    result.metric_after = result.metric_before;
    keep_old(result.layers, "all repairs together made the metric worse on other scenes");
  }

 private:
  bool guarded() const { return manner_ == Manner::guarded; }
  const char* stage() const {
    if (guarded()) return "refit, layer by layer";
    return manner_ == Manner::settled ? "refit on all scenes" : "refit";
  }

  std::vector<int> wanted() const {
    std::vector<int> nodes;
    const std::vector<char> needed = bench_.graph().needed_nodes();  // of a branch that goes nothing is
    for (std::size_t n = 0; n < needed.size(); ++n) {
      if (bench_.behind_cut(n) && needed[n] != 0 && is_layer(bench_.graph().nodes[n]))
        nodes.push_back(static_cast<int>(n));
    }
    return nodes;
  }

  RefitLayer refit_node(int n) {
    RefitLayer result;
    result.name = bench_.graph().nodes[at_index(n)].name;
    result.node = n;
    result.kept_old = true;
    const Graph& original = shared_.groups.analysis().graph;
    const auto layer = LinearLayer::of(bench_.graph(), original, n, result.note);
    if (!layer) return result;
    const double bytes = 8.0 * static_cast<double>(layer->groups() * layer->columns() * layer->columns());
    if (8 * bytes > static_cast<double>(options_.memory_limit)) {
      result.note = "its Gram matrix doesn't fit into the memory allowed";
      return result;
    }
    const auto targets = shared_.pass.layers.find(n);
    Moments fit(layer->bias().value >= 0);
    Moments check(layer->bias().value >= 0);
    if (targets != shared_.pass.layers.end()) gather(*layer, targets->second, fit, check, result.note);
    if (!result.note.empty()) return result;
    if (fit.empty() || check.empty()) {
      result.note = "nothing reaches it on the calibration data";
      return result;
    }
    choose(*layer, fit, check, result);
    return result;
  }

  /// As an earlier walk settled it, on all samples.
  void refit_as(const RefitLayer& before) {
    std::string note;
    const auto layer = LinearLayer::of(bench_.graph(), shared_.groups.analysis().graph, before.node, note);
    Moments all(layer->bias().value >= 0);
    gather(*layer, shared_.pass.layers.at(before.node), all, all, note);
    if (!note.empty()) return;
    if (const auto change = all.solve(before.ridge))
      bench_.accept(changes_of(*layer, *change), bench_.metric());
  }

  void gather(const LinearLayer& layer, const LayerTargets& targets, Moments& fit, Moments& check,
              std::string& note) {
    const int y = bench_.graph().nodes[at_index(layer.node())].output(0);
    const int axis = layer.channel_axis();
    const int rank = static_cast<int>(targets.shapes.front().size());
    const at::Tensor kept = bench_.kept(y, axis < 0 ? axis + rank : axis);
    const at::Tensor first = bench_.cut().output_of(layer.node(), bench_.cut().before(layer.node(), 0));
    if (!same_positions(first.sizes(), targets.shapes[0], axis < 0 ? axis + rank : axis)) {
      note = "positions of its outputs are cut, which can't be told from the original's";
      return;
    }
    const at::Tensor bias =
        layer.is_scale() ? at::Tensor() : constant_part(layer, layer.flat(first), targets);
    if (!layer.is_scale() && !bias.defined()) {
      note = "its outputs aren't its weights times its inputs plus a bias";
      return;
    }
    // 2^24 floats of rows at once: 64 MB.
    const std::int64_t chunk =
        std::max<std::int64_t>(256, (std::int64_t{1} << 24) / (layer.columns() * layer.groups()));
    for (std::size_t b = 0; b < shared_.data.batches(); ++b) {
      const Lockstep::Values& values = bench_.cut().before(layer.node(), b);
      const at::Tensor own = layer.is_scale() ? output_of(layer, values) : at::Tensor();
      for (std::int64_t from = 0; from < targets.positions[b].numel(); from += chunk) {
        const auto part = [&](const at::Tensor& all) { return all.slice(0, from, from + chunk); };
        const at::Tensor positions = part(targets.positions[b]);
        const at::Tensor wanted = part(targets.outputs[b]);
        const at::Tensor target = layer.by_group(kept.defined() ? wanted.index_select(1, kept) : wanted);
        at::Tensor rows, output;  // of the cut network: what is read, and what the old weights make of it
        if (layer.is_scale()) {
          output = layer.by_group(own.index_select(0, positions));
          rows = without_bias(layer, output, values);
        } else {
          rows = layer.rows(values[at_index(layer.data_value())], targets.shapes[b], positions);
          output = product_of(layer, rows) + bias;
        }
        (shared_.data.checks(b) ? check : fit).add(rows, target - output, target, part(targets.weights[b]));
      }
    }
  }

  /// Channels that lie on another axis than the layer's own (tokens, a batch they were folded into) may be
  /// cut too: a position then is another one than in the original.
  static bool same_positions(at::IntArrayRef cut, at::IntArrayRef original, int channels) {
    if (cut.size() != original.size()) return false;
    for (std::size_t a = 0; a < cut.size(); ++a) {
      if (static_cast<int>(a) != channels && cut[a] != original[a]) return false;
    }
    return true;
  }

  at::Tensor output_of(const LinearLayer& layer, const Lockstep::Values& values) {
    return layer.flat(bench_.cut().output_of(layer.node(), values));
  }

  /// Rows times the old weights: [groups, n, outputs].
  at::Tensor product_of(const LinearLayer& layer, const at::Tensor& rows) const {
    const at::Tensor weight = bench_.graph().values[at_index(layer.weight_value())].constant;
    return product_with_transposed(rows, layer.matrix(weight).to(rows.scalar_type()));
  }

  at::Tensor without_bias(const LinearLayer& layer, const at::Tensor& output,
                          const Lockstep::Values& values) const {
    const int bias = bench_.graph().nodes[at_index(layer.node())].input(2);
    return bias < 0 ? output : output - layer.by_group(values[at_index(bias)].view({1, -1}));
  }

  /// What the node adds to the product of its rows and weights, [groups, 1, outputs], by its outputs at some
  /// positions. Undefined if that isn't the same everywhere: then the node has a form that we didn't foresee,
  /// and stays as it is.
  at::Tensor constant_part(const LinearLayer& layer, const at::Tensor& outputs, const LayerTargets& targets) {
    const at::Tensor some = targets.positions[0].slice(0, 0, 64);
    const Lockstep::Values& values = bench_.cut().before(layer.node(), 0);
    const at::Tensor output = layer.by_group(outputs.index_select(0, some));
    const at::Tensor product =
        product_of(layer, layer.rows(values[at_index(layer.data_value())], targets.shapes[0], some));
    const at::Tensor rest = output - product;
    const at::Tensor mean = rest.mean(1, true);
    const double spread = (rest - mean).abs().max().item<double>();
    const double size = output.abs().max().item<double>() + product.abs().max().item<double>();
    return spread <= 1e-3 * size ? mean : at::Tensor();
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
    if (!guarded()) return accept(layer, candidates.front(), bench_.metric(), result);
    double too_weak = 0;  // a pull that allowed a harmful change; weaker ones allow larger changes
    for (const auto& candidate : candidates) {
      if (candidate.ridge < too_weak) continue;
      const double metric = bench_.score(layer.node(), changes_of(layer, candidate.change));
      if (bench_.not_worse(metric, bench_.metric())) return accept(layer, candidate, metric, result);
      too_weak = candidate.ridge;
    }
    result.note = "it made the metric worse on other scenes";
  }

  void accept(const LinearLayer& layer, const Candidate& candidate, double metric, RefitLayer& result) {
    bench_.accept(changes_of(layer, candidate.change), metric);
    result.error_after = candidate.error;
    result.ridge = candidate.ridge;
    result.kept_old = false;
  }

  Changes changes_of(const LinearLayer& layer, const WeightChange& change) const {
    const auto constant = [&](int value) { return bench_.graph().values[at_index(value)].constant; };
    Changes changes{{layer.weight_value(), layer.changed(constant(layer.weight_value()), change.delta)}};
    const int bias = layer.bias().value;
    if (bias >= 0) changes.emplace_back(bias, layer.changed_bias(constant(bias), change.offset));
    return changes;
  }

  const Refitter::State& shared_;
  const RefitOptions& options_;
  Manner manner_;
  std::span<const RefitLayer> settled_;  // by layer, in the walk's order
  const Control& control_;
  Bench bench_;
};

}  // namespace

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
  Walk trusting(*state_, mask, control, Manner::trusting);
  RefitResult result = trusting.run();
  if (result.reason == "done" && !trusting.good_enough(result.metric_after)) {
    RefitResult other = Walk(*state_, mask, control, Manner::guarded).run();
    if (!trusting.not_worse(result.metric_after, other.metric_after)) result = std::move(other);
  }
  if (!trusting.not_worse(result.metric_after, result.metric_before)) {
    trusting.undo(result);
  } else if (result.reason == "done" && state_->options.all_scenes) {
    RefitResult all = Walk(*state_, mask, control, Manner::settled, result.layers).run();
    if (all.reason != "done") {
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
