#include "quboprune/formulation.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "coupling/analysis.h"
#include "model/test_net.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

using testing::index_of;
using testing::list;
using testing::Net;
using testing::numbers;

constexpr int kGroups = 6;

/// Two layers of three channels each.
ChannelGroups two_layers() {
  Net net;
  int h = net.input({-1, 3, -1, -1});
  for (int layer = 0; layer < 2; ++layer)
    h = net.add("Relu", {net.add("Conv", {h, net.constant(numbers({3, 3, 1, 1}, 1))})});
  return analyse(net.finish(net.add("Conv", {h, net.constant(numbers({2, 3, 1, 1}, 2))})));
}

std::vector<double> positive(std::size_t count, Rng& rng) {
  std::vector<double> values(count);
  for (double& v : values) v = 0.1 + rng.uniform();
  return values;
}

std::vector<float> signs_and_sizes(int rows, Rng& rng) {
  std::vector<float> values(index_of(rows * kGroups));
  for (float& v : values) v = static_cast<float>(2 * rng.uniform() - 1);
  return values;
}

/// Made-up scores of six groups: their formulas are what is tested here.
Scores made_up() {
  Rng rng(11);
  Scores s;
  s.groups = kGroups;
  for (auto* scores : {&s.l1, &s.l2, &s.taylor, &s.taylor_weight, &s.fisher})
    *scores = positive(kGroups, rng);
  s.rows = 4;
  s.gradients = signs_and_sizes(s.rows, rng);
  s.probe_rows = 5;
  s.probes = signs_and_sizes(s.probe_rows, rng);
  for (int layer = 0; layer < 2; ++layer) {
    SimilarityBlock block{
        {3 * layer, 3 * layer + 1, 3 * layer + 2}, std::vector<float>(9, 1), std::vector<float>(9, 1)};
    for (std::size_t p = 0; p < 3; ++p) {
      for (std::size_t q = 0; q < p; ++q) {
        block.cosine[3 * p + q] = block.cosine[3 * q + p] = static_cast<float>(2 * rng.uniform() - 1);
        block.pearson[3 * p + q] = block.pearson[3 * q + p] = static_cast<float>(2 * rng.uniform() - 1);
      }
    }
    s.similarity.push_back(block);
  }
  return s;
}

