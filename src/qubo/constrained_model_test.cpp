#include <gtest/gtest.h>

#include "quboprune/error.h"
#include "quboprune/problem_io.h"

namespace quboprune {
namespace {

using Kind = Constraint::Kind;

Problem problem_with(Constraint constraint) {
  Problem problem;
  problem.qubo = Qubo(4);
  problem.qubo.add_offset(0.5);
  problem.qubo.add_linear(0, -1.25);
  problem.qubo.add_pair(1, 3, 2);
  problem.constraint = std::move(constraint);
  return problem;
}

void expect_same(const Constraint& a, const Constraint& b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.capacity, b.capacity);
  EXPECT_EQ(a.costs, b.costs);
  EXPECT_EQ(a.fixed, b.fixed);
  ASSERT_EQ(a.groups.size(), b.groups.size());
  for (std::size_t g = 0; g < a.groups.size(); ++g) {
    EXPECT_EQ(a.groups[g].variables, b.groups[g].variables);
    EXPECT_EQ(a.groups[g].least, b.groups[g].least);
    EXPECT_EQ(a.groups[g].most, b.groups[g].most);
  }
}

TEST(ConstrainedModel, EveryConstraintReadsBackAsItWas) {
  const std::vector<Constraint> constraints = {
      {},
      {Kind::exactly, 2, {}, {}, {}},
      {Kind::at_most, 3, {}, {-1, 1, -1, 0}, {}},
      {Kind::at_most, 7.5, {2, 3, 4.25, 1}, {}, {}},
      {Kind::exactly, 9, {2, 3, 4, 0}, {}, {}},
      {Kind::none, 0, {}, {}, {{{0, 2}, 1, 1}, {{1, 3}, 0, 1}}},
      {Kind::exactly, 2, {}, {0, -1, -1, -1}, {{{1, 2}, 1, 1}}},
  };
  for (const Constraint& constraint : constraints) {
    const Problem problem = problem_with(constraint);
    const Problem back = parse_problem(format_problem(problem, "cqm"), "file");
    EXPECT_EQ(back.format, "cqm");
    expect_same(back.constraint, constraint);
    EXPECT_EQ(back.qubo.energy({1, 1, 0, 1}), problem.qubo.energy({1, 1, 0, 1}));
  }
}

TEST(ConstrainedModel, CooTextAndLpHoldGroups) {
  const Problem problem = problem_with({Kind::none, 0, {}, {}, {{{0, 2}, 1, 1}, {{1, 3}, 0, 1}}});
  expect_same(parse_problem(format_problem(problem, "coo"), "file").constraint, problem.constraint);
  const std::string lp = format_problem(problem, "lp");
  EXPECT_NE(lp.find(" group0: + 1 x0 + 1 x2 = 1\n"), std::string::npos) << lp;
  EXPECT_NE(lp.find(" group1_most: + 1 x1 + 1 x3 <= 1\n"), std::string::npos) << lp;
}

std::string model(const std::string& constraints) {
  return R"({"type":"ConstrainedQuadraticModel","objective":{"type":"BinaryQuadraticModel",)"
         R"("variable_type":"BINARY","linear_biases":[1,0,2],"quadratic_biases":[],"quadratic_head":[],)"
         R"("quadratic_tail":[]},"constraints":[)" +
         constraints + "]}";
}

std::string row(const std::string& variables, const std::string& coefficients, const std::string& sense,
                const std::string& rhs) {
  return R"({"label":"c","variables":[)" + variables + R"(],"coefficients":[)" + coefficients +
         R"(],"sense":")" + sense + R"(","rhs":)" + rhs + "}";
}

Constraint constraint_of(const std::string& rows) {
  return parse_problem(model(rows), "file").constraint;
}

TEST(ConstrainedModel, RowsAreBroughtToCounts) {
  expect_same(constraint_of(row("0,1,2", "2,2,2", "<=", "5")), {Kind::at_most, 2, {}, {}, {}});
  expect_same(constraint_of(row("0,1,2", "-1,-1,-1", ">=", "-2")), {Kind::at_most, 2, {}, {}, {}});
  expect_same(constraint_of(row("0,1,2", "1,0,1", "==", "1")), {Kind::none, 0, {}, {}, {{{0, 2}, 1, 1}}});
  expect_same(constraint_of(row("2,0", "1,1", ">=", "1") + "," + row("0,2", "1,1", "<=", "1")),
              {Kind::none, 0, {}, {}, {{{0, 2}, 1, 1}}});
  for (const char* order : {"<=>=", ">=<="}) {
    const std::string senses = order;
    const auto limit = [&](const std::string& sense) {
      return row("0,1,2", "1,1,1", sense, sense == "<=" ? "2" : "1");
    };
    expect_same(constraint_of(limit(senses.substr(0, 2)) + "," + limit(senses.substr(2))),
                {Kind::none, 0, {}, {}, {{{0, 1, 2}, 1, 2}}});
  }
  expect_same(constraint_of(row("1", "3", "==", "3")), {Kind::none, 0, {}, {-1, 1, -1}, {}});
}

TEST(ConstrainedModel, WhatCantBeKeptIsRefusedByName) {
  auto error_of = [](const std::string& rows) -> std::string {
    try {
      parse_problem(model(rows), "file");
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  };
  // Each names the place of `wrong` in the text, on its only line.
  const auto expect = [&](const std::string& rows, const std::string& wrong, const std::string& what) {
    const std::size_t column = model(rows).find(wrong) + 1;
    const std::string begin = "file:1:" + std::to_string(column) + ": " + what;
    EXPECT_EQ(error_of(rows).substr(0, begin.size()), begin);
  };
  const std::string named = "the constraint 'c' ";
  const std::string first = R"({"label":"c")";
  expect(row("0,3", "1,1", "==", "1"), "3],", named + "names variable 3");
  expect(row("0,18446744073709551615", "1,1", "==", "1"), "18446",
         named + "names variable 18446744073709551615");
  expect(row("0,0", "1,1", "==", "1"), "0],\"coe", named + "names variable 0 twice");
  expect(row("0,1", "1,[2]", "==", "1"), "[2]", named + "has a coefficient that is no number");
  expect(row("0,1", "1,1", "==", "3"), first, named + "can't be met");
  expect(row("0,1", "2,2", "==", "1"), first, named + "can't be met");
  expect(row("0,1", "1,-1", "<=", "1"), first, named + "has coefficients of both signs");
  expect(row("0,1", "1,2", ">=", "1"), first, named + "asks for at least");
  const std::string count = row("0,1", "1,1", "==", "1");
  expect(row("0,1", "1,2", "<=", "2") + "," + count, "[" + first, "costs beside counts");
  expect(count + "," + row("0", "1", "<", "1"), "\"<\"", named + "has no sense");
  expect(row("0", "1", "==", "\"x\""), "\"x\"", named + "has no number rhs");
  expect("7", "7]", "the constraint '' is no object");
}

}  // namespace
}  // namespace quboprune
