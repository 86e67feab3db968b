// Prints one number from seeded runs on whole-numbered problems: the same on every machine and with any
// number of threads, and different as soon as a search takes another path. A commit that is meant to change
// no behaviour leaves it as it is.
#include <cstdint>
#include <iostream>

#include "quboprune/random.h"
#include "quboprune/solver.h"

namespace {

using quboprune::Constraint;
using quboprune::Qubo;

Qubo random_qubo(int n, std::uint32_t one_in, std::uint64_t seed) {
  quboprune::Rng rng(seed);
  auto draw = [&] { return static_cast<double>(rng.below(201)) - 100; };
  Qubo qubo(n);
  for (int i = 0; i < n; ++i) {
    qubo.add_linear(i, draw());
    for (int j = i + 1; j < n; ++j)
      if (rng.below(one_in) == 0) qubo.add_pair(i, j, draw());
  }
  return qubo;
}

/// FNV-1a over what the run found and how many moves it took.
void mix(std::uint64_t& signature, std::uint64_t value) {
  signature = (signature ^ value) * 1099511628211ULL;
}

void run(std::uint64_t& signature, const Qubo& qubo, const Constraint& constraint) {
  const auto result =
      quboprune::solve(qubo, constraint, {.seconds = 1e6, .max_moves = 200'000, .seed = 3, .pool_size = 3});
  mix(signature, static_cast<std::uint64_t>(result.moves));
  for (const auto& solution : result.pool) {
    mix(signature, static_cast<std::uint64_t>(static_cast<std::int64_t>(solution.energy)));
    for (const auto bit : solution.x) mix(signature, bit);
  }
}

}  // namespace

int main() {
  using Kind = Constraint::Kind;
  std::uint64_t signature = 14695981039346656037ULL;
  std::vector<double> costs;
  for (int i = 0; i < 200; ++i) costs.push_back(1 + i * 7 % 50);
  run(signature, random_qubo(900, 2, 1), {});
  run(signature, random_qubo(900, 60, 2), {});
  run(signature, random_qubo(700, 1, 3), {Kind::exactly, 200, {}, {}});
  run(signature, random_qubo(700, 80, 4), {Kind::exactly, 200, {}, {}});
  run(signature, random_qubo(200, 2, 5), {Kind::at_most, 60, {}, {}});
  run(signature, random_qubo(200, 2, 6), {Kind::at_most, 900, costs, {}});
  std::cout << signature << "\n";
}
