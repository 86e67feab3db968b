#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "quboprune/problem_io.h"
#include "quboprune/solver.h"

namespace quboprune {

/// Puts `capacity` in place of the file's own. A problem without a constraint then has exactly that many
/// ones. Throws InputError for a negative or non-finite number.
void override_capacity(Problem& problem, double capacity);

/// The report of `quboprune solve`, without "tool" and "command": seed, capacity (null: none), x, energy (in
/// the file's own family: cut weight, x'Qx, diversity, profit), problem {path, format, family, variables,
/// couplings, constraint, groups, maximise}, solver {name, energy, bound, gap, seconds, flips, optimal,
/// reason, proven_ones, proven_zeros: variables (from 0) that have this value in every optimal solution},
/// pool [{energy, x}] best first. bound is an upper bound where the family maximises; gap: relative_gap().
nlohmann::json solve_report(const Problem& problem, const std::string& path, const SolverResult& result,
                            std::uint64_t seed);

/// |bound - energy| / |energy|; 0 where they are equal, null where no bound is known or the energy is 0.
nlohmann::json relative_gap(double energy, double bound);

/// The report in a few lines for a terminal.
std::string solve_summary(const nlohmann::json& report);

}  // namespace quboprune
