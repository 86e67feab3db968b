#include "quboprune/reconstruction.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "core/index.h"
#include "coupling/analysis.h"
#include "elimination/layer_elimination.h"
#include "elimination/output_sensitivity.h"
#include "elimination/repaired_layer.h"
#include "quboprune/error.h"
#include "target/in_order.h"
#include "target/unmet_target.h"

namespace quboprune {
namespace {

/// Gauss-Newton's diagonal, in the unit of Reconstruction's errors, for groups that some reader without a
/// Gram matrix reads; 0 for the others. What a mean does to all channels alike the layers behind it repair,
/// so means count only where no layer reads the group.
std::vector<double> without_gram(const ChannelGroups& groups, const std::set<int>& covered,
                                 const Scores& scores) {
  std::vector<double> result(at_index(groups.size()), 0.0);
  std::vector<bool> needed(result.size(), false);
  std::vector<bool> in_layer(result.size(), false);
  const auto mark = [&](const GatePoint& gate, std::vector<bool>& marked) {
    for (int g : gate.groups) {
      if (g >= 0 && !(gate.averages && in_layer[at_index(g)])) marked[at_index(g)] = true;
    }
  };
  for (std::size_t k = 0; k < groups.gates().size(); ++k) {
    if (covered.contains(static_cast<int>(k))) mark(groups.gates()[k], in_layer);
  }
  for (std::size_t k = 0; k < groups.gates().size(); ++k) {
    if (!covered.contains(static_cast<int>(k))) mark(groups.gates()[k], needed);
  }
  if (std::find(needed.begin(), needed.end(), true) == needed.end()) return result;
  if (scores.probe_rows == 0)
    throw InputError(
        "reconstruction: some channels reach layers that can't be refitted, or that have too many inputs for "
        "it, which takes scores with probes; use --probes 1 or more");
  for (std::size_t i = 0; i < scores.probes.size(); ++i) {
    const std::size_t g = i % result.size();
    if (needed[g]) result[g] += static_cast<double>(scores.probes[i]) * scores.probes[i] / scores.probe_rows;
  }
  return result;
}

/// Is `group` the last kept of some set that makes up an axis?
class LastOnes {
 public:
  explicit LastOnes(const ChannelGroups& groups)
      : covers_(groups.covers()), sets_of_(at_index(groups.size())) {
    for (std::size_t s = 0; s < covers_.size(); ++s) {
      left_.push_back(static_cast<int>(covers_[s].size()));
      for (int g : covers_[s]) sets_of_[at_index(g)].push_back(s);
    }
  }
  bool operator()(int group) const {
    const auto& sets = sets_of_[at_index(group)];
    return std::any_of(sets.begin(), sets.end(), [&](std::size_t s) { return left_[s] <= 1; });
  }
  void remove(int group) {
    for (std::size_t s : sets_of_[at_index(group)]) --left_[s];
  }

 private:
  std::vector<std::vector<int>> covers_;
  std::vector<std::vector<std::size_t>> sets_of_;
  std::vector<int> left_;
};

}  // namespace

struct Reconstruction::State {
  const ChannelGroups groups;
  std::vector<RepairedLayer> layers;
  std::vector<double> base;  // by group: errors that no Gram matrix knows

