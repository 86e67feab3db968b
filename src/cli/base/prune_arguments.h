#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/base/data_arguments.h"
#include "cli/base/recovery.h"
#include "quboprune/prune.h"

namespace quboprune {

/// Takes "auto" and these names.
CLI::Validator auto_or(std::vector<std::string> names);

/// --shrink-norms, which inspect has too.
void add_shrink_norms(CLI::App& command, AnalyseOptions& layers);

/// What prune, sweep, compare, apply and formulate share: which network, which data, which target, how.
struct PruneArguments {
  std::string model, target, work, recover = "none";
  bool of_live = false;  ///< the target is a part of what is left without dead groups
  DataArguments data;
  AnalyseOptions layers;
  ChooseOptions choose;
  ScoreOptions score;
  RefitOptions refit;
  bool refit_aware = true;  ///< refinement against the metric after refit, where --recover refit
  int refine_samples = 0;   ///< calibration samples for refinement; 0: all
  FinetuneOptions train = distillation();  ///< for --recover finetune
  std::string capacity = "direct";

  void add_network_and_data(CLI::App& command, bool data_required);
  /// --objective and --refine, for one network at a time.
  void add_objective(CLI::App& command);
  void add_formulation(CLI::App& command);
  /// How it is formulated and solved.
  void add_choice(CLI::App& command);
  void add_recovery(CLI::App& command);
  void add_refinement(CLI::App& command);
  /// Which options of add_recovery() were given and do nothing, as a sentence; usually empty.
  std::string without_say(const CLI::App& command) const;
  /// The same of those that only a target of filters has a use for.
  std::string without_say_of_count(const CLI::App& command) const;
  /// The same of weights that none of these objectives has.
  static std::string without_say_in(const std::vector<std::string>& objectives, const CLI::App& command);
  /// The same of options of refinement, where nothing is refined.
  std::string without_say_unrefined(const CLI::App& command) const;
  /// Layers behind the cut get new weights by least squares, whatever follows.
  bool refits() const { return recover == "refit" || recover == "finetune"; }
};

}  // namespace quboprune
