#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "quboprune/constraint.h"
#include "quboprune/qubo.h"

namespace quboprune {

/// A QUBO from a file, with what its file's family makes of it. `qubo` is always to be minimised.
struct Problem {
  Qubo qubo{1};
  Constraint constraint{};
  /// "qubo" (minimise E), "bqp" (maximise x'Qx), "max-cut", "max-diversity" or "quadratic-knapsack".
  std::string family = "qubo";
  /// What was read: one of problem_formats().
  std::string format = "coo";
  /// True if the family maximises: its objective is then -E.
  bool maximise = false;

  /// The family's own objective (cut weight, x'Qx, diversity, profit, or E itself) from an energy E.
  double objective(double energy) const { return maximise ? 0.0 - energy : energy; }
};

/// The formats that can be read:
/// - "bqp": OR-Library and MQLib: `n nnz`, then `i j q` (from 1); maximise x'Qx with symmetric Q
/// - "gset": rudy graphs: `n m`, then `i j [w]` (from 1); maximise the cut
/// - "mdplib": `n m`, then `i j d` (from 0); maximise the diversity of exactly m
/// - "qkp": Billionnet and Soutif's quadratic knapsack
/// - "coo": dimod's coordinate text: `i j value` (from 0); minimise. The comment lines
///   `# vartype=BINARY|SPIN` (dimod's), `# constraint exactly|at_most K`, `# group LEAST MOST i j k ...`,
///   `# variables N` and `# offset V` (ours) are obeyed
/// - "bqm": dimod's BinaryQuadraticModel as JSON, schema 3 (`to_serializable()`)
/// - "cqm": a constrained model as JSON, ours in the manner of the BQM's (dimod has none of its own):
///   {"type": "ConstrainedQuadraticModel", "objective": a BQM of BINARY variables, "constraints": [{"label",
///   "variables": places, "coefficients", "sense": "==", "<=" or ">=", "rhs"}]}. Equal coefficients make a
///   count of all or of a group, a single variable is fixed, unequal ones are costs (one constraint, alone)
/// - "qubo": qbsolv: `p qubo 0 n diagonals couplers`
std::vector<std::string> problem_formats();

/// Reads a problem file, plain or gzip, recognising the format by its content unless `format` names one.
/// The first three look alike: an index 0 makes it "mdplib", a diagonal entry "bqp", else "gset".
/// Throws InputError (file:line:column, what is wrong, what to do).
Problem read_problem(const std::filesystem::path& path, std::string_view format = {});

/// The same from memory; `name` stands for the file in messages.
Problem parse_problem(std::string_view text, const std::string& name, std::string_view format = {});

/// The problem as text, always as a minimisation of E, low-rank terms multiplied out (n^2 numbers):
/// "coo", "bqm" (which can't hold a constraint: InputError if there is one), "cqm" or "lp" (CPLEX's LP
/// format, with all constraints; the offset stands in a comment). Throws InputError on another format, and
/// for what the format can't hold: costs or fixed variables in coo, any constraint or fixed variables in bqm.
std::string format_problem(const Problem& problem, std::string_view format);

/// The format that a file's ending asks for: .lp, .cqm.json, .json (bqm), else coo. Throws InputError for an
/// ending of something that can't be written (.mps, .qubo, .gz).
std::string written_format(const std::filesystem::path& path);

/// Writes it to `path` in one step; an empty `format` goes by the ending, as written_format() says.
void write_problem(const Problem& problem, const std::filesystem::path& path, std::string_view format = {});

}  // namespace quboprune
