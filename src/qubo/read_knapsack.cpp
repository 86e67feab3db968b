#include "qubo/formats.h"

namespace quboprune {

/// Name; n; n linear profits; the upper triangle's n-1 rows of quadratic profits; 0 (at most) or 1
/// (exactly); capacity; n weights; then comments.
Problem read_knapsack(Scanner& scanner) {
  scanner.skip_space();
  scanner.next_line();
  const auto n = static_cast<int>(scanner.integer(
      "the number of variables (line 2 of a quadratic knapsack, the form that a name in line 1 announces)", 1,
      100'000));
  scanner.expect_line_end("the number of variables");
  Problem problem{Qubo(n), {}, "quadratic-knapsack", "qkp", true};
  for (int i = 0; i < n; ++i) problem.qubo.add_linear(i, -scanner.number("a linear profit"));
  scanner.expect_line_end("the linear profits");
  for (int i = 0; i + 1 < n; ++i) {
    for (int j = i + 1; j < n; ++j) {
      const double profit = scanner.number("a quadratic profit");
      if (profit != 0) problem.qubo.add_pair(i, j, -profit);
    }
    scanner.expect_line_end("a row of quadratic profits");
  }
  const bool equality = scanner.integer("the kind of constraint (0: at most, 1: exactly)", 0, 1) == 1;
  problem.constraint.kind = equality ? Constraint::Kind::exactly : Constraint::Kind::at_most;
  problem.constraint.capacity = scanner.number("the capacity");
  for (int i = 0; i < n; ++i) {
    scanner.skip_space();
    const std::size_t begin = scanner.position();
    problem.constraint.costs.push_back(scanner.number("a weight"));
    if (problem.constraint.costs.back() < 0) scanner.fail(begin, "a negative weight: weights are 0 or more");
  }
  return problem;
}

}  // namespace quboprune
