#include "quboprune/target.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "coupling/analysis.h"
#include "model/test_net.h"
#include "quboprune/error.h"
#include "quboprune/surgery.h"

namespace quboprune {
namespace {

using testing::index_of;
using testing::mixed_structures;
using testing::Net;
using testing::numbers;

/// 3 -> 8 -> 8 -> 8 -> 2: 24 groups.
Graph chain() {
  Net net;
  int h = net.input({-1, 3, -1, -1});
  for (std::int64_t layer = 0, width = 3; layer < 3; ++layer, width = 8) {
    h = net.add("Relu", {net.add("Conv", {h, net.constant(numbers({8, width, 3, 3}, 1))},
                                 {{"pads", testing::list({1, 1, 1, 1})}})});
  }
  return net.finish(
      net.add("Conv", {h, net.constant(numbers({2, 8, 1, 1}, 2)), net.constant(numbers({2}, 3))}));
}

/// Made up, with couplings of both signs.
Formulation formulation(int groups, std::uint64_t seed) {
  Rng rng(seed);
  Formulation f;
  f.qubo = Qubo(groups);
  for (int g = 0; g < groups; ++g) {
    f.importance.push_back(rng.uniform());
    f.qubo.add_linear(g, -f.importance.back());
    for (int h = 0; h < g; ++h) f.qubo.add_pair(h, g, 0.2 * rng.uniform() - 0.05);
  }
  return f;
}

const SolverOptions kQuick{.seconds = 1, .max_moves = 2000};

TEST(Filters, AreKeptExactlyInBothModes) {
  const ChannelGroups groups = analyse(chain());
  ASSERT_EQ(groups.size(), 24);
  for (const CapacityMode mode : {CapacityMode::direct, CapacityMode::bisect}) {
    for (const double removed : {0.05, 0.2, 0.36, 0.5, 0.77, 0.85}) {
      const Formulation f = formulation(24, 3);
      const auto solved = solve_at_target(f, groups, {Cost::filters, removed}, kQuick, mode);
      for (const auto& solution : solved.pool) {
        EXPECT_EQ(kept_count(solution.x), 24 - static_cast<int>(std::lround(24 * removed)));
        EXPECT_NEAR(solution.energy, f.qubo.energy(solution.x), 1e-9);
        EXPECT_NO_THROW(slice(groups, solution.x));
      }
    }
  }
}

TEST(Filters, AreKeptExactlyBySortAndCutAndWithAPenalty) {
  const ChannelGroups groups = analyse(chain());
  for (const bool greedy : {true, false}) {
    Formulation f = formulation(24, 4);
    f.solving = greedy ? Solving::sorting : Solving::unbounded;
    const auto solved = solve_at_target(f, groups, {Cost::filters, 0.36}, kQuick);
    EXPECT_EQ(kept_count(solved.pool.front().x), 15);
    EXPECT_NO_THROW(slice(groups, solved.pool.front().x));
  }
}

TEST(Bisection, JumpsOverCountsThatItsRepairThenMeets) {
  Qubo qubo(4);
  const double importance[] = {2.6, 1, 1, 1};
  for (int i = 0; i < 4; ++i) {
    qubo.add_linear(i, -importance[i]);
    for (int j = i + 1; j < 4; ++j) qubo.add_pair(i, j, i == 0 ? 100 : 1);
  }
  double best[5];  // by count
  std::fill(best, best + 5, std::numeric_limits<double>::infinity());
  for (int bits = 0; bits < 16; ++bits) {
    Mask x;
    for (int i = 0; i < 4; ++i) x.push_back(static_cast<std::uint8_t>(bits >> i & 1));
    best[kept_count(x)] = std::min(best[kept_count(x)], qubo.energy(x));
  }
  // Two are best at multiplier m only if best[2] - 2m <= best[1] - m and best[2] - 2m <= best[3] - 3m.
  ASSERT_GT(best[2] - best[1], best[3] - best[2]);
  const BisectResult found = bisect_capacity(qubo, 2, {}, kQuick);
  EXPECT_FALSE(found.reached);
  EXPECT_EQ(kept_count(found.x), 2);
  EXPECT_DOUBLE_EQ(found.energy, qubo.energy(found.x));
  EXPECT_DOUBLE_EQ(found.energy, best[2]);
  for (const int count : {1, 3}) {
    const BisectResult reachable = bisect_capacity(qubo, count, {}, kQuick);
    EXPECT_TRUE(reachable.reached) << count;
    EXPECT_DOUBLE_EQ(reachable.energy, best[count]);
  }
}

TEST(Bisection, GivesTheBestOfItsCountWhereAMultiplierReachesIt) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Qubo qubo = formulation(10, seed).qubo;
    for (int count = 0; count <= 10; ++count) {
      const BisectResult found = bisect_capacity(qubo, count, {}, kQuick);
      ASSERT_EQ(kept_count(found.x), count);
      if (!found.reached) continue;
      double best = std::numeric_limits<double>::infinity();
      for (int bits = 0; bits < 1 << 10; ++bits) {
        Mask x;
        for (int i = 0; i < 10; ++i) x.push_back(static_cast<std::uint8_t>(bits >> i & 1));
        if (kept_count(x) == count) best = std::min(best, qubo.energy(x));
      }
      EXPECT_NEAR(found.energy, best, 1e-9) << seed << " " << count;
    }
  }
}

