#include "recover/refit_walk.h"

#include <algorithm>
#include <limits>
#include <string>

#include "core/index.h"
#include "coupling/analysis.h"
#include "ops/base/layers.h"
#include "recover/refit_rows.h"

namespace quboprune {

RefitResult RefitWalk::run() {
  RefitResult result;
  result.metric_before = bench_.metric();
  result.reason = "done";
  const bool guarded = manner_ == Manner::guarded;
  const std::vector<int> nodes = layers_to_visit();
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (control_.stopped() || shared_.pass.batches < shared_.data.batches()) {
      result.reason = "stopped";
      break;
    }
    if (manner_ != Manner::settled) {
      result.layers.push_back(refit_node(nodes[k]));
    } else if (!settled_[k].kept_old && !refit_as(settled_[k])) {
      result.reason = "failed";
      break;
    }
    control_.report(stage(), static_cast<double>(k + 1), static_cast<double>(nodes.size()),
                    guarded ? bench_.metric() : std::numeric_limits<double>::quiet_NaN());
  }
  result.metric_after =
      guarded ? bench_.metric() : bench_.score(static_cast<int>(bench_.graph().nodes.size()), {});
  result.graph = bench_.graph();
  if (!shared_.data.split.note.empty()) result.notes.push_back(shared_.data.split.note);
  return result;
}

const char* RefitWalk::stage() const {
  if (manner_ == Manner::guarded) return "refit, layer by layer";
  return manner_ == Manner::settled ? "refit on all scenes" : "refit";
}

std::vector<int> RefitWalk::layers_to_visit() const {
  std::vector<int> nodes;
  const std::vector<char> needed = bench_.graph().needed_nodes();  // of a branch that goes nothing is
  for (std::size_t n = 0; n < needed.size(); ++n) {
    if (bench_.behind_cut(n) && needed[n] != 0 && is_layer(bench_.graph().nodes[n]))
      nodes.push_back(static_cast<int>(n));
  }
  return nodes;
}

RefitLayer RefitWalk::refit_node(int node) {
  RefitLayer result;
  result.name = bench_.graph().nodes[at_index(node)].name;
  result.node = node;
  result.kept_old = true;
  const Graph& original = shared_.groups.analysis().graph;
  const auto layer = LinearLayer::of(bench_.graph(), original, node, result.note);
  if (!layer) return result;
  const double bytes = 8.0 * static_cast<double>(layer->groups() * layer->columns() * layer->columns());
  if (8 * bytes > static_cast<double>(shared_.options.memory_limit)) {
    result.note = "its Gram matrix doesn't fit into the memory allowed";
    return result;
  }
  const auto targets = shared_.pass.layers.find(node);
  Moments fit(layer->bias().value >= 0);
  Moments check(layer->bias().value >= 0);
  if (targets != shared_.pass.layers.end())
    result.note = gather_rows(bench_, shared_.data, *layer, targets->second, fit, check);
  if (!result.note.empty()) return result;
  if (fit.empty() || check.empty()) {
    result.note = "nothing reaches it on the calibration data";
    return result;
  }
  choose(*layer, fit, check, result);
  return result;
}

/// As an earlier walk settled it, on all samples. False where these can't be fitted.
bool RefitWalk::refit_as(const RefitLayer& before) {
  std::string note;
  const auto layer = LinearLayer::of(bench_.graph(), shared_.groups.analysis().graph, before.node, note);
  Moments all(layer->bias().value >= 0);
  if (!gather_rows(bench_, shared_.data, *layer, shared_.pass.layers.at(before.node), all, all).empty())
    return false;
  const auto change = all.solve(before.ridge);
  if (change) bench_.accept(changes_of(*layer, *change), bench_.metric());
  return change.has_value();
}

void RefitWalk::choose(const LinearLayer& layer, const Moments& fit, const Moments& check,
                       RefitLayer& result) {
  result.error_before = result.error_after = check.relative_error();
  std::vector<Candidate> candidates;
  for (double ridge : shared_.options.ridges) {
    auto change = fit.solve(ridge);
    if (!change) continue;
    const double error = check.relative_error(*change);
    if (error < result.error_before) candidates.push_back({ridge, error, std::move(*change)});
  }
  if (candidates.empty()) {
    result.note = "what was fitted doesn't hold on other scenes";
    return;
  }
  std::ranges::sort(candidates, {}, &Candidate::error);
  if (manner_ != Manner::guarded) return accept(layer, candidates.front(), bench_.metric(), result);
  double too_weak = 0;  // a pull that allowed a harmful change; weaker ones allow larger changes
  for (const auto& candidate : candidates) {
    if (candidate.ridge < too_weak) continue;
    const double metric = bench_.score(layer.node(), changes_of(layer, candidate.change));
    if (bench_.not_worse(metric, bench_.metric())) return accept(layer, candidate, metric, result);
    too_weak = candidate.ridge;
  }
  result.note = "it made the metric worse on other scenes";
}

void RefitWalk::accept(const LinearLayer& layer, const Candidate& candidate, double metric,
                       RefitLayer& result) {
  bench_.accept(changes_of(layer, candidate.change), metric);
  result.error_after = candidate.error;
  result.ridge = candidate.ridge;
  result.kept_old = false;
}

Changes RefitWalk::changes_of(const LinearLayer& layer, const WeightChange& change) const {
  const auto constant = [&](int value) { return bench_.graph().values[at_index(value)].constant; };
  Changes changes{{layer.weight_value(), layer.changed(constant(layer.weight_value()), change.delta)}};
  const int bias = layer.bias().value;
  if (bias >= 0) changes.emplace_back(bias, layer.changed_bias(constant(bias), change.offset));
  return changes;
}

}  // namespace quboprune