void expect_energies(const Formulation& f, const std::function<double(const Mask&)>& slow) {
  for (int bits = 0; bits < 1 << kGroups; ++bits) {
    Mask x;
    for (int g = 0; g < kGroups; ++g) x.push_back(static_cast<std::uint8_t>(bits >> g & 1));
    // Fewer than a hundred terms of size 100 at most, in double; factors are rounded to float32 by `measured`
    // alone, which says so.
    EXPECT_NEAR(f.qubo.energy(x), slow(x), f.objective == "measured" ? 1e-5 : 1e-11)
        << f.objective << " " << bits;
  }
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

/// S[g,h], 0 across layers.
double similarity(const Scores& s, int g, int h, bool centred) {
  if (g / 3 != h / 3) return 0;
  const auto& block = s.similarity[index_of(g / 3)];
  return (centred ? block.pearson : block.cosine)[index_of(3 * (g % 3) + h % 3)];
}

TEST(Hybrid, IsImportanceLessRedundancy) {
  const Scores s = made_up();
  const ChannelGroups groups = two_layers();
  for (const bool centred : {false, true}) {
    for (const double gamma : {0.0, 0.7}) {
      const FormulationOptions o{.taylor = 0.8, .fisher = 0.3, .redundancy = gamma, .centred = centred};
      double total = 0;  // over ordered pairs: γ's unit is that a group's sum to 1 on average
      for (int g = 0; g < kGroups; ++g) {
        for (int h = 0; h < kGroups; ++h) total += g == h ? 0 : std::abs(similarity(s, g, h, centred));
      }
      const Formulation f = formulate("hybrid", groups, s, o, 3);
      expect_energies(f, [&](const Mask& x) {
        double energy = 0;
        for (int g = 0; g < kGroups; ++g) {
          if (x[index_of(g)] == 0) continue;
          energy -= 0.8 * s.taylor[index_of(g)] / mean_of(s.taylor) +
                    0.3 * s.fisher[index_of(g)] / mean_of(s.fisher);
          for (int h = g + 1; h < kGroups; ++h) {
            if (x[index_of(h)] != 0)
              energy += gamma * kGroups / total * std::abs(similarity(s, g, h, centred));
          }
        }
        return energy;
      });
    }
  }
}

/// ½ u'Mu with u = 1 - x, M = G'G/rows, off the diagonal times `cross`.
double quadratic(const std::vector<float>& rows, int count, double cross, const Mask& x) {
  double energy = 0;
  for (int g = 0; g < kGroups; ++g) {
    for (int h = 0; h < kGroups; ++h) {
      if (x[index_of(g)] != 0 || x[index_of(h)] != 0) continue;
      double entry = 0;
      for (int r = 0; r < count; ++r)
        entry +=
            static_cast<double>(rows[index_of(r * kGroups + g)]) * rows[index_of(r * kGroups + h)] / count;
      energy += 0.5 * entry * (g == h ? 1 : cross);
    }
  }
  return energy;
}

TEST(GateFisher, IsHalfTheQuadraticFormOfRemovedGroups) {
  const Scores s = made_up();
  const ChannelGroups groups = two_layers();
  for (const double cross : {0.0, 0.25, 1.0}) {
    const FormulationOptions o{.cross = cross};
    expect_energies(formulate("gate-fisher", groups, s, o, 3),
                    [&](const Mask& x) { return quadratic(s.gradients, s.rows, cross, x); });
    expect_energies(formulate("gauss-newton", groups, s, o, 3),
                    [&](const Mask& x) { return quadratic(s.probes, s.probe_rows, cross, x); });
  }
}

TEST(GateFisher, OfLowRankIsItsDenseMatrix) {
  const Formulation f = formulate("gate-fisher", two_layers(), made_up(), {.cross = 0.5}, 3);
  ASSERT_EQ(f.qubo.low_rank().size(), 1U);
  EXPECT_EQ(f.qubo.low_rank()[0].rank, 4);
  std::vector<double> couplings, diagonal;
  f.qubo.to_dense(couplings, diagonal);
  expect_energies(f, [&](const Mask& x) {
    double energy = f.qubo.offset();
    for (std::size_t g = 0; g < kGroups; ++g) {
      if (x[g] == 0) continue;
      energy += diagonal[g];
      for (std::size_t h = g + 1; h < kGroups; ++h) energy += x[h] != 0 ? couplings[g * kGroups + h] : 0;
    }
    return energy;
  });
}

TEST(GateFisher, WithoutLabelsIsGaussNewton) {
  Scores s = made_up();
  s.label_free = true;
  s.gradients.clear();
  s.rows = 0;
  expect_energies(formulate("gate-fisher", two_layers(), s, {.cross = 0.5}, 3),
                  [&](const Mask& x) { return quadratic(s.probes, s.probe_rows, 0.5, x); });
}

TEST(L1Qubo, PaysForEveryFilterTooManyOrTooFew) {
  const Scores s = made_up();
  const Formulation f = formulate("l1-qubo", two_layers(), s, {.penalty = 2}, 4);
  EXPECT_EQ(f.solving, Solving::unbounded);
  expect_energies(f, [&](const Mask& x) {
    double energy = 2 * mean_of(s.l1) * std::pow(kept_count(x) - 4, 2);
    for (std::size_t g = 0; g < kGroups; ++g) energy -= x[g] != 0 ? s.l1[g] : 0;
    return energy;
  });
}

TEST(Greedy, ObjectivesAreSumsOfTheirScores) {
  const Scores s = made_up();
  const ChannelGroups groups = two_layers();
  const std::vector<std::pair<std::string, const std::vector<double>*>> all{
      {"taylor", &s.taylor},
      {"taylor-weight", &s.taylor_weight},
      {"fisher", &s.fisher},
      {"l1", &s.l1},
      {"l2", &s.l2}};
  for (const auto& [name, scores] : all) {
    const Formulation f = formulate(name, groups, s, {}, 3);
    EXPECT_EQ(f.solving, Solving::sorting);
    EXPECT_EQ(f.importance, *scores);
    expect_energies(f, [scores = scores](const Mask& x) {
      double energy = 0;
      for (std::size_t g = 0; g < kGroups; ++g) energy -= x[g] != 0 ? (*scores)[g] : 0;
      return energy;
    });
    const auto scaled = formulate(name, groups, s, {.per_layer = true}, 3).importance;
    for (std::size_t g = 0; g < kGroups; ++g) {
      const std::size_t first = g / 3 * 3;
      const double mean = ((*scores)[first] + (*scores)[first + 1] + (*scores)[first + 2]) / 3;
      EXPECT_NEAR(scaled[g], (*scores)[g] / mean, 1e-14);
    }
  }
}

/// Filters and what reads their channels: 1x1 kernels, so that a group is a row of one matrix and a column of
/// the next.
TEST(Greedy, LampSharesOutEachLayersWeights) {
  const ChannelGroups groups = two_layers();
  std::vector<at::Tensor> weights;
  for (const Node& node : groups.analysis().graph.nodes) {
    if (node.op != "Conv") continue;
    const at::Tensor weight =
        groups.analysis().graph.values[static_cast<std::size_t>(node.input(1))].constant;
    weights.push_back(weight.flatten(1).to(at::kDouble).square());
  }
  const Formulation f = formulate("lamp", groups, made_up(), {}, 3);
  EXPECT_EQ(f.solving, Solving::sorting);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    const at::Tensor squares = weights[layer].sum(1) + weights[layer + 1].sum(0);
    for (std::int64_t g = 0; g < 3; ++g) {
      const double own = squares[g].item<double>();
      const double shared = squares.masked_select(squares >= own).sum().item<double>();
      EXPECT_NEAR(f.importance[layer * 3 + static_cast<std::size_t>(g)], own / shared, 1e-12)
          << layer << ", " << g;
    }
  }
}