/// Multiples by powers of two, so that nothing is rounded: the loss may be measured in any unit.
TEST(Bisection, DoesNotDependOnTheUnitOfTheEnergy) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Qubo qubo = formulation(30, seed).qubo;
    const BisectResult found = bisect_capacity(qubo, 11, {}, kQuick);
    for (const double unit : {0x1p-50, 0x1p40}) {
      Qubo scaled(30);
      for (int i = 0; i < 30; ++i) scaled.add_linear(i, unit * qubo.linear()[static_cast<std::size_t>(i)]);
      for (const auto& pair : qubo.pairs()) scaled.add_pair(pair.i, pair.j, unit * pair.value);
      const BisectResult other = bisect_capacity(scaled, 11, {}, kQuick);
      EXPECT_EQ(other.reached, found.reached) << seed << " " << unit;
      EXPECT_EQ(other.x, found.x) << seed << " " << unit;
    }
  }
}

TEST(Bisection, SaysThatItWasStopped) {
  const Qubo qubo = formulation(30, 1).qubo;
  const std::atomic<bool> stop = true;
  Control control;
  control.stop = &stop;
  const BisectResult found = bisect_capacity(qubo, 11, {}, kQuick, control);
  EXPECT_TRUE(found.out_of_time);
  EXPECT_EQ(kept_count(found.x), 11);
}

TEST(Bisection, KeepsWhatIsFixed) {
  const Qubo qubo = formulation(8, 2).qubo;
  std::vector<std::int8_t> fixed(8, -1);
  fixed[2] = 0;
  fixed[5] = 1;
  for (int count = 1; count <= 7; ++count) {
    const Mask x = bisect_capacity(qubo, count, fixed, kQuick).x;
    EXPECT_EQ(kept_count(x), count);
    EXPECT_EQ(x[2], 0);
    EXPECT_EQ(x[5], 1);
  }
  EXPECT_THROW(bisect_capacity(qubo, 8, fixed, kQuick), InputError);
  EXPECT_THROW(bisect_capacity(qubo, 0, fixed, kQuick), InputError);
}

/// Counted on the rebuilt network: elements of its constants, products of its convolutions on a run.
double counted(const ChannelGroups& groups, const Mask& mask, Cost kind) {
  const Graph graph = slice(groups, mask);
  double total = 0;
  if (kind == Cost::params) {
    for (const auto& value : graph.values)
      total += value.is_constant() ? static_cast<double>(value.constant.numel()) : 0;
    return total;
  }
  RunOptions run;
  run.on_value = [&](int v, const at::Tensor& tensor) {
    const Node& node = graph.nodes[index_of(graph.values[index_of(v)].producer)];
    if (node.op != "Conv") return;
    const at::Tensor& weight = graph.values[index_of(node.inputs[1])].constant;
    total += static_cast<double>(tensor.numel() * weight.numel() / weight.size(0));
  };
  Executor(graph).run({at::zeros(groups.analysis().input_shapes[0])}, run);
  return total;
}

