#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "quboprune/mask.h"
#include "quboprune/progress.h"

namespace quboprune {

/// The true value of each mask of a batch, in order; lower is better. Must be deterministic (a mask is
/// never asked for twice) and finite, or +infinity for a mask that can't be used; NaN is taken as +infinity.
using MaskObjective = std::function<std::vector<double>(std::span<const Mask>)>;

/// Which masks may be evaluated. Every mask handed to the objective obeys it.
struct MaskConstraint {
  enum class Kind {
    none,     ///< any mask
    exactly,  ///< exactly `count` ones
    at_most   ///< lowest <= sum of costs[i] over the kept i <= capacity
  };
  Kind kind = Kind::none;
  int count = 0;                                             ///< exactly: K
  std::vector<double> costs{};                               ///< at_most: n costs >= 0
  double capacity = 0;                                       ///< at_most
  double lowest = -std::numeric_limits<double>::infinity();  ///< at_most: keeps the search close to capacity
  /// For constraints that no sum expresses (parameters and MACs are quadratic in the mask). Called with every
  /// seed and proposal: makes the mask obey, or returns false to reject it; `kind` and the fixed values are
  /// checked again afterwards. What comes back is judged, so one that already obeys may come back changed.
  std::function<bool(Mask&)> repair{};
};

/// How to search. Defaults are ours; those of plain PROTES are in protes_options().
struct SearchOptions {
  /// tt: samples of a constrained tensor train, fitted to the best masks seen. local: swaps around the
  /// best mask, chosen by a learned model with pairwise terms. tt+local: local, and both in turn while that
  /// finds nothing better. protes: as published; proposals that break the constraint are repaired at random.
  /// random: feasible masks drawn at random.
  std::string method = "tt+local";
  std::int64_t evaluations = 1000;  ///< of distinct masks, seeds included; from 1, as all counts below
  double time_limit = 0;            ///< seconds of wall time, this call's alone; 0: none
  std::uint64_t seed = 1;
  /// Masks per call of the objective, at most. Small, so that each batch can learn from the one before, and
  /// limits are checked often. Not tuned by measurement.
  int batch = 10;
  int top = 10;                      ///< the best masks that the tensor train is fitted to
  int rank = 5;                      ///< of the tensor train
  int steps = 5;                     ///< Adam steps a batch
  double learning_rate = 0.1;        ///< of Adam, on the logarithms of the cores; above 0
  double start_weight = 3;           ///< log-odds of the first distribution towards the best seed's bits
  std::vector<std::int8_t> fixed{};  ///< empty, or n entries: -1 free, 0 or 1 fixed
  /// Empty, or n guesses of how much each variable wants to be kept (log-odds-like; only used after
  /// scaling to unit spread): a QUBO's fields, importances.
  std::vector<double> prior{};
  /// Empty, or a label in 0..n-1 for each variable: those of one block (a layer) are expected to share an
  /// offset that `prior` doesn't know.
  std::vector<int> blocks{};
  /// JSON file with all evaluated masks and their values, replaced in one step between batches (so often
  /// that it takes about 5 % of the time) and at the end, also where that is an exception of the objective.
  /// Where it is there already, values found in it are not computed again, and the search takes the same way
  /// it took.
  std::filesystem::path state{};
  /// What the objective is (a digest of model, data and metric), kept in the state file: a file with
  /// another one is refused, for its values would be wrong.
  std::string problem{};
};

/// PROTES's published defaults (Batsheva et al., 2023: k 100, k_top 10, k_gd 1, lr 0.05, R 5).
SearchOptions protes_options();

struct HistoryPoint {
  std::int64_t evaluations = 0;
  double best = 0;
};

struct SearchResult {
  Mask best;
  double value = std::numeric_limits<double>::infinity();
  std::int64_t evaluations = 0;  ///< values used, those from the state file included
  std::int64_t computed = 0;     ///< of them, in this call
  double seconds = 0;
  double seconds_outside_objective = 0;  ///< the search's own time
  std::vector<HistoryPoint> history;     ///< each improvement
  std::string reason;                    ///< "evaluations", "time limit", "stopped" or "nothing new to try"
  std::string unsaved;                   ///< why the state file couldn't be written; usually empty
};

/// Minimises `objective` over masks of `n` variables. The seeds come first, those that break the constraint
/// after the smallest change that puts them right; so the result is never worse than any seed that obeys and
/// is among the first `evaluations`. Without seeds it starts from the prior, or from random masks.
/// Limits and stopping are checked between batches. Same options, same values: same result.
/// Throws InputError if no mask can obey the constraint, sizes don't fit, no seed is feasible under a
/// repair function that rejects everything, or the state file belongs to another problem.
SearchResult search_masks(const MaskObjective& objective, int n, const MaskConstraint& constraint,
                          std::span<const Mask> seeds, const SearchOptions& options,
                          const Control& control = {});

/// The names that SearchOptions::method takes.
std::vector<std::string> search_names();

}  // namespace quboprune