TEST(Greedy, RandomFollowsItsSeed) {
  const ChannelGroups groups = two_layers();
  const auto of = [&](std::uint64_t seed) {
    return formulate("random", groups, made_up(), {.seed = seed}, 3).importance;
  };
  EXPECT_EQ(of(1), of(1));
  EXPECT_NE(of(1), of(2));
}

TEST(Measured, HasItsEffectsOnTheDiagonalAndGaussNewtonsCorrelations) {
  Scores s = made_up();
  for (int r = 0; r < s.probe_rows; ++r) s.probes[index_of(r * kGroups + 5)] = 0;  // no probe sees the last
  const std::vector<double> effects{0.5, 0.1, 0.9, 0.0, 0.3, 0.7};
  const auto entry = [&](int g, int h) {
    double sum = 0;
    for (int r = 0; r < s.probe_rows; ++r)
      sum += static_cast<double>(s.probes[index_of(r * kGroups + g)]) * s.probes[index_of(r * kGroups + h)];
    return sum;
  };
  for (const double cross : {0.0, 0.3}) {
    const Formulation f = formulate_measured(effects, s, {.cross = cross});
    expect_energies(f, [&](const Mask& x) {
      double energy = 0;
      for (int g = 0; g < kGroups; ++g) {
        if (x[index_of(g)] != 0) continue;
        energy += effects[index_of(g)];
        for (int h = g + 1; h < kGroups; ++h) {
          const double both = entry(g, g) * entry(h, h);
          if (x[index_of(h)] == 0 && both > 0)
            energy += cross * entry(g, h) / std::sqrt(both) * 2 *
                      std::sqrt(effects[index_of(g)] * effects[index_of(h)]);
        }
      }
      return energy;
    });
    for (std::size_t g = 0; g < kGroups; ++g) EXPECT_NEAR(f.importance[g], effects[g], 1e-6);
  }
}

TEST(Objectives, AreAllMadeOrSayWhyNot) {
  const ChannelGroups groups = two_layers();
  for (const auto& name : objective_names()) {
    if (name == "measured" || name == "reconstruction") {
      EXPECT_THROW(formulate(name, groups, made_up(), {}, 3), InputError);
    } else {
      EXPECT_EQ(formulate(name, groups, made_up(), {}, 3).objective, name);
    }
  }
  EXPECT_THROW(formulate("magic", groups, made_up(), {}, 3), InputError);
}

TEST(Objectives, WithoutTheirScoresAreRefused) {
  Scores s = made_up();
  s.similarity.clear();
  s.rows = s.probe_rows = 0;
  s.gradients.clear();
  s.probes.clear();
  for (const char* name : {"hybrid", "gate-fisher", "gauss-newton"})
    EXPECT_THROW(formulate(name, two_layers(), s, {}, 3), InputError) << name;
  EXPECT_NO_THROW(formulate("hybrid", two_layers(), s, {.redundancy = 0}, 3));
}

}  // namespace
}  // namespace quboprune
