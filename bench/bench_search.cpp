// Which way of searching finds the better mask for the same number of evaluations?
//
//   bench_search FAMILY|all [EVALUATIONS] [INSTANCES] [METHODS,...] [N] [scores|blind]
//   bench_search pipe N METHOD EVALUATIONS SEED [COUNT]
//
// The first: synthetic objectives that look like what pruning does to a metric, N variables in 8 layers, 36 %
// of them removed; made from a seed, the same on every machine. One thread. Prints the noise-free value of
// the mask found as a percentage of the start's (a greedy mask of misjudged importances; lower is better),
// mean and standard error over instances, and the search's own milliseconds for each evaluation. "scores" (as
// the program has them) tells the search the misjudged importances and the layers, "blind" only the start.
//
// The second: any objective, kept by the program at the other end (scripts/refinement_table). Writes "ask M"
// and M lines of N digits, reads M values; at the end writes "best VALUE SECONDS", the search's own seconds
// of processor time. COUNT: exactly so many ones.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <numeric>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "quboprune/mask_search.h"
#include "quboprune/random.h"

namespace {

using namespace quboprune;

double normal(Rng& rng) {
  const double radius = std::sqrt(-2 * std::log(1 - rng.uniform()));
  return radius * std::cos(6.283185307179586 * rng.uniform());
}

/// One objective, with what a scoring stage would know of it.
struct Problem {
  std::string family;
  std::size_t n = 0;
  int keep = 0;
  std::vector<double> importance, guess;
  std::vector<int> layer;
  std::vector<double> factor;  ///< rank x n
  std::uint64_t noise_seed = 0;
  double noise = 0;
  Mask start;
};

constexpr std::size_t kLayers = 8, kRank = 16, kCluster = 4;

Problem make_problem(const std::string& family, std::size_t n, std::uint64_t seed) {
  Problem p;
  p.family = family;
  p.n = n;
  p.keep = static_cast<int>(n) - static_cast<int>(std::lround(0.36 * static_cast<double>(n)));
  Rng rng(seed * 7919 + 17);
  std::vector<double> scale(kLayers), misjudged(kLayers);
  for (double& s : scale) s = std::exp(0.7 * normal(rng));
  for (double& s : misjudged) s = std::exp(0.4 * normal(rng));
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t layer = i * kLayers / n;
    p.layer.push_back(static_cast<int>(layer));
    p.importance.push_back(scale[layer] * std::exp(1.2 * normal(rng)));
    p.guess.push_back(p.importance[i] * misjudged[layer] * std::exp(0.6 * normal(rng)));
  }
  p.factor.resize(kRank * n);
  for (std::size_t e = 0; e < p.factor.size(); ++e)
    p.factor[e] = std::sqrt(p.importance[e % n]) * normal(rng);
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return p.guess[a] > p.guess[b]; });
  p.start.assign(n, 0);
  for (int k = 0; k < p.keep; ++k) p.start[order[static_cast<std::size_t>(k)]] = 1;
  p.noise_seed = seed;
  return p;
}

double clean_value(const Problem& p, const Mask& x) {
  double linear = 0, low_rank = 0, clusters = 0, compound = 0;
  std::vector<double> damage(kLayers, 0.0), projected(kRank, 0.0);
  for (std::size_t i = 0; i < p.n; ++i) {
    if (x[i]) continue;
    linear += p.importance[i];
    damage[static_cast<std::size_t>(p.layer[i])] += p.importance[i];
    for (std::size_t r = 0; r < kRank; ++r) projected[r] += p.factor[r * p.n + i];
  }
  for (const double f : projected) low_rank += f * f / kRank;
  for (std::size_t c = 0; c + kCluster <= p.n; c += kCluster) {
    double removed = 0, size = 0;
    for (std::size_t i = c; i < c + kCluster; ++i) {
      removed += x[i] ? 0 : 1.0 / kCluster;
      size += p.importance[i];
    }
    clusters += size * removed * removed * removed;
  }
  for (const double d : damage) compound += std::log1p(8 * d / static_cast<double>(p.n));
  if (p.family == "linear") return linear;
  if (p.family == "lowrank") return linear + low_rank;
  if (p.family == "strong") return 0.2 * linear + 2 * low_rank;
  if (p.family == "clusters") return 0.3 * linear + 4 * clusters;
  return std::expm1(compound) * (linear + low_rank) / (1 + 0.02 * linear);  // "compound"
}

