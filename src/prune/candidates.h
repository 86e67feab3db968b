#pragma once

#include <string>
#include <vector>

#include "quboprune/prune.h"

namespace quboprune {

/// One way to formulate: an objective with its weights.
struct Setting {
  std::string objective;
  FormulationOptions options;
  int rounds = 1;
  std::string text;     ///< for reports: "hybrid, alpha 1, beta 0, gamma 0.1"
  bool greedy = false;  ///< sorted and cut by the linear part
};

/// What is tried for ChooseOptions::objective, objective by objective. An objective's first setting is its
/// plainest: hybrid's is greedy Taylor itself, those with couplings have none. shrinks_norms: means over
/// channels may lose some, so auto also tries what spares them.
std::vector<Setting> settings_for(const ChooseOptions& options, bool shrinks_norms);

/// Number of the setting to take of one objective's. By setting and sample, lower is better: `cut`, the
/// values of the networks as cut, and `after`, those after the stage that follows (the same where none does).
///
/// The plainest, 0, unless others gain more than the standard error of their mean gain over it, both as cut
/// and after; of these the best after. Twelve settings tried on 24 crops find something better by luck, and
/// the quick refit that stands for the final one can mislead: by it alone a setting was taken for a gain of
/// 0.5 dB over greedy Taylor that lost 0.1 dB on held-out scenes (docs/experiments.md).
///
/// scenes: each sample's, the units of a standard error (paired_difference()); where there is one alone, or
/// none is given, samples are.
std::size_t best_or_plainest(const std::vector<std::vector<double>>& cut,
                             const std::vector<std::vector<double>>& after,
                             const std::vector<std::string>& scenes = {});

/// Of the rows `among` of `values` (by sample, lower is better), those that the one of the lowest mean
/// doesn't beat by more than a standard error of the mean difference, itself included. scenes: as above.
std::vector<std::size_t> not_clearly_worse(const std::vector<std::vector<double>>& values,
                                           const std::vector<std::size_t>& among,
                                           const std::vector<std::string>& scenes = {});

/// Is the error of `other` at most 2 % above that of `one`? The mean squared error behind PSNR (0.09 dB),
/// what SSIM and accuracy lack to 1, other metrics themselves. By sample, lower is better. What few samples
/// can't tell from chance counts too: a dncnn lost 0.2 dB elsewhere by 0.1 dB within a standard error.
bool nearly_as_good(const std::vector<double>& other, const std::vector<double>& one, Metric metric);

}  // namespace quboprune
