#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>

#include "quboprune/error.h"
#include "quboprune/problem_io.h"

namespace quboprune {
namespace {

struct Expanded {
  std::vector<double> linear;
  std::vector<Qubo::Pair> pairs;  ///< i < j, sorted, each once, none zero
};

Expanded expand(const Qubo& qubo) {
  Expanded result;
  const auto n = static_cast<std::size_t>(qubo.size());
  if (qubo.dense_blocks().empty() && qubo.low_rank().empty()) {
    result.linear.assign(qubo.linear().begin(), qubo.linear().end());
    result.pairs.assign(qubo.pairs().begin(), qubo.pairs().end());
    std::stable_sort(result.pairs.begin(), result.pairs.end(),
                     [](const auto& a, const auto& b) { return a.i != b.i ? a.i < b.i : a.j < b.j; });
    std::vector<Qubo::Pair> merged;
    for (const Qubo::Pair& pair : result.pairs) {
      if (!merged.empty() && merged.back().i == pair.i && merged.back().j == pair.j)
        merged.back().value += pair.value;
      else
        merged.push_back(pair);
    }
    std::erase_if(merged, [](const Qubo::Pair& pair) { return pair.value == 0; });
    result.pairs = std::move(merged);
    return result;
  }
  std::vector<double> couplings;
  qubo.to_dense(couplings, result.linear);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j)
      if (couplings[i * n + j] != 0)
        result.pairs.push_back({static_cast<int>(i), static_cast<int>(j), couplings[i * n + j]});
  return result;
}

bool has_fixed(const Constraint& constraint) {
  return std::any_of(constraint.fixed.begin(), constraint.fixed.end(), [](int fixed) { return fixed >= 0; });
}

/// The shortest digits that read back as the same number, never with an exponent: dimod's reader of COO
/// passes over lines that have one.
std::string in_digits(double value) {
  std::array<char, 400> text;  // the longest, of denormal numbers
  const auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  check(error == std::errc{}, "a coefficient that can't be written");
  return {text.data(), end};
}

/// COO text has no place for an offset: it stands in a comment.
std::string as_coordinates(const Problem& problem) {
  if (!problem.constraint.costs.empty() || has_fixed(problem.constraint))
    throw InputError("costs and fixed variables can't be written as coo: write cqm or lp");
  const Expanded terms = expand(problem.qubo);
  fmt::memory_buffer out;
  auto to = std::back_inserter(out);
  fmt::format_to(to, "# vartype=BINARY\n# variables {}\n", problem.qubo.size());
  if (problem.qubo.offset() != 0) fmt::format_to(to, "# offset {}\n", problem.qubo.offset());
  if (problem.constraint.kind != Constraint::Kind::none)
    fmt::format_to(to, "# constraint {} {}\n",
                   problem.constraint.kind == Constraint::Kind::exactly ? "exactly" : "at_most",
                   problem.constraint.capacity);
  for (const Constraint::Group& group : problem.constraint.groups)
    fmt::format_to(to, "# group {} {} {}\n", group.least, group.most, fmt::join(group.variables, " "));
  std::vector<bool> coupled(terms.linear.size(), false);
  for (const Qubo::Pair& pair : terms.pairs)
    coupled[static_cast<std::size_t>(pair.i)] = coupled[static_cast<std::size_t>(pair.j)] = true;
  std::size_t next = 0;
  for (std::size_t i = 0; i < terms.linear.size(); ++i) {
    // A variable without any entry would be none to a reader that heeds no comments.
    if (terms.linear[i] != 0 || !coupled[i])
      fmt::format_to(to, "{} {} {}\n", i, i, in_digits(terms.linear[i]));
    for (; next < terms.pairs.size() && terms.pairs[next].i == static_cast<int>(i); ++next)
      fmt::format_to(to, "{} {} {}\n", i, terms.pairs[next].j, in_digits(terms.pairs[next].value));
  }
  return fmt::to_string(out);
}

nlohmann::json bqm_of(const Problem& problem) {
  const Expanded terms = expand(problem.qubo);
  nlohmann::json labels = nlohmann::json::array(), head = labels, tail = labels, values = labels;
  for (int i = 0; i < problem.qubo.size(); ++i) labels.push_back(i);
  for (const Qubo::Pair& pair : terms.pairs) {
    head.push_back(pair.i);
    tail.push_back(pair.j);
    values.push_back(pair.value);
  }
  return {{"type", "BinaryQuadraticModel"},
          {"version", {{"bqm_schema", "3.0.0"}}},
          {"use_bytes", false},
          {"index_type", "int32"},
          {"bias_type", "float64"},
          {"num_variables", problem.qubo.size()},
          {"num_interactions", terms.pairs.size()},
          {"variable_labels", labels},
          {"variable_type", "BINARY"},
          {"offset", problem.qubo.offset()},
          {"info", nlohmann::json::object()},
          {"linear_biases", terms.linear},
          {"quadratic_biases", values},
          {"quadratic_head", head},
          {"quadratic_tail", tail}};
}

std::string as_bqm(const Problem& problem) {
  const Constraint& constraint = problem.constraint;
  if (constraint.kind != Constraint::Kind::none || has_fixed(constraint) || !constraint.groups.empty())
    throw InputError("dimod's BQM holds no constraint, but the problem has one: write coo, cqm or lp");
  return bqm_of(problem).dump() + "\n";
}

/// A linear constraint, as lp and cqm state it.
struct Row {
  std::string label;
  std::vector<int> variables;
  std::vector<double> coefficients;
  const char* sense;  ///< ==, <= or >=
  double rhs;
};

std::vector<Row> rows_of(const Constraint& constraint, int n) {
  std::vector<Row> rows;
  auto ones = [](std::size_t count) { return std::vector<double>(count, 1.0); };
  if (constraint.kind != Constraint::Kind::none) {
    std::vector<int> all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    rows.push_back({"capacity", all, constraint.costs.empty() ? ones(all.size()) : constraint.costs,
                    constraint.kind == Constraint::Kind::exactly ? "==" : "<=", constraint.capacity});
  }
  for (std::size_t g = 0; g < constraint.groups.size(); ++g) {
    const auto& [variables, least, most] = constraint.groups[g];
    const std::string label = "group" + std::to_string(g);
    if (least == most) {
      rows.push_back({label, variables, ones(variables.size()), "==", static_cast<double>(most)});
      continue;
    }
    rows.push_back({label + "_least", variables, ones(variables.size()), ">=", static_cast<double>(least)});
    rows.push_back({label + "_most", variables, ones(variables.size()), "<=", static_cast<double>(most)});
  }
  for (std::size_t i = 0; i < constraint.fixed.size(); ++i)
    if (constraint.fixed[i] >= 0)
      rows.push_back({"fixed" + std::to_string(i),
                      {static_cast<int>(i)},
                      {1.0},
                      "==",
                      static_cast<double>(constraint.fixed[i])});
  return rows;
}

std::string as_cqm(const Problem& problem) {
  nlohmann::json constraints = nlohmann::json::array();
  for (const Row& row : rows_of(problem.constraint, problem.qubo.size()))
    constraints.push_back({{"label", row.label},
                           {"variables", row.variables},
                           {"coefficients", row.coefficients},
                           {"sense", row.sense},
                           {"rhs", row.rhs}});
  const nlohmann::json root = {
      {"type", "ConstrainedQuadraticModel"}, {"objective", bqm_of(problem)}, {"constraints", constraints}};
  return root.dump() + "\n";
}

/// Terms "+ 3 x1 - 2 x2", a line break after every eighth (CPLEX reads lines of up to 560 characters).
class Terms {
 public:
  explicit Terms(fmt::memory_buffer& out) : out_(out) {}
  void add(double value, const std::string& name) {
    fmt::format_to(std::back_inserter(out_), " {} {} {}{}", value < 0 ? '-' : '+', value < 0 ? -value : value,
                   name, ++count_ % 8 == 0 ? "\n" : "");
  }