  /// The group whose removal adds least for the cost it saves, those to `spare` only if no others may go; -1
  /// if none may.
  int cheapest(const Mask& mask, const std::vector<double>& errors, Cost kind, const LastOnes& last,
               const std::vector<bool>& spare) const;
};

Reconstruction::Reconstruction(const ChannelGroups& groups, std::span<const Sample> samples,
                               const Judge& judge, const Scores& scores, const ReconstructionOptions& options,
                               const Control& control)
    : state_(std::make_unique<State>(State{groups, {}, {}})) {
  if (!(options.ridge > 0) || !std::isfinite(options.ridge))
    throw InputError("reconstruction: the ridge must be a positive number");
  auto grams = GramCache(groups, samples, judge, options.memory_limit, control).take_grams();
  const Graph& graph = groups.analysis().graph;
  std::vector<LinearLayer> layers;
  std::set<int> covered;
  for (const auto& gram : grams) {
    std::string ignored;
    auto layer = LinearLayer::of(graph, graph, gram.node, ignored);
    check(layer.has_value(), "a Gram matrix of a layer that isn't linear");
    layers.push_back(std::move(*layer));
    covered.insert(gram.gate);
  }
  const auto seen =
      output_sensitivity(graph, samples, judge, layers, std::max(1, options.probes), options.seed, control);
  for (std::size_t k = 0; k < layers.size(); ++k) {
    const int y = graph.nodes[at_index(layers[k].node())].output(0);
    const auto& inputs = groups.gates()[at_index(grams[k].gate)].groups;
    state_->layers.emplace_back(std::move(grams[k]), inputs, groups.on_axis(y, layers[k].channel_axis()),
                                seen[k], options.ridge);
  }
  state_->base = without_gram(groups, covered, scores);
}

Reconstruction::~Reconstruction() = default;

double Reconstruction::error(const Mask& mask) const {
  state_->groups.check_size(mask);
  const at::NoGradGuard no_grad;
  double sum = 0;
  for (const auto& layer : state_->layers) sum += layer.error(mask);
  for (std::size_t g = 0; g < mask.size(); ++g) sum += mask[g] == 0 ? state_->base[g] : 0;
  return sum;
}

int Reconstruction::State::cheapest(const Mask& mask, const std::vector<double>& errors, Cost kind,
                                    const LastOnes& last, const std::vector<bool>& spare) const {
  std::vector<double> saved(mask.size(), 1.0);
  if (kind != Cost::filters) saved = groups.cost().marginals(kind, mask);
  int best = -1;
  double best_ratio = std::numeric_limits<double>::infinity();
  for (int g = 0; g < groups.size(); ++g) {
    if (mask[at_index(g)] == 0 || last(g)) continue;
    const double ratio = errors[at_index(g)] / std::max(saved[at_index(g)], 1e-9);
    const bool spared = spare[at_index(g)], best_spared = best >= 0 && spare[at_index(best)];
    if (best < 0 || (spared == best_spared ? ratio < best_ratio : best_spared)) {
      best = g;
      best_ratio = ratio;
    }
  }
  return best;
}

Elimination Reconstruction::eliminate(const Target& target, const Control& control, bool norms_last) const {
  const at::NoGradGuard no_grad;
  const auto& groups = state_->groups;
  const auto& layers = state_->layers;
  const double allowed = allowance(groups, target);
  Elimination result;
  result.mask.assign(at_index(groups.size()), 1);
  result.marginal = state_->base;
  std::vector<LayerElimination> eliminations;
  std::vector<std::vector<double>> by_layer;  // by place in the layer's input_groups()
  for (const auto& layer : layers) {
    by_layer.push_back(eliminations.emplace_back(layer).errors());
    for (std::size_t i = 0; i < by_layer.back().size(); ++i)
      result.marginal[at_index(layer.input_groups()[i])] += by_layer.back()[i];
  }
  LastOnes last(groups);
  const auto spare = norms_last ? groups.in_means() : std::vector<bool>(result.mask.size(), false);
  const double all = groups.cost().value(target.kind, result.mask);
  double now = all;
  while (now > allowed) {
    const int g = state_->cheapest(result.mask, result.marginal, target.kind, last, spare);
    if (g < 0) throw unmet_target(groups, target, result.mask);
    result.order.push_back(g);
    result.errors.push_back(result.marginal[at_index(g)]);
    result.mask[at_index(g)] = 0;
    last.remove(g);
    // Stopped: the rest goes by the errors as they stand.
    for (std::size_t k = 0; k < layers.size() && !control.stopped(); ++k) {
      if (!eliminations[k].remove(g)) continue;
      std::vector<double> errors = eliminations[k].errors();
      for (std::size_t i = 0; i < errors.size(); ++i) {
        const auto h = at_index(layers[k].input_groups()[i]);
        if (result.mask[h] != 0) result.marginal[h] += errors[i] - by_layer[k][i];
      }
      by_layer[k] = std::move(errors);
    }
    now = groups.cost().value(target.kind, result.mask);
    control.report("eliminate", all - now, all - allowed, std::numeric_limits<double>::quiet_NaN());
  }
  put_back(groups, target, result.order, result.mask);
  for (std::size_t i = result.order.size(); i-- > 0;) {
    if (result.mask[at_index(result.order[i])] == 0) continue;
    result.order.erase(result.order.begin() + static_cast<std::ptrdiff_t>(i));
    result.errors.erase(result.errors.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return result;
}

}  // namespace quboprune
