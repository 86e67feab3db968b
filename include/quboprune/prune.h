#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/formulation.h"
#include "quboprune/formulator.h"
#include "quboprune/mask_evaluator.h"
#include "quboprune/mask_search.h"
#include "quboprune/scores.h"
#include "quboprune/target.h"
#include "quboprune/trust.h"

namespace quboprune {

/// What rounds need besides (FormulationOptions::rounds says how many): later ones score the network that the
/// earlier left.
struct RoundsOptions {
  std::vector<Sample> samples{};  ///< that they score; empty: the evaluator's
  AnalyseOptions layers{};        ///< as the groups were analysed
  ScoreOptions score{};           ///< as the first scores were made
  int tried = 6;                  ///< that hybrid, gate-fisher and gauss-newton try besides one; 1: no others
};

/// How a mask is found: formulate → solve → refine, at a target.
struct ChooseOptions {
  Target target;
  /// A name of objective_names(), or "auto": of taylor, hybrid, gauss-newton and reconstruction the one whose
  /// mask measures best on calibration data after the stage that follows. Where the evaluator repairs
  /// quickly, `check` alone says so; else those within a standard error of the best by the evaluator are
  /// checked too, and both count. Without a check the trust meter decides between those within a standard
  /// error.
  std::string objective = "hybrid";
  FormulationOptions formulation;
  FormulatorOptions formulator;
  RoundsOptions rounds;
  int trust_masks = 50;   ///< that auto's trust meter measures; 0: none
  int trust_samples = 8;  ///< of the evaluator's, that it measures them on
  /// hybrid, gate-fisher, gauss-newton and measured have weights that no theory gives: a few are tried on
  /// calibration data, also in rounds, and the plainest is kept unless another gains more than its standard
  /// error, as cut and after the stage that follows. false: those of `formulation` are taken as they are.
  bool tune = true;
  SolverOptions solver{.seconds = 2, .pool_size = 8, .pool_distance = 2};
  CapacityMode capacity = CapacityMode::direct;
  std::string refine = "none";  ///< or tt, local, tt+local
  /// The metric of a mask, repaired as it will ship, on each of some calibration samples that neither the
  /// evaluator nor that repair sees. By it auto settles on an objective, and the refined mask is taken only
  /// if it is better there too, as a search on few samples finds their peculiarities. Empty: no check.
  std::function<std::vector<double>(const Mask&)> check{};
  SearchOptions search;
  /// Groups' counts per layer become multiples of this; 1: any. Layers of fewer keep all or that many.
  int round_to = 1;
};

/// What was found, and how.
struct Choice {
  Mask mask;
  std::string objective;  ///< that was taken in the end
  int rounds = 1;         ///< in which its mask was found
  Formulation formulation;
  SolverResult solved;
  std::vector<std::pair<std::string, double>> tried;  ///< settings and their metric on calibration data
  double start = 0;  ///< metric of the solver's mask on the refinement's data; NaN without refinement
  double best = 0;   ///< and of the refined one
  SearchResult search;
  double check_start = 0, check_best = 0;  ///< by ChooseOptions::check; NaN without
  bool seed_kept = false;                  ///< the refined mask was worse there: the solver's was taken
  bool refined = false;
  double solve_seconds = 0;
  Trust trust;         ///< of auto; otherwise empty
  std::string reason;  ///< why auto took what it took; otherwise empty
};

/// Finds a mask. `evaluator` judges settings and refines; only calibration data belongs there.
Choice choose_mask(const ChannelGroups& groups, const Scores& scores, const MaskEvaluator& evaluator,
                   const ChooseOptions& options, const Control& control = {});

}  // namespace quboprune
