// Does search pay on a pruning problem? Sorting, backward greedy and swap descent, which need no search,
// against solve() on the same file, with the proven bound beside them and how many variables it decides.
// Usage: bench_pruning SECONDS FILE...; the files are those of `quboprune formulate --target`, whose count
// they state. One thread, processor time, three seeds.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <span>

#include "quboprune/error.h"
#include "quboprune/problem_io.h"
#include "quboprune/solver.h"

namespace {

using quboprune::Mask;
using quboprune::Problem;

/// All fields of a mask, renewed flip by flip, in double on the multiplied-out matrix.
class Fields {
 public:
  explicit Fields(const quboprune::Qubo& qubo) : x_(static_cast<std::size_t>(qubo.size()), 0) {
    qubo.to_dense(couplings_, field_);
  }
  std::size_t size() const { return x_.size(); }
  const Mask& x() const { return x_; }
  double field(std::size_t i) const { return field_[i]; }
  double coupling(std::size_t i, std::size_t j) const { return couplings_[i * size() + j]; }
  void flip(std::size_t i) {
    const double sign = x_[i] != 0 ? -1 : 1;
    x_[i] ^= 1;
    for (std::size_t j = 0; j < size(); ++j) field_[j] += sign * couplings_[i * size() + j];
  }

 private:
  std::vector<double> couplings_, field_;
  Mask x_;
};

/// From all kept, drops what lowers the energy most (or raises it least) until `count` are left.
void backward_greedy(Fields& fields, int count) {
  for (std::size_t i = 0; i < fields.size(); ++i) fields.flip(i);
  for (int kept = static_cast<int>(fields.size()); kept > count; --kept) {
    std::size_t worst = fields.size();
    for (std::size_t i = 0; i < fields.size(); ++i)
      if (fields.x()[i] != 0 && (worst == fields.size() || fields.field(i) > fields.field(worst))) worst = i;
    fields.flip(worst);
  }
}

/// The best of all swaps while it lowers the energy; more than ten a variable would be rounding at work.
void swap_descent(Fields& fields, double tolerance) {
  for (std::size_t swaps = 0; swaps < 10 * fields.size(); ++swaps) {
    double best = -tolerance;
    std::size_t out = 0, in = 0;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (fields.x()[i] == 0) continue;
      for (std::size_t j = 0; j < fields.size(); ++j) {
        const double gain = fields.field(j) - fields.field(i) - fields.coupling(i, j);
        if (fields.x()[j] == 0 && gain < best) best = gain, out = i, in = j;
      }
    }
    if (best >= -tolerance) return;
    fields.flip(out);
    fields.flip(in);
  }
}

/// Keeps the `count` whose removal alone costs most.
Mask sorted(const quboprune::Qubo& qubo, int count) {
  Fields fields(qubo);
  for (std::size_t i = 0; i < fields.size(); ++i) fields.flip(i);
  std::vector<std::size_t> order(fields.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return fields.field(a) < fields.field(b); });
  Mask x(fields.size(), 0);
  for (std::size_t k = 0; k < static_cast<std::size_t>(count); ++k) x[order[k]] = 1;
  return x;
}

/// How far below `energy` the proven bound is, or how it came to nothing.
std::string distance(double energy, double bound, bool optimal) {
  if (optimal) return "0 (proven)";
  const double share = (energy - bound) / std::max(std::abs(energy), 1e-300);
  return share < 1 ? fmt::format("{:.3g} %", 100 * share) : "none of use";
}

void compare(const char* path, double seconds) {
  const Problem problem = quboprune::read_problem(path);
  if (problem.constraint.kind != quboprune::Constraint::Kind::exactly || !problem.constraint.costs.empty())
    throw quboprune::InputError(std::string(path) + ": states no count: write it with formulate --target");
  const int count = static_cast<int>(problem.constraint.capacity);
  const double by_order = problem.qubo.energy(sorted(problem.qubo, count));
  Fields fields(problem.qubo);
  backward_greedy(fields, count);
  const double greedy = problem.qubo.energy(fields.x());
  swap_descent(fields, 1e-12 * std::abs(greedy));
  const double descended = problem.qubo.energy(fields.x());
  std::vector<quboprune::SolverResult> results;
  for (std::uint64_t seed = 1; seed <= 3; ++seed)
    results.push_back(solve(problem.qubo, problem.constraint,
                            {.seconds = seconds, .processor_time = true, .seed = seed, .bound = seed == 1}));
  std::sort(results.begin() + 1, results.end(),
            [](const auto& a, const auto& b) { return a.pool[0].energy < b.pool[0].energy; });
  const auto& proof = results[0];
  const double best = std::min(proof.pool[0].energy, results[1].pool[0].energy);
  const double worst = std::max(proof.pool[0].energy, results[2].pool[0].energy);
  auto above = [&](double energy) {
    return fmt::format("{:.4f} %", std::max(0.0, 100 * (energy - best) / std::max(std::abs(best), 1e-300)));
  };
  const auto proven =
      std::count_if(proof.persistent.begin(), proof.persistent.end(), [](int v) { return v >= 0; });
  fmt::print("| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", std::filesystem::path(path).stem().string(),
             problem.qubo.size(), count, above(by_order), above(greedy), above(descended), above(worst),
             distance(best, proof.bound, proof.optimal), proven);
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** words) {
  if (count < 3) {
    fmt::print(stderr, "usage: bench_pruning SECONDS FILE...\n");
    return 2;
  }
  fmt::print(
      "| problem | N | K | sorted | greedy | after swaps | worst of 3 seeds | bound below | proven |\n"
      "|---|---|---|---|---|---|---|---|---|\n");
  try {
    for (const char* path : std::span(words + 2, static_cast<std::size_t>(count - 2)))
      compare(path, std::atof(words[1]));
  } catch (const quboprune::InputError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
