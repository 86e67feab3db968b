#pragma once

#include <string>
#include <string_view>

#include "qubo/scanner.h"
#include "quboprune/problem_io.h"

namespace quboprune {

/// The most variables that a file may have: more is taken for a damaged header.
inline constexpr std::int64_t kMostVariables = 10'000'000;

/// `n second`, then lines `i j [value]`: "bqp", "gset", "mdplib", or any of them by content if `format` is
/// empty.
Problem read_edge_list(Scanner& scanner, std::string_view format);
Problem read_knapsack(Scanner& scanner);
Problem read_coordinates(Scanner& scanner);
Problem read_qbsolv(Scanner& scanner);
/// Either of the two models below.
Problem read_json(std::string_view text, const std::string& name);
class JsonText;
/// The model at `path` ("" or "/objective") of a JSON text.
Problem read_bqm(const JsonText& text, const std::string& path);
Problem read_cqm(const JsonText& text);

}  // namespace quboprune