TEST(ParametersAndMacs, AreTheLargestNotAboveTheTarget) {
  for (const Graph& graph : {chain(), mixed_structures()}) {
    const ChannelGroups groups = analyse(graph);
    const Mask whole(index_of(groups.size()), 1);
    for (const Cost kind : {Cost::params, Cost::macs}) {
      for (const double removed : {0.1, 0.36, 0.6}) {
        Formulation f = formulation(groups.size(), 5);
        std::vector<Solution> found = solve_at_target(f, groups, {kind, removed}, kQuick).pool;
        f.solving = Solving::sorting;
        found.push_back(solve_at_target(f, groups, {kind, removed}, kQuick).pool.front());
        const double allowed = (1 - removed) * counted(groups, whole, kind);
        for (const auto& solution : found) {
          EXPECT_LE(counted(groups, solution.x, kind), allowed);
          for (std::size_t g = 0; g < solution.x.size(); ++g) {
            if (solution.x[g] != 0) continue;
            Mask more = solution.x;
            more[g] = 1;
            EXPECT_GT(counted(groups, more, kind), allowed) << name_of(kind) << " " << removed << " " << g;
          }
        }
      }
    }
  }
}

/// Of few coarse groups: nothing that holds the guarded ones and leaves no room unused has less energy.
TEST(ParametersAndMacs, OfSmallNetworksAreTheBest) {
  const ChannelGroups groups = analyse(mixed_structures());
  const int n = groups.size();
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Formulation f = formulation(n, seed);
    const auto fixed = guard_layers(groups, f.importance);
    for (const double removed : {0.2, 0.4, 0.6}) {
      const double allowed = allowance(groups, {Cost::macs, removed});
      const auto fits = [&](const Mask& x) { return groups.cost().value(Cost::macs, x) <= allowed; };
      double best = INFINITY;
      for (unsigned bits = 0; bits < 1U << static_cast<unsigned>(n); ++bits) {
        Mask x(index_of(n));
        bool candidate = true;
        for (int g = 0; g < n; ++g) {
          x[index_of(g)] = static_cast<std::uint8_t>(bits >> static_cast<unsigned>(g) & 1U);
          candidate = candidate && (fixed[index_of(g)] != 1 || x[index_of(g)] == 1);
        }
        candidate = candidate && fits(x);
        for (int g = 0; candidate && g < n; ++g) {
          if (x[index_of(g)] != 0) continue;
          Mask more = x;
          more[index_of(g)] = 1;
          candidate = !fits(more);
        }
        if (candidate) best = std::min(best, f.qubo.energy(x));
      }
      const auto solved = solve_at_target(f, groups, {Cost::macs, removed}, kQuick);
      EXPECT_NEAR(solved.pool.front().energy, best, 1e-9) << seed << " " << removed;
    }
  }
}

/// More variables than a search under costs takes: a price on the cost serves.
TEST(ParametersAndMacs, OfManyGroupsAreMetToo) {
  constexpr int kMany = kMostVariablesWithCosts + 500;
  Net net;
  const int h = net.add("Conv", {net.input({-1, 1, 4, 4}), net.constant(numbers({kMany, 1, 1, 1}, 1))});
  const ChannelGroups groups = analyse(
      net.finish(net.add("Conv", {net.add("Relu", {h}), net.constant(numbers({2, kMany, 1, 1}, 2))})));
  ASSERT_EQ(groups.size(), kMany);
  Rng rng(4);
  Formulation f;
  f.qubo = Qubo(kMany);
  for (int g = 0; g < kMany; ++g) {
    f.importance.push_back(rng.uniform());
    f.qubo.add_linear(g, -f.importance.back());
    if (g > 0) f.qubo.add_pair(g - 1, g, 0.3 * rng.uniform());
  }
  const auto solved = solve_at_target(f, groups, {Cost::macs, 0.36}, {.seconds = 2});
  const Mask& mask = solved.pool.front().x;
  const double allowed = allowance(groups, {Cost::macs, 0.36});
  EXPECT_LE(groups.cost().value(Cost::macs, mask), allowed);
  EXPECT_GT(groups.cost().value(Cost::macs, mask), 0.999 * allowed);
  Formulation sorted = f;
  sorted.solving = Solving::sorting;
  EXPECT_LT(solved.pool.front().energy,
            solve_at_target(sorted, groups, {Cost::macs, 0.36}, {}).pool.front().energy);
}

