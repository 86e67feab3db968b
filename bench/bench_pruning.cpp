// Does search pay on a pruning problem? Backward greedy and swap descent, which need no search, against
// solve() on the same file, with the proven bound beside both. Usage: bench_pruning SECONDS FILE...; the
// files are those of `quboprune formulate --target`, whose count they state. One thread, processor time,
// three seeds.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
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

/// The best of all swaps while it lowers the energy; how many were made.
int swap_descent(Fields& fields, double tolerance) {
  for (int swaps = 0;; ++swaps) {
    double best = -tolerance;
    std::size_t out = 0, in = 0;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (fields.x()[i] == 0) continue;
      for (std::size_t j = 0; j < fields.size(); ++j) {
        const double gain = fields.field(j) - fields.field(i) - fields.coupling(i, j);
        if (fields.x()[j] == 0 && gain < best) best = gain, out = i, in = j;
      }
    }
    if (best >= -tolerance) return swaps;
    fields.flip(out);
    fields.flip(in);
  }
}

void compare(const char* path, double seconds) {
  const Problem problem = quboprune::read_problem(path);
  if (problem.constraint.kind != quboprune::Constraint::Kind::exactly || !problem.constraint.costs.empty())
    throw quboprune::InputError(std::string(path) + ": states no count: write it with formulate --target");
  Fields fields(problem.qubo);
  backward_greedy(fields, static_cast<int>(problem.constraint.capacity));
  const double greedy = problem.qubo.energy(fields.x());
  const int swaps = swap_descent(fields, 1e-12 * std::max(1.0, std::abs(greedy)));
  const double descended = problem.qubo.energy(fields.x());
  double searched = 0, worst = 0, bound = 0;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const auto result = solve(problem.qubo, problem.constraint,
                              {.seconds = seconds, .processor_time = true, .seed = seed, .bound = seed == 1});
    const double energy = result.pool[0].energy;
    searched = seed == 1 ? energy : std::min(searched, energy);
    worst = seed == 1 ? energy : std::max(worst, energy);
    if (seed == 1) bound = result.bound;
  }
  const double size = std::max(std::abs(searched), 1e-300);
  fmt::print("| {} | {} | {} | {:.6g} | {:.4f} % | {:.4f} % ({} swaps) | {:.4f} % | {:.3g} % |\n", path,
             problem.qubo.size(), problem.constraint.capacity, searched, 100 * (greedy - searched) / size,
             100 * (descended - searched) / size, swaps, 100 * (worst - searched) / size,
             100 * (searched - bound) / size);
}

}  // namespace

int main(int count, char** words) {
  if (count < 3) {
    fmt::print(stderr, "usage: bench_pruning SECONDS FILE...\n");
    return 2;
  }
  fmt::print(
      "| problem | N | K | best energy found | greedy above it | after swaps | worst seed | bound below |\n"
      "|---|---|---|---|---|---|---|---|\n");
  try {
    for (const char* path : std::span(words + 2, static_cast<std::size_t>(count - 2)))
      compare(path, std::atof(words[1]));
  } catch (const quboprune::InputError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
