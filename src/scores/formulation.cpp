#include "quboprune/formulation.h"

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "core/index.h"
#include "coupling/analysis.h"
#include "quboprune/error.h"
#include "quboprune/random.h"
#include "scores/gates.h"

namespace quboprune {
namespace {

/// Scaled to mean 1; all zeros stay zeros.
std::vector<double> scaled(std::vector<double> values) {
  const double m = mean(values);
  if (m > 0 && std::isfinite(m)) {
    for (double& v : values) v /= m;
  }
  return values;
}

std::vector<double> per_layer(std::vector<double> values, const ChannelGroups& groups) {
  std::map<int, std::pair<double, int>> sums;
  for (std::size_t g = 0; g < values.size(); ++g) {
    auto& [sum, count] = sums[groups.layer_of(static_cast<int>(g))];
    sum += values[g];
    ++count;
  }
  for (std::size_t g = 0; g < values.size(); ++g) {
    const auto& [sum, count] = sums[groups.layer_of(static_cast<int>(g))];
    if (sum > 0) values[g] *= count / sum;
  }
  return values;
}

Formulation linear(std::vector<double> importance) {
  Formulation f;
  f.qubo = Qubo(static_cast<int>(importance.size()));
  for (std::size_t g = 0; g < importance.size(); ++g) f.qubo.add_linear(static_cast<int>(g), -importance[g]);
  f.importance = std::move(importance);
  return f;
}

Formulation greedy(std::vector<double> importance) {
  Formulation f = linear(std::move(importance));
  f.solving = Solving::sorting;
  return f;
}

void check_similarities(const Scores& s, bool centred) {
  const bool scored = std::ranges::any_of(s.energy, [](double energy) { return energy > 0; });
  if (s.similarity.empty() && !scored) throw InputError("hybrid needs similarities: score with them");
  if (centred && !s.similarity.empty() && s.similarity.front().pearson.empty())
    throw InputError("hybrid needs correlations where it is centred: score with them");
}

Formulation hybrid(const Scores& s, const FormulationOptions& o) {
  if (o.redundancy != 0) check_similarities(s, o.centred);
  const auto t = scaled(s.taylor);
  const auto f = scaled(s.fisher);
  std::vector<double> importance(t.size());
  for (std::size_t g = 0; g < t.size(); ++g) importance[g] = o.taylor * t[g] + o.fisher * f[g];
  Formulation result = linear(std::move(importance));
  if (o.redundancy == 0) return result;
  double total = 0;  // of |S| over ordered pairs
  for (const auto& block : s.similarity) {
    const auto& values = o.centred ? block.pearson : block.cosine;
    const std::size_t m = block.groups.size();
    for (std::size_t i = 0; i < m * m; ++i)
      total += i % (m + 1) == 0 ? 0 : std::abs(static_cast<double>(values[i]));
  }
  if (!(total > 0)) return result;
  // Mean over groups of their summed similarities becomes 1, as the mean importance is α + β.
  const double scale = o.redundancy * static_cast<double>(s.groups) / total;
  for (const auto& block : s.similarity) {
    const auto& values = o.centred ? block.pearson : block.cosine;
    Qubo::DenseBlock dense{block.groups, {values.begin(), values.end()}};
    for (double& v : dense.values) v = std::abs(v) * scale;
    result.qubo.add_dense_block(std::move(dense));
  }
  return result;
}

/// ½ u'Du + cross·½ u'(F - D)u with u = 1 - x, D the diagonal of F = G'G/rows.
Formulation quadratic(const std::vector<float>& gradients, int rows, const Scores& s, double cross,
                      const char* name) {
  if (rows == 0) throw InputError(std::string(name) + " needs gradients: score with targets, or with probes");
  const std::size_t n = at_index(s.groups);
  std::vector<double> diagonal(n, 0.0);
  std::vector<double> row_sums(at_index(rows), 0.0);  // G·1
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const double g = gradients[i];
    diagonal[i % n] += g * g / rows;
    row_sums[i / n] += g;
  }
  Formulation f;
  f.importance.resize(n);
  f.qubo = Qubo(s.groups);
  // With u = 1 - x: ½ u'Fu = const - (F1)'x + ½ x'Fx; the diagonal part likewise with x² = x.
  std::vector<double> pulled(n, 0.0);  // F·1
  for (std::size_t i = 0; i < gradients.size(); ++i) pulled[i % n] += gradients[i] * row_sums[i / n] / rows;
  double offset = 0;
  for (std::size_t g = 0; g < n; ++g) {
    f.importance[g] = 0.5 * diagonal[g];
    // (1 - cross)·½D on the diagonal, the low-rank term brings cross·½ of all of F.
    f.qubo.add_linear(static_cast<int>(g), -(1 - cross) * 0.5 * diagonal[g] - cross * pulled[g]);
    offset += (1 - cross) * 0.5 * diagonal[g] + 0.5 * cross * pulled[g];
  }
  f.qubo.add_offset(offset);
  if (cross != 0) f.qubo.add_low_rank({rows, cross / rows, gradients});
  return f;
}

Formulation l1_qubo(const Scores& s, const FormulationOptions& o, int count) {
  Formulation f = linear(s.l1);
  f.solving = Solving::unbounded;
  const double lambda = o.penalty * std::max(1e-12, s.l1.empty() ? 0 : mean(s.l1));
  // λ(Σx - K)² = λ(Σx + 2Σ_{g<h} x_g x_h - 2KΣx + K²)
  std::vector<float> ones(at_index(s.groups), 1.0F);
  f.qubo.add_low_rank({1, 2 * lambda, ones});  // (scale/2)|1'x|²
  for (int g = 0; g < s.groups; ++g) f.qubo.add_linear(g, -2 * lambda * count);
  f.qubo.add_offset(lambda * count * static_cast<double>(count));
  return f;
}

const std::vector<double>& weight_taylor(const Scores& s) {
  if (s.taylor_weight.empty())
    throw InputError("taylor-weight needs gradients of the weights: score with weight_gradients");
  return s.taylor_weight;
}

/// By group the squares of all weights that go with it: of the filters that make its channels and of what
/// reads them.
std::vector<double> squares_of_weights(const ChannelGroups& groups) {
  const Graph& graph = groups.analysis().graph;
  std::vector<double> squares(at_index(groups.size()), 0.0);
  for (std::size_t v = 0; v < graph.values.size(); ++v) {
    if (!graph.values[v].is_constant() || graph.values[v].constant.dim() < 2 ||
        !graph.values[v].constant.is_floating_point())
      continue;
    for (int axis = 0; axis < static_cast<int>(graph.values[v].constant.dim()); ++axis) {
      const std::vector<int> on = groups.on_axis(static_cast<int>(v), axis);
      if (std::ranges::none_of(on, [](int g) { return g >= 0; })) continue;
      const at::Tensor weights = graph.values[v].constant.tensor().to(at::kDouble);
      const at::Tensor sums = rows_of(weights * weights, axis).sum(0).contiguous();
      for (std::size_t i = 0; i < on.size(); ++i)
        if (on[i] >= 0) squares[at_index(on[i])] += static_cast<const double*>(sums.data_ptr())[i];
    }
  }
  return squares;
}

/// A group's share of its layer's squares, those of smaller groups left out: the largest of each layer has 1.
std::vector<double> lamp(const ChannelGroups& groups) {
  const std::vector<double> squares = squares_of_weights(groups);
  std::map<int, std::vector<std::size_t>> layers;
  for (std::size_t g = 0; g < squares.size(); ++g) layers[groups.layer_of(static_cast<int>(g))].push_back(g);
  std::vector<double> result(squares.size(), 0.0);
  for (auto& [layer, members] : layers) {
    std::ranges::stable_sort(members, std::ranges::greater(), [&](std::size_t g) { return squares[g]; });
    double larger = 0;
    for (const std::size_t g : members) {
      larger += squares[g];
      result[g] = larger > 0 ? squares[g] / larger : 0;
    }
  }
  return result;
}

std::vector<double> random_importance(int n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<double> result(at_index(n));
  for (double& v : result) v = rng.uniform();
  return result;
}

/// What formulate() is given.
struct Ingredients {
  const ChannelGroups& groups;
  const Scores& scores;
  const FormulationOptions& options;
  int count;
};

Formulation ranked(const Ingredients& from, const std::vector<double>& importance) {
  return greedy(from.options.per_layer ? per_layer(importance, from.groups) : importance);
}

Formulation gate_fisher(const Ingredients& from) {
  const Scores& s = from.scores;
  return s.label_free ? quadratic(s.probes, s.probe_rows, s, from.options.cross, "gate-fisher")
                      : quadratic(s.gradients, s.rows, s, from.options.cross, "gate-fisher");
}

Formulation gauss_newton(const Ingredients& from) {
  return quadratic(from.scores.probes, from.scores.probe_rows, from.scores, from.options.cross,
                   "gauss-newton");
}

struct Entry {
  Objective objective;
  Formulation (*make)(const Ingredients&) = nullptr;  // nullptr: it runs the network
};

using Weights = Objective::Weights;

const std::array kObjectives = {
    Entry{{.name = "hybrid", .weights = Weights::hybrid, .similarity = true},
          [](const Ingredients& from) { return hybrid(from.scores, from.options); }},
    Entry{{.name = "gate-fisher", .weights = Weights::cross}, gate_fisher},
    Entry{{.name = "gauss-newton", .weights = Weights::cross}, gauss_newton},
    Entry{{.name = "measured", .weights = Weights::cross, .runs_network = true, .measures_masks = true}},
    Entry{{.name = "reconstruction", .runs_network = true, .wants_count = true}},
    Entry{{.name = "l1-qubo", .wants_count = true},
          [](const Ingredients& from) { return l1_qubo(from.scores, from.options, from.count); }},
    Entry{{.name = "taylor"}, [](const Ingredients& from) { return ranked(from, from.scores.taylor); }},
    Entry{{.name = "taylor-weight", .weight_gradients = true},
          [](const Ingredients& from) {
            return ranked(from, from.scores.label_free ? from.scores.taylor : weight_taylor(from.scores));
          }},
    Entry{{.name = "fisher"}, [](const Ingredients& from) { return ranked(from, from.scores.fisher); }},
    Entry{{.name = "l1"}, [](const Ingredients& from) { return ranked(from, from.scores.l1); }},
    Entry{{.name = "l2"}, [](const Ingredients& from) { return ranked(from, from.scores.l2); }},
    Entry{{.name = "lamp"}, [](const Ingredients& from) { return greedy(lamp(from.groups)); }},
    Entry{{.name = "random"},
          [](const Ingredients& from) {
            return greedy(random_importance(from.scores.groups, from.options.seed));
          }},
};

const Entry& entry_named(std::string_view name) {
  const auto found = std::ranges::find(kObjectives, name, [](const Entry& e) { return e.objective.name; });
  if (found == kObjectives.end())
    throw InputError(
        fmt::format("objective '{}': unknown; use one of {}", name, fmt::join(objective_names(), ", ")));
  return *found;
}

}  // namespace

