// The code of docs/adding-a-solver.md, compiled and run; the page must hold it word for word.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

// [adding-a-solver]
#include <algorithm>

#include "quboprune/random.h"
#include "solvers/dense_state.h"
#include "solvers/evolve.h"

namespace quboprune {

/// Steepest descent, shaken by random flips: the simplest search that can be called one.
class ShakenDescent : public Improver {
 public:
  explicit ShakenDescent(const DenseMatrix& matrix) : state_(matrix, {}) {}

  Found improve(const Task& task, const Deadline& deadline) override {
    Rng rng(task.seed);  // all that is random comes from the task
    state_.move_to(task.start);
    Found found;
    for (int round = 0; round < 20 && !deadline.expired(); ++round) {
      while (std::min(state_.addition_gain(), state_.removal_gain()) < 0) {
        const bool add = state_.addition_gain() <= state_.removal_gain();
        flip(add ? state_.best_addition(rng()) : state_.best_removal(rng()));
        ++found.moves;
      }
      if (found.x.empty() || energy() < found.energy) {
        found.x = state_.x();
        found.energy = energy();
      }
      for (int k = 0; k < 5; ++k) flip(rng.below(static_cast<std::uint32_t>(state_.size())));
    }
    return found;
  }

 private:
  void flip(std::size_t i) {
    state_.flip(i);     // every field in one pass; i itself is held until released
    state_.release(i);  // no tabu list here
    state_.rescan();
  }
  double energy() const {
    return static_cast<double>(state_.energy()) * state_.matrix().scale() + state_.matrix().offset();
  }

  DenseState state_;
};

}  // namespace quboprune
// [adding-a-solver]

namespace quboprune {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(std::string(std::getenv("QUBOPRUNE_SOURCE_DIR")) + "/" + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(AddingASolver, ThePageHoldsThisCode) {
  if (std::getenv("QUBOPRUNE_SOURCE_DIR") == nullptr) GTEST_SKIP() << "run by ctest";
  const std::string source = text_of("src/solvers/adding_a_solver_test.cpp");
  const std::string mark = "// [adding-a-solver]\n";
  const std::size_t begin = source.find(mark) + mark.size();
  const std::string code = source.substr(begin, source.find(mark, begin) - begin);
  ASSERT_GT(code.size(), 500U);
  EXPECT_NE(text_of("docs/adding-a-solver.md").find(code), std::string::npos);
}

TEST(AddingASolver, ThePagesSolverFindsASmallOptimum) {
  Rng rng(5);
  Qubo qubo(14);
  for (int i = 0; i < 14; ++i) {
    qubo.add_linear(i, static_cast<double>(rng.below(21)) - 10);
    for (int j = i + 1; j < 14; ++j) qubo.add_pair(i, j, static_cast<double>(rng.below(21)) - 10);
  }
  double best = 0;
  for (unsigned bits = 0; bits < (1U << 14); ++bits) {
    Mask x(14);
    for (std::size_t i = 0; i < 14; ++i) x[i] = (bits >> i) & 1U;
    best = std::min(best, qubo.energy(x));
  }
  const DenseMatrix matrix(qubo);
  EvolveOptions options;
  options.variables = 14;
  options.max_moves = 20000;
  options.target = best;
  const Control control;
  Deadline deadline(20, control);
  const Evolution evolution =
      evolve([&] { return std::make_unique<ShakenDescent>(matrix); }, options, deadline);
  ASSERT_FALSE(evolution.best.empty());
  EXPECT_EQ(evolution.best[0].energy, best);
}

}  // namespace
}  // namespace quboprune
