#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "quboprune/progress.h"

namespace quboprune {

/// What the subcommands share.
struct Context {
  Control control;  ///< progress bar and Ctrl-C
  std::uint64_t seed = 1;
  int threads = 0;  ///< 0: all cores
  std::string device = "cpu";
  std::vector<std::string> arguments;  ///< the words behind the program's name, for reports
  std::function<void()> action;        ///< the chosen subcommand's work, set while parsing
};

/// Adds the options that all subcommands with networks take: --seed, --threads, --device.
void add_common_options(CLI::App& command, Context& context);

/// Adds every subcommand: each src/cli/<name>.cpp defines `void add_<name>(CLI::App&, Context&)`, and the
/// build writes the list.
void add_all_commands(CLI::App& app, Context& context);

}  // namespace quboprune