std::vector<std::string> objective_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kObjectives) names.emplace_back(entry.objective.name);
  return names;
}

const Objective& objective_named(std::string_view name) {
  return entry_named(name).objective;
}

Formulation formulate(const std::string& objective, const ChannelGroups& groups, const Scores& scores,
                      const FormulationOptions& options, int count) {
  const Entry& entry = entry_named(objective);
  if (entry.make == nullptr)
    throw InputError("objective '" + objective +
                     "' runs the network, which scores alone can't tell: a Formulator makes it");
  Formulation f = entry.make({groups, scores, options, count});
  f.objective = objective;
  return f;
}

Formulation formulate_measured(const std::vector<double>& effects, const Scores& s,
                               const FormulationOptions& options) {
  const std::size_t n = effects.size();
  std::vector<double> diagonal(n, 0.0);
  for (std::size_t i = 0; i < s.probes.size(); ++i)
    diagonal[i % n] += static_cast<double>(s.probes[i]) * s.probes[i] / s.probe_rows;
  Formulation f;
  if (s.probe_rows == 0 || options.cross == 0) {
    f = linear(effects);
    for (double effect : effects) f.qubo.add_offset(effect);
  } else {
    std::vector<float> scaled_probes = s.probes;
    for (std::size_t i = 0; i < scaled_probes.size(); ++i) {
      const double d = diagonal[i % n];
      scaled_probes[i] *= d > 0 ? static_cast<float>(std::sqrt(2 * effects[i % n] / d)) : 0.0F;
    }
    f = quadratic(scaled_probes, s.probe_rows, s, options.cross, "measured");
    for (std::size_t g = 0; g < n; ++g) {
      if (diagonal[g] > 0) continue;  // no probe sees it: it has its effect alone
      f.qubo.add_linear(static_cast<int>(g), -effects[g]);
      f.qubo.add_offset(effects[g]);
      f.importance[g] = effects[g];
    }
  }
  f.objective = "measured";
  return f;
}

}  // namespace quboprune
