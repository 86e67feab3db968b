#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "quboprune/problem_io.h"
#include "quboprune/progress.h"
#include "quboprune/solver.h"

namespace quboprune {

struct SolveFileOptions {
  SolverOptions solver{};
  /// K (or C where the file has weights); empty: what the file says.
  std::optional<double> capacity{};
  std::string format{};  ///< empty: recognised by content
};

/// Puts `capacity` in place of the file's own. A problem without a constraint then has exactly that many
/// ones. Throws InputError for a negative or non-finite number.
void override_capacity(Problem& problem, double capacity);

/// The report of `quboprune solve`, without "tool" and "command": seed, capacity (null: none), x, energy (in
/// the file's own family: cut weight, x'Qx, diversity, profit), problem {path, format, family, variables,
/// couplings, constraint, groups, maximise}, solver {name, energy, bound, gap, seconds, flips, optimal,
/// reason, proven_ones, proven_zeros: variables (from 0) that have this value in every optimal solution},
/// pool [{energy, x}] best first. bound is an upper bound where the family maximises; gap is |bound
/// - energy| / |energy|, 0 where they are equal; null if no bound is known, or the energy is 0.
nlohmann::json solve_report(const Problem& problem, const std::string& path, const SolverResult& result,
                            std::uint64_t seed);

/// Reads, solves and reports. The time limit counts from after the reading.
nlohmann::json solve_file(const std::filesystem::path& path, const SolveFileOptions& options,
                          const Control& control = {});

/// The report in a few lines for a terminal.
std::string solve_summary(const nlohmann::json& report);

}  // namespace quboprune
