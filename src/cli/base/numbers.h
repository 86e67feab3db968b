#pragma once

#include <CLI/CLI.hpp>

namespace quboprune {

/// Checks of an option's number that name the bound alone. (CLI11's own print the largest double in full.)
CLI::Validator not_negative();
CLI::Validator positive();

/// Every option of every subcommand that takes a number is given a finite one, a whole one where it must be,
/// and one that its type holds; one that takes text is given some. CLI11 by itself takes nan, "" for 0, -1
/// for the largest unsigned number, and cuts off what is too large.
void check_all_values(CLI::App& app);

}  // namespace quboprune
