#include <fmt/format.h>

#include <algorithm>

#include "qubo/formats.h"

namespace quboprune {
namespace {

struct EdgeList {
  std::int64_t variables = 0, second = 0;
  std::size_t second_at = 0;
  std::vector<Qubo::Pair> entries;  ///< indices as in the file
  bool zero = false, diagonal = false, weighted = false;
  std::size_t weightless_at = std::string_view::npos;  ///< the first entry without a value
};

/// The index must be below n+1 in any case; the exact range is known once the base is.
EdgeList read_entries(Scanner& scanner, std::string_view format) {
  EdgeList list;
  list.variables = scanner.integer("the number of variables", 1, kMostVariables);
  if (scanner.at_line_end()) {
    // OR-Library's collections begin with the number of problems.
    if (list.variables != 1)
      scanner.fail("a collection of " + std::to_string(list.variables) +
                   " problems: give each in a file of its own, beginning with `n nnz`");
    list.variables = scanner.integer("the number of variables", 1, kMostVariables);
  }
  scanner.skip_space();
  list.second_at = scanner.position();
  list.second = scanner.integer("the second number of the header", 0, std::int64_t{1} << 40);
  scanner.expect_line_end("the header's two numbers");
  list.entries.reserve(static_cast<std::size_t>(std::clamp<std::int64_t>(list.second, 0, 1 << 24)));
  while (!scanner.at_end()) {
    const std::size_t begin = scanner.position();
    const auto i = static_cast<int>(scanner.integer("the first index", 0, list.variables));
    const auto j = static_cast<int>(scanner.integer("the second index", 0, list.variables));
    double value = 1;
    if (scanner.at_line_end() && (format.empty() || format == "gset")) {
      list.weightless_at = std::min(list.weightless_at, begin);
    } else {
      value = scanner.number("the value of a pair");
      list.weighted = true;
    }
    scanner.expect_line_end("the value of a pair");
    const bool zero = i == 0 || j == 0;
    if ((zero && format != "mdplib" && !format.empty()) || (zero && list.diagonal))
      scanner.fail(begin, "index 0 in a file that counts from 1: add 1 to all indices");
    if (i == j && (format == "mdplib" || format == "gset" || list.zero))
      scanner.fail(begin, "a pair of a variable with itself: leave it out, or use the bqp form");
    list.zero = list.zero || zero;
    list.diagonal = list.diagonal || i == j;
    list.entries.push_back({i, j, value});
  }
  return list;
}

std::string family_of(const EdgeList& list, std::string_view format) {
  if (!format.empty()) return std::string(format);
  if (list.zero) return "mdplib";
  return list.diagonal ? "bqp" : "gset";
}

void require_count(Scanner& scanner, const EdgeList& list) {
  if (static_cast<std::int64_t>(list.entries.size()) == list.second) return;
  scanner.fail(list.second_at, "the header promises " + std::to_string(list.second) +
                                   " entries, but there are " + std::to_string(list.entries.size()) +
                                   ": the file may be cut short; correct it or its header");
}

/// Both triangles of a matrix, or a pair repeated: whether they add up is anyone's guess.
void require_each_pair_once(Scanner& scanner, const EdgeList& list) {
  std::vector<std::pair<int, int>> pairs;
  pairs.reserve(list.entries.size());
  for (const auto& [i, j, value] : list.entries) pairs.emplace_back(std::min(i, j), std::max(i, j));
  std::ranges::sort(pairs);
  const auto twice = std::ranges::adjacent_find(pairs);
  if (twice != pairs.end())
    scanner.fail(fmt::format("the pair {} {} is listed twice: list each once, one triangle of the matrix",
                             twice->first, twice->second));
}

Problem as_bqp(const EdgeList& list) {
  Problem problem{Qubo(static_cast<int>(list.variables)), {}, "bqp", "bqp", true};
  problem.qubo.reserve_pairs(list.entries.size());
  for (const auto& [i, j, value] : list.entries) {
    if (i == j)
      problem.qubo.add_linear(i - 1, -value);
    else
      problem.qubo.add_pair(i - 1, j - 1, -2 * value);
  }
  return problem;
}

/// -cut = sum over edges of w (2 x_i x_j - x_i - x_j).
Problem as_max_cut(const EdgeList& list) {
  Problem problem{Qubo(static_cast<int>(list.variables)), {}, "max-cut", "gset", true};
  problem.qubo.reserve_pairs(list.entries.size());
  for (const auto& [i, j, value] : list.entries) {
    problem.qubo.add_linear(i - 1, -value);
    problem.qubo.add_linear(j - 1, -value);
    problem.qubo.add_pair(i - 1, j - 1, 2 * value);
  }
  return problem;
}

/// The header doesn't say how many pairs follow. Some files leave out those of distance 0, but one that ends
/// before the last pair has lost it.
void require_all_pairs(Scanner& scanner, const EdgeList& list) {
  const std::int64_t n = list.variables, all = n * (n - 1) / 2;
  const auto given = static_cast<std::int64_t>(list.entries.size());
  if (given > all)
    scanner.fail(fmt::format("the file has {} pairs, and {} elements make only {}: list each pair once",
                             given, n, all));
  const bool ends = !list.entries.empty() &&
                    std::min(list.entries.back().i, list.entries.back().j) == n - 2 &&
                    std::max(list.entries.back().i, list.entries.back().j) == n - 1;
  if (given < all && !ends)
    scanner.fail(
        fmt::format("the file ends after {} of {} pairs, not with that of elements {} and {}: it may be cut "
                    "short; add the missing pairs, of distance 0 where they have none",
                    given, all, n - 2, n - 1));
}

Problem as_diversity(Scanner& scanner, const EdgeList& list) {
  Problem problem{Qubo(static_cast<int>(list.variables)), {}, "max-diversity", "mdplib", true};
  if (list.second > list.variables)
    scanner.fail(list.second_at, std::to_string(list.second) + " of " + std::to_string(list.variables) +
                                     " elements are to be chosen: correct the header `n m`");
  require_all_pairs(scanner, list);
  problem.constraint.kind = Constraint::Kind::exactly;
  problem.constraint.capacity = static_cast<double>(list.second);
  problem.qubo.reserve_pairs(list.entries.size());
  for (const auto& [i, j, value] : list.entries) {
    if (std::max(i, j) >= list.variables)
      scanner.fail("index " + std::to_string(std::max(i, j)) + " beside an index 0: with " +
                   std::to_string(list.variables) + " elements they go from 0 to " +
                   std::to_string(list.variables - 1));
    problem.qubo.add_pair(i, j, -value);
  }
  return problem;
}

}  // namespace

Problem read_edge_list(Scanner& scanner, std::string_view format) {
  const EdgeList list = read_entries(scanner, format);
  const std::string family = family_of(list, format);
  if (list.weightless_at != std::string_view::npos && (list.weighted || family != "gset"))
    scanner.fail(list.weightless_at, "this entry has no value: add it; the file may be cut short");
  require_each_pair_once(scanner, list);
  if (family == "mdplib") return as_diversity(scanner, list);
  require_count(scanner, list);
  return family == "bqp" ? as_bqp(list) : as_max_cut(list);
}

}  // namespace quboprune