TEST(Guards, LeaveNoLayerEmptyWhateverTheScores) {
  for (const Graph& graph : {chain(), mixed_structures()}) {
    const ChannelGroups groups = analyse(graph);
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      const Formulation f = formulation(groups.size(), seed);
      const auto fixed = guard_layers(groups, f.importance);
      Mask guards(fixed.size());
      for (std::size_t g = 0; g < fixed.size(); ++g) guards[g] = fixed[g] == 1 ? 1 : 0;
      EXPECT_NO_THROW(slice(groups, guards));
    }
  }
}

TEST(Guards, AreTheMostImportantOfTheirLayers) {
  const ChannelGroups groups = analyse(chain());
  std::vector<double> importance(24, 0.5);
  importance[3] = importance[15] = importance[16] = 1;
  std::vector<std::int8_t> expected(24, -1);
  expected[3] = expected[15] = expected[16] = 1;
  EXPECT_EQ(guard_layers(groups, importance), expected);
}

TEST(Targets, ThatEmptyALayerAreRefused) {
  const ChannelGroups groups = analyse(chain());
  for (const bool greedy : {false, true}) {
    Formulation f = formulation(24, 6);
    f.solving = greedy ? Solving::sorting : Solving::search;
    const auto with = [&](Cost kind, double removed) {
      return solve_at_target(f, groups, {kind, removed}, kQuick).pool.front().x;
    };
    EXPECT_EQ(kept_count(with(Cost::filters, 21.0 / 24)), 3);
    EXPECT_THROW(with(Cost::filters, 22.0 / 24), InputError);
    EXPECT_THROW(with(Cost::macs, 0.999), InputError);
  }
}

TEST(Targets, ThatCantBeMetSayHowMuchGoesAtMost) {
  const ChannelGroups groups = analyse(chain());
  for (const auto& [target, most] :
       {std::pair{Target{Cost::filters, 0.99}, "21 of 24 filters can be removed, filters=0.8750;"},
        // 3 -> 1 -> 1 -> 1 -> 2 by kernels of 3x3, the last 1x1 with a bias: 49 of 1386 numbers stay.
        std::pair{Target{Cost::params, 0.99}, "1337 of 1386 parameters can be removed, params=0.9646;"}}) {
    try {
      solve_at_target(formulation(24, 6), groups, target, kQuick);
      FAIL() << "was met";
    } catch (const InputError& e) {
      EXPECT_NE(std::string(e.what()).find(most), std::string::npos) << e.what();
    }
  }
  Formulation penalty = formulation(24, 6);
  penalty.solving = Solving::unbounded;
  EXPECT_THROW(solve_at_target(penalty, groups, {Cost::filters, 0.99}, kQuick), UnmetTarget);
  // What the error names can be asked for.
  EXPECT_NO_THROW(solve_at_target(formulation(24, 6), groups, {Cost::params, 0.9646}, kQuick));
}

TEST(Targets, AreReadFromText) {
  EXPECT_EQ(target_from_text("macs=0.36").kind, Cost::macs);
  EXPECT_EQ(target_from_text("filters=0.36").removed, 0.36);
  for (const char* text : {"", "0.36", "filters", "filters=", "filters=x", "filters=0", "filters=1",
                           "filters=-0.1", "filters=0.3x", "filters=nan", "weights=0.3"})
    EXPECT_THROW(target_from_text(text), InputError) << text;
}

}  // namespace
}  // namespace quboprune