/// Noise that is a function of the mask, as crops that happen to be in a calibration set make it.
double value(const Problem& p, const Mask& x) {
  std::uint64_t hash = p.noise_seed;
  for (const auto bit : x) hash = (hash ^ bit) * 0x100000001B3ULL;
  Rng rng(hash);
  return clean_value(p, x) + p.noise * normal(rng);
}

struct Mean {
  double sum = 0, square = 0;
  int count = 0;
  void add(double v) {
    sum += v;
    square += v * v;
    ++count;
  }
  double mean() const { return sum / count; }
  double error() const { return std::sqrt(std::max(0.0, square / count - mean() * mean()) / count); }
};

void compare(const std::string& family, std::int64_t evaluations, int instances,
             const std::vector<std::string>& methods, std::size_t n, bool scores) {
  std::printf("%-9s %6lld", family.c_str(), static_cast<long long>(evaluations));
  for (const std::string& method : methods) {
    Mean score, own;
    for (int instance = 0; instance < instances; ++instance) {
      Problem p = make_problem(family, n, static_cast<std::uint64_t>(instance));
      const double start = clean_value(p, p.start);
      p.noise = 0.002 * start;
      const MaskObjective objective = [&](std::span<const Mask> masks) {
        std::vector<double> values;
        for (const Mask& x : masks) values.push_back(value(p, x));
        return values;
      };
      MaskConstraint constraint;
      constraint.kind = MaskConstraint::Kind::exactly;
      constraint.count = p.keep;
      SearchOptions options = method == "protes" ? protes_options() : SearchOptions{};
      options.method = method;
      options.evaluations = evaluations;
      options.seed = static_cast<std::uint64_t>(instance) + 1;
      if (scores) {
        options.prior = p.guess;
        options.blocks = p.layer;
      }
      const std::vector<Mask> seeds = {p.start};
      const SearchResult result = search_masks(objective, static_cast<int>(n), constraint, seeds, options);
      score.add(100 * clean_value(p, result.best) / start);
      own.add(1000 * result.seconds_outside_objective / static_cast<double>(result.evaluations));
    }
    std::printf("  %s %6.2f±%.2f (%.2f ms)", method.c_str(), score.mean(), score.error(), own.mean());
    std::fflush(stdout);
  }
  std::printf("\n");
}

int pipe(int argc, char** argv) {
  std::ios::sync_with_stdio(false);  // or each character is a call
  const int n = std::atoi(argv[2]);
  SearchOptions options = std::string(argv[3]) == "protes" ? protes_options() : SearchOptions{};
  options.method = argv[3];
  options.evaluations = std::atoll(argv[4]);
  options.seed = static_cast<std::uint64_t>(std::atoll(argv[5]));
  MaskConstraint constraint;
  if (argc > 6) {
    constraint.kind = MaskConstraint::Kind::exactly;
    constraint.count = std::atoi(argv[6]);
  }
  const auto seconds = [] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; };
  double elsewhere = seconds();  // before the search and in the pipe
  const MaskObjective objective = [&](std::span<const Mask> masks) {
    const double before = seconds();
    std::string text = "ask " + std::to_string(masks.size()) + "\n";
    for (const Mask& x : masks) {
      for (const auto bit : x) text += bit ? '1' : '0';
      text += '\n';
    }
    std::cout << text << std::flush;
    std::vector<double> values(masks.size());
    for (double& v : values) std::cin >> v;
    elsewhere += seconds() - before;
    return values;
  };
  const SearchResult result = search_masks(objective, n, constraint, {}, options);
  std::cout << "best " << result.value << ' ' << seconds() - elsewhere << std::endl;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 5 && std::string(argv[1]) == "pipe") return pipe(argc, argv);
  const std::string family = argc > 1 ? argv[1] : "all";
  const std::int64_t evaluations = argc > 2 ? std::atoll(argv[2]) : 1000;
  const int instances = argc > 3 ? std::atoi(argv[3]) : 5;
  std::vector<std::string> methods;
  std::stringstream list(argc > 4 ? argv[4] : "random,protes,tt,local,tt+local");
  for (std::string name; std::getline(list, name, ',');) methods.push_back(name);
  const auto n = static_cast<std::size_t>(argc > 5 ? std::atoi(argv[5]) : 512);
  const bool scores = argc <= 6 || std::string(argv[6]) == "scores";
  for (const char* each : {"linear", "lowrank", "strong", "clusters", "compound"})
    if (family == "all" || family == each) compare(each, evaluations, instances, methods, n, scores);
}
