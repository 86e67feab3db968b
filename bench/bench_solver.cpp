// How fast are the solvers' moves? One thread each; flips (a swap counts two) or proposals per second are
// reported as "items". Speed alone is no answer: docs/solver.md has the gaps over time.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "quboprune/random.h"
#include "quboprune/solver.h"
#include "solvers/anneal.h"
#include "solvers/roof_dual.h"
#include "solvers/tabu_list.h"

namespace quboprune {
namespace {

Qubo random_qubo(int n, std::uint32_t one_in, int largest, std::uint64_t seed) {
  Rng rng(seed);
  const auto range = static_cast<std::uint32_t>(2 * largest + 1);
  Qubo qubo(n);
  for (int i = 0; i < n; ++i)
    for (int j = i + 1; j < n; ++j)
      if (rng.below(one_in) == 0) qubo.add_pair(i, j, static_cast<double>(rng.below(range)) - largest);
  return qubo;
}

/// Best flips on a dense matrix of int8 (largest 100) or int16 (1000).
void flips(benchmark::State& bench) {
  const int n = static_cast<int>(bench.range(0));
  const DenseMatrix matrix(random_qubo(n, 2, static_cast<int>(bench.range(1)), 1));
  DenseState state(matrix, {});
  TabuList tabu(matrix.size(), 128);
  Rng rng(1);
  for (auto _ : bench) {
    const std::size_t i = state.addition_gain() <= state.removal_gain() ? state.best_addition(rng())
                                                                        : state.best_removal(rng());
    tabu.advance(state);
    state.flip(i);
    tabu.forbid(state, i, 10 + static_cast<int>(rng.below(10)));
  }
  bench.SetItemsProcessed(static_cast<std::int64_t>(bench.iterations()));
}
BENCHMARK(flips)
    ->Args({500, 100})
    ->Args({1000, 100})
    ->Args({3000, 100})
    ->Args({5000, 100})
    ->Args({5000, 1000});

/// Best swaps at n/2 ones.
void swaps(benchmark::State& bench) {
  const int n = static_cast<int>(bench.range(0));
  const DenseMatrix matrix(random_qubo(n, 1, 100, 1));
  DenseState state(matrix, {});
  TabuList tabu(matrix.size(), 128);
  Rng rng(1);
  for (std::size_t i = 0; i < matrix.size(); i += 2) {
    state.flip(i);
    state.release(i);
  }
  state.rescan();
  for (auto _ : bench) {
    const std::size_t out = state.best_removal(rng()), in = state.best_addition(rng());
    tabu.advance(state);
    state.swap(out, in);
    tabu.forbid(state, out, 10 + static_cast<int>(rng.below(10)));
    tabu.forbid(state, in, 10 + static_cast<int>(rng.below(10)));
  }
  bench.SetItemsProcessed(static_cast<std::int64_t>(2 * bench.iterations()));
}
BENCHMARK(swaps)->Arg(500)->Arg(3000);

/// Proposals while annealing a graph of 2000 vertices and degree 20 from hot to cold, most of them refused.
void annealing(benchmark::State& bench) {
  const StructuredProblem problem(random_qubo(2000, 100, 1, 1));
  const Constraint constraint;
  const Control control;
  const Deadline deadline(1e9, control);
  Anneal<SparseModel> anneal(problem, constraint, {.sweeps = 1000});
  Task task;
  task.start.resize(problem.size);
  task.moves = std::numeric_limits<std::int64_t>::max();
  task.target = -std::numeric_limits<double>::infinity();
  for (auto _ : bench) {
    ++task.seed;
    benchmark::DoNotOptimize(anneal.improve(task, deadline).energy);
  }
  bench.SetItemsProcessed(static_cast<std::int64_t>(bench.iterations()) * 1000 * 2000);
}
BENCHMARK(annealing)->Unit(benchmark::kMillisecond);

/// Moves in half a second of processor time a thread: two threads against one, without what waiting for a
/// processor takes on a busy machine. Sparse: 50 couplings a variable are annealed; dense: tabu search.
void threads(benchmark::State& bench) {
  const Qubo qubo = random_qubo(2500, bench.range(1) != 0 ? 50 : 2, 100, 1);
  std::int64_t moves = 0;
  for (auto _ : bench) {
    const SolverResult result = solve(
        qubo, {}, {.seconds = 0.5, .processor_time = true, .threads = static_cast<int>(bench.range(0))});
    moves += result.moves;
    bench.SetIterationTime(result.seconds);
  }
  bench.SetItemsProcessed(moves);
}
BENCHMARK(threads)
    ->ArgNames({"threads", "sparse"})
    ->ArgsProduct({{1, 2}, {0, 1}})
    ->UseManualTime()
    ->Iterations(3);

/// Until exactly K of N variables with random couplings are proved optimal, search included: three problems.
void proof_of_count(benchmark::State& bench) {
  std::uint64_t seed = 0;
  bool optimal = true;
  for (auto _ : bench) {
    const Qubo qubo = random_qubo(static_cast<int>(bench.range(0)), 1, 100, ++seed);
    const Constraint constraint{Constraint::Kind::exactly, static_cast<double>(bench.range(1))};
    const SolverResult result =
        solve(qubo, constraint, {.method = "exact", .seconds = 60, .processor_time = true});
    optimal = optimal && result.optimal;
  }
  if (!optimal) bench.SkipWithError("not proved within a minute");
}
BENCHMARK(proof_of_count)->Args({60, 30})->Args({60, 10})->Iterations(3)->Unit(benchmark::kMillisecond);

/// How far an exact total of costs without a common unit ends above the same total as a limit, in percent of
/// the latter's energy: two problems, 3 s each way.
void total(benchmark::State& bench) {
  const int n = static_cast<int>(bench.range(0));
  const SolverOptions options{.seconds = 3, .processor_time = true};
  double above = 0;
  std::uint64_t seed = 0;
  for (auto _ : bench) {
    const Qubo qubo = random_qubo(n, 1, 100, ++seed);
    Constraint constraint{Constraint::Kind::exactly};
    Rng rng(seed);
    for (int i = 0; i < n; ++i) {
      constraint.costs.push_back(1 + 9 * rng.uniform());
      if (rng.below(3) == 0) constraint.capacity += constraint.costs.back();
    }
    const double exact = solve(qubo, constraint, options).pool.front().energy;
    constraint.kind = Constraint::Kind::at_most;
    const double limited = solve(qubo, constraint, options).pool.front().energy;
    above += 100 * (exact - limited) / std::abs(limited);
  }
  bench.counters["percent"] = above / static_cast<double>(bench.iterations());
}
BENCHMARK(total)->Arg(60)->Arg(100)->Arg(300)->Arg(1000)->Iterations(2)->Unit(benchmark::kSecond);

/// By how much percent annealing ends above tabu search in the same time. Three problems.
void annealed_over_tabu(benchmark::State& bench, const Constraint& constraint,
                        Qubo (*problem)(Rng&, int, int)) {
  double above = 0;
  std::uint64_t seed = 0;
  for (auto _ : bench) {
    Rng rng(++seed);
    const Qubo qubo = problem(rng, static_cast<int>(bench.range(0)), static_cast<int>(bench.range(1)));
    double energy[2];
    for (const bool tabu : {false, true})
      energy[tabu ? 1 : 0] =
          solve(qubo, constraint, {.method = tabu ? "tabu" : "anneal", .seconds = 2, .processor_time = true})
              .pool.front()
              .energy;
    above += 100 * (energy[0] - energy[1]) / std::abs(energy[1]);
  }
  bench.counters["percent"] = above / static_cast<double>(bench.iterations());
}

/// Low-rank couplings, 36 % of n kept: annealing on the factors against tabu search on rows multiplied out.
void low_rank(benchmark::State& bench) {
  annealed_over_tabu(bench,
                     {Constraint::Kind::exactly, std::floor(0.36 * static_cast<double>(bench.range(0)))},
                     [](Rng& rng, int n, int rank) {
                       Qubo::LowRank term{rank, 1.0 / rank, {}};
                       std::vector<double> size;
                       for (int i = 0; i < n; ++i) size.push_back(std::exp(4 * rng.uniform() - 2));
                       for (int r = 0; r < rank; ++r)
                         for (const double s : size)
                           term.factor.push_back(
                               static_cast<float>(s * (rng.uniform() + rng.uniform() + rng.uniform() - 1.4)));
                       Qubo qubo(n);
                       qubo.add_low_rank(std::move(term));
                       return qubo;
                     });
}
BENCHMARK(low_rank)
    ->ArgNames({"n", "rank"})
    ->Args({500, 64})
    ->Args({2000, 64})
    ->Args({4000, 256})
    ->Iterations(3)
    ->Unit(benchmark::kSecond);

/// Low-rank terms whose parts have to balance one another, 36 % of n kept: how far above the minimum over
/// fractions that ends which is found in the time given.
void balancing(benchmark::State& bench) {
  const auto n = static_cast<int>(bench.range(0));
  const auto rank = static_cast<int>(bench.range(1));
  std::uint64_t seed = 0;
  double gap = 0;
  for (auto _ : bench) {
    Rng rng(++seed);
    Qubo::LowRank term{rank, 1.0, {}};
    for (int k = 0; k < rank * n; ++k) term.factor.push_back(static_cast<float>(2 * rng.uniform() - 1));
    Qubo qubo(n);
    qubo.add_low_rank(std::move(term));
    for (int i = 0; i < n; ++i) qubo.add_linear(i, -10 * rng.uniform());
    const SolverResult result =
        solve(qubo, {Constraint::Kind::exactly, std::floor(0.36 * n), {}, {}},
              {.seconds = 1e-3 * static_cast<double>(bench.range(2)), .processor_time = true, .bound = true});
    gap += 100 * (result.pool.front().energy - result.bound) / std::abs(result.bound);
  }
  bench.counters["gap_percent"] = gap / static_cast<double>(bench.iterations());
}
BENCHMARK(balancing)
    ->ArgNames({"n", "rank", "ms"})
    ->Args({500, 50, 500})
    ->Args({500, 50, 4000})
    ->Args({1000, 100, 500})
    ->Args({1000, 100, 4000})
    ->Iterations(3)
    ->Unit(benchmark::kSecond);

/// The largest cut of a random graph with couplings of 1 and -1 into halves.
void counted_graph(benchmark::State& bench) {
  annealed_over_tabu(bench,
                     {Constraint::Kind::exactly, std::floor(0.5 * static_cast<double>(bench.range(0)))},
                     [](Rng& rng, int n, int degree) {
                       Qubo qubo(n);
                       for (int k = 0; k < n * degree / 2; ++k) {
                         const auto i = static_cast<int>(rng.below(static_cast<std::uint32_t>(n)));
                         const auto j = static_cast<int>(rng.below(static_cast<std::uint32_t>(n)));
                         if (i == j) continue;
                         const double weight = rng.below(2) == 0 ? 1 : -1;
                         qubo.add_pair(i, j, 2 * weight);
                         qubo.add_linear(i, -weight);
                         qubo.add_linear(j, -weight);
                       }
                       return qubo;
                     });
}
BENCHMARK(counted_graph)
    ->ArgNames({"n", "degree"})
    ->Args({800, 48})
    ->Args({2000, 20})
    ->Args({2000, 4})
    ->Iterations(3)
    ->Unit(benchmark::kSecond);

/// As in pruning: importances of many sizes, similarities within layers, 64 % kept.
void counted_blocks(benchmark::State& bench) {
  annealed_over_tabu(bench,
                     {Constraint::Kind::exactly, std::floor(0.64 * static_cast<double>(bench.range(0)))},
                     [](Rng& rng, int n, int each) {
                       Qubo qubo(n);
                       for (int i = 0; i < n; ++i)
                         qubo.add_linear(i, -std::exp(3 * (rng.uniform() + rng.uniform() - 1)));
                       for (int first = 0; first < n; first += each)
                         for (int i = first; i < std::min(n, first + each); ++i)
                           for (int j = first; j < i; ++j)
                             qubo.add_pair(i, j, 0.3 * rng.uniform() * rng.uniform() * rng.uniform());
                       return qubo;
                     });
}
BENCHMARK(counted_blocks)
    ->ArgNames({"n", "block"})
    ->Args({1024, 16})
    ->Args({1024, 64})
    ->Args({2048, 64})
    ->Iterations(3)
    ->Unit(benchmark::kSecond);

/// Random whole numbers of up to 100, half of the variables' pairs with a penalty of 1e10: by how much
/// percent the best found is above that with one of 1e5, after a second each.
void penalties(benchmark::State& bench) {
  const int n = static_cast<int>(bench.range(0));
  double above = 0;
  std::uint64_t seed = 0;
  for (auto _ : bench) {
    ++seed;
    double energy[2];
    for (const bool large : {false, true}) {
      Qubo qubo = random_qubo(n, 1, 100, seed);
      for (int i = 0; i + 1 < n; i += 2) qubo.add_pair(i, i + 1, large ? 1e10 : 1e5);
      energy[large ? 1 : 0] = solve(qubo, {}, {.seconds = 1, .processor_time = true}).pool.front().energy;
    }
    above += 100 * (energy[1] - energy[0]) / std::abs(energy[0]);
  }
  bench.counters["percent"] = above / static_cast<double>(bench.iterations());
}
BENCHMARK(penalties)->Arg(300)->Arg(1000)->Iterations(3)->Unit(benchmark::kSecond);

/// Dense whole numbers, 1 to 3 of each ten kept: by how much percent a part of a second ends above four.
void short_anneals(benchmark::State& bench) {
  const int n = static_cast<int>(bench.range(0));
  Constraint constraint;
  for (int first = 0; first < n; first += 10) {
    Constraint::Group group{{}, 1, 3};
    for (int i = first; i < std::min(n, first + 10); ++i) group.variables.push_back(i);
    constraint.groups.push_back(group);
  }
  double above = 0;
  std::uint64_t seed = 0;
  for (auto _ : bench) {
    const Qubo qubo = random_qubo(n, 1, 100, ++seed);
    const auto after = [&](double seconds) {
      return solve(qubo, constraint, {.seconds = seconds, .processor_time = true}).pool.front().energy;
    };
    const double best = after(4);
    above += 100 * (after(static_cast<double>(bench.range(1)) / 1000) - best) / std::abs(best);
  }
  bench.counters["percent"] = above / static_cast<double>(bench.iterations());
}
BENCHMARK(short_anneals)
    ->ArgNames({"n", "ms"})
    ->Args({1000, 200})
    ->Args({1000, 1000})
    ->Iterations(3)
    ->Unit(benchmark::kSecond);

/// The roof dual of sparse problems of 3,000 variables, coefficients -10 to 10: how many it decides, and how
/// far below the best that a second of search finds it is.
void roof(benchmark::State& bench) {
  constexpr int n = 3000;
  Rng rng(1);
  const auto draw = [&](std::uint32_t range) { return static_cast<int>(rng.below(range)); };
  Qubo qubo(n);
  for (int i = 0; i < n; ++i) qubo.add_linear(i, draw(21) - 10);
  for (int k = 0; k < n * static_cast<int>(bench.range(0)) / 2; ++k) {
    const int i = draw(n), j = draw(n);
    if (i != j) qubo.add_pair(std::min(i, j), std::max(i, j), draw(21) - 10);
  }
  RoofDual dual;
  for (auto _ : bench) dual = roof_dual(qubo, {});
  const double best = solve(qubo, {}, {.seconds = 1}).pool.front().energy;
  bench.counters["decided"] =
      static_cast<double>(std::ranges::count_if(dual.persistent, [](auto value) { return value >= 0; }));
  bench.counters["gap_percent"] = 100 * (best - dual.bound) / std::abs(best);
}
BENCHMARK(roof)->Arg(2)->Arg(4)->Arg(6)->Arg(8)->Arg(20)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace quboprune
