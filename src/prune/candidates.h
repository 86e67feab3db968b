#pragma once

#include <string>
#include <vector>

#include "quboprune/prune.h"

namespace quboprune {

/// One way to formulate: an objective with its weights.
struct Setting {
  std::string objective;
  FormulationOptions options;
  std::string text;  ///< for reports: "hybrid, alpha 1, beta 0, gamma 0.1"
};

/// What is tried for ChooseOptions::objective, objective by objective. An objective's first setting is its
/// plainest: hybrid's is greedy Taylor itself, those with couplings have none.
std::vector<Setting> settings_for(const ChooseOptions& options);

/// Number of the setting to take of one objective's. values: by setting and sample, lower is better. The
/// plainest, 0, unless the mean gain of the best over it exceeds the standard error of that gain: twelve
/// settings tried on 24 crops find something better by luck.
std::size_t best_or_plainest(const std::vector<std::vector<double>>& values);

/// Those that `best` doesn't beat by more than a standard error, itself included.
std::vector<std::size_t> not_clearly_worse(const std::vector<std::vector<double>>& values, std::size_t best);

}  // namespace quboprune
