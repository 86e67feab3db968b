#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/formulation.h"
#include "quboprune/formulator.h"
#include "quboprune/mask_evaluator.h"
#include "quboprune/mask_search.h"
#include "quboprune/recover.h"
#include "quboprune/scores.h"
#include "quboprune/target.h"
#include "quboprune/trust.h"

namespace quboprune {

/// Rounds of scoring, solving and cutting on the way to the target: each scores the network that the last
/// left.
struct RoundsOptions {
  int asked = 1;                  ///< at least 1; more: all objectives take so many, and no others are tried
  std::vector<Sample> samples{};  ///< that they score; empty: the evaluator's
  AnalyseOptions layers{};        ///< as the groups were analysed
  ScoreOptions score{};           ///< as the first scores were made
  int tried = 6;                  ///< that hybrid, gate-fisher, gauss-newton try besides 1; 1: none
};

/// How a mask is found: formulate → solve → refine, at a target.
struct ChooseOptions {
  Target target;
  /// A name of objective_names(), or "auto": of taylor, hybrid, gauss-newton and reconstruction the one
  /// whose mask is best by Evidence::as_shipped (without that, by Evidence::settings). The trust meter
  /// decides between those within one standard error of the best.
  std::string objective = "hybrid";
  FormulationOptions formulation;
  FormulatorOptions formulator;  ///< its `kept` serves the choice too
  RoundsOptions rounds;
  int trust_masks = 50;   ///< masks that auto's trust meter measures; 0: none
  int trust_samples = 8;  ///< samples of Evidence::settings that it measures them on
  /// hybrid, gate-fisher, gauss-newton and measured have weights that no theory gives: a few are tried on
  /// calibration data, also in rounds, and the plainest is kept unless another gains more than its standard
  /// error, as cut and after the stage that follows. false: those of `formulation` are taken as they are.
  bool tune = true;
  /// `seconds` for each QUBO; where an objective's settings are several, a quarter of that each, as they
  /// stand for one, and in rounds that parted among them.
  SolverOptions solver{.seconds = 2, .pool_size = 8, .pool_distance = 2};
  CapacityMode capacity = CapacityMode::direct;
  std::string refine = "none";  ///< or a name of search_names(): tt, local, tt+local, protes, random
  SearchOptions search;         ///< but for method, fixed, prior and blocks, which come from the above
  /// Groups' counts per layer become multiples of this; 1: any. Layers of fewer keep all or that many.
  /// 0: any, but auto then tries its mask in multiples of 8, then of 4, as runtimes' fast kernels want them,
  /// and takes the first that
  /// - raises the error (as objectives are compared) by at most 2 %,
  /// - makes at least half of the odd layers even,
  /// - holds the target: a count of filters exactly, by a layer that keeps another number; of parameters or
  ///   MACs at most 0.1 % more of the whole is removed than without multiples. (Ours.)
  int round_to = 0;
};

/// What masks are judged by: only calibration data belongs there. Values are of a Judge's metric.
struct Evidence {
  const MaskEvaluator& settings;               ///< what an objective's settings are compared by
  const MaskEvaluator& refinement = settings;  ///< what a search for a better mask measures
  /// Masks as they would ship, by mask and then by calibration sample, each judged by a network that wasn't
  /// repaired on its scene. auto's first criterion. No samples where it was stopped. Empty: `settings`
  /// decides.
  std::function<std::vector<std::vector<double>>(std::span<const Mask>)> as_shipped{};
  std::vector<std::string> scenes{};  ///< of the calibration samples; empty: each has its own
  /// A mask, repaired as it will ship, on each of some samples that neither `refinement` nor that repair
  /// sees: the refined mask is taken only if it is better there too, as a search on few samples finds their
  /// peculiarities. Empty: no check; neither is there one where this throws Stopped.
  std::function<std::vector<double>(const Mask&)> check{};
};

/// A search for a better mask than the solver's, by the true metric.
struct Refinement {
  SearchResult search;
  double start = 0;  ///< metric of the solver's mask on the search's data
  double best = 0;   ///< and of the mask that was taken
  /// The same two by Evidence::check, where the search found something better.
  struct Check {
    double start = 0, best = 0;
  };
  std::optional<Check> check;
  bool seed_kept = false;  ///< what was found was no better, here or there: the solver's mask was taken
};

/// What was found, and how.
struct Choice {
  Mask mask;
  std::string objective;  ///< that was taken in the end
  int rounds = 1;         ///< in which its mask was found
  int round_to = 1;       ///< layers keep multiples of this, as far as a count and their sizes allow
  Formulation formulation;
  SolverResult solved;
  std::vector<std::pair<std::string, double>> tried;  ///< settings and their metric on calibration data
  std::optional<Refinement> refinement;               ///< empty without one
  double solve_seconds = 0;
  Trust trust;                     ///< of auto; otherwise empty
  std::string reason;              ///< why auto took what it took; otherwise empty
  std::vector<std::string> notes;  ///< what the user should know, a sentence each
};

/// Finds a mask.
Choice choose_mask(const ChannelGroups& groups, const Scores& scores, const Evidence& evidence,
                   const ChooseOptions& options, const Control& control = {});

/// What happens to a network between the cut and the user: masks are compared by what that leaves of them.
struct Shipping {
  const RefitOptions* refit = nullptr;  ///< refit() with these follows; nullptr: no repair does
  bool refit_aware = true;  ///< a search measures masks after a quick repair (GramCache), not as cut
  int search_samples = 0;   ///< calibration samples that a search measures masks on; 0: all of its part
};

/// choose_mask() for a network as it will ship, with the calibration samples parted by scenes: quick repairs
/// are fitted on some, searches measure on others, and a refined mask has to hold on the rest, where there
/// are 6 samples at least; auto compares by cross-fitted repairs. Settings and objectives are compared by
/// deciding(judge), refinement is by the judge itself. Fills in the formulator's samples and those of rounds,
/// and tries no rounds where a repair follows: that makes up for more than better gradients gain. A
/// refinement that is kept (SearchOptions::state) isn't where a stop left the quick repair's sums incomplete.
/// Throws InputError as choose_mask() and Refitter do, and Stopped where nothing was measured yet. (Ours.)
Choice choose_mask_to_ship(const ChannelGroups& groups, const Scores& scores,
                           std::span<const Sample> calibration, const Judge& judge,
                           const ChooseOptions& options, const Shipping& shipping,
                           const Control& control = {});

}  // namespace quboprune