 private:
  fmt::memory_buffer& out_;
  int count_ = 0;
};

std::string as_lp(const Problem& problem) {
  const Expanded expanded = expand(problem.qubo);
  fmt::memory_buffer out;
  auto to = std::back_inserter(out);
  auto name = [](std::size_t i) { return "x" + std::to_string(i); };
  fmt::format_to(to, "\\ offset to be added to the objective: {}\nMinimize\n obj:", problem.qubo.offset());
  Terms linear(out);
  for (std::size_t i = 0; i < expanded.linear.size(); ++i) linear.add(expanded.linear[i], name(i));
  if (!expanded.pairs.empty()) {
    // The bracket is halved by the format's rule.
    fmt::format_to(to, " + [");
    Terms quadratic(out);
    for (const Qubo::Pair& pair : expanded.pairs)
      quadratic.add(2 * pair.value,
                    name(static_cast<std::size_t>(pair.i)) + " * " + name(static_cast<std::size_t>(pair.j)));
    fmt::format_to(to, " ] / 2");
  }
  fmt::format_to(to, "\nSubject To\n");
  for (const Row& row : rows_of(problem.constraint, problem.qubo.size())) {
    fmt::format_to(to, " {}:", row.label);
    Terms terms(out);
    for (std::size_t k = 0; k < row.variables.size(); ++k)
      terms.add(row.coefficients[k], name(static_cast<std::size_t>(row.variables[k])));
    const std::string_view sense = row.sense;
    fmt::format_to(to, " {} {}\n", sense == "==" ? "=" : sense, row.rhs);
  }
  fmt::format_to(to, "Binary\n");
  for (std::size_t i = 0; i < expanded.linear.size(); ++i) fmt::format_to(to, " {}\n", name(i));
  fmt::format_to(to, "End\n");
  return fmt::to_string(out);
}

}  // namespace

std::string format_problem(const Problem& problem, std::string_view format) {
  if (format == "coo") return as_coordinates(problem);
  if (format == "bqm") return as_bqm(problem);
  if (format == "cqm") return as_cqm(problem);
  if (format == "lp") return as_lp(problem);
  throw InputError("problems can't be written as '" + std::string(format) + "': use coo, bqm, cqm or lp");
}

}  // namespace quboprune
