#pragma once

#include <string>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/error.h"
#include "quboprune/formulation.h"
#include "quboprune/solver.h"

namespace quboprune {

/// How much to remove of the whole network as analysed, what must stay included.
struct Target {
  Cost kind = Cost::filters;
  double removed = 0;  ///< the fraction removed, in (0, 1)
};

/// More is to go than can: with a channel left in each layer, or in the multiples asked for.
class UnmetTarget : public InputError {
 public:
  using InputError::InputError;
};

/// From "filters=0.36". Throws InputError unless the kind is known and the fraction in (0, 1).
Target target_from_text(const std::string& text);

/// The most that may stay: for filters the exact number of groups kept, N - round(removed·N); for parameters
/// and MACs (1 - removed) of the dense network's.
double allowance(const ChannelGroups& groups, const Target& target);

/// How an exact count of filters is met, where an objective is searched; no other target has a use for it.
enum class CapacityMode {
  direct,  ///< the search never leaves the capacity: swaps
  bisect   ///< faithful to the published idea: a multiplier on the count is bisected, and an exact repair
           ///< fills what it jumps over
};

/// Groups that must stay so that no axis of any value is emptied: of each set that makes up an axis the most
/// important one. -1 free, 1 kept.
std::vector<std::int8_t> guard_layers(const ChannelGroups& groups, const std::vector<double>& importance);

/// Minimises the formulation at the target.
///
/// Filters: exactly. Parameters and MACs are products of kept counts: the solver works on their linearisation
/// around the mask so far, and moves that the true count allows finish it; the result is at most the
/// allowance, and nothing that would still fit is left out.
/// Formulations to be sorted are sorted and cut, as their authors do; for parameters and MACs, what would
/// still fit in the end is put back. The mask of one that brings it is taken as it is. Formulations with a
/// penalty of their own are solved without a constraint, and a number of filters that they miss is repaired;
/// for parameters and MACs they are sorted and cut.
///
/// Throws UnmetTarget if the target can't be met with at least one channel in each layer, InputError if
/// nothing can be pruned.
SolverResult solve_at_target(const Formulation& formulation, const ChannelGroups& groups,
                             const Target& target, const SolverOptions& options,
                             CapacityMode mode = CapacityMode::direct, const Control& control = {});

/// What bisect_capacity() found.
struct BisectResult {
  Mask x;                    ///< exactly the count
  double energy = 0;         ///< of the QUBO as given, without a multiplier
  double multiplier = 0;     ///< that gives the count; without a meaning unless `reached`
  bool reached = false;      ///< the count came out without repair
  bool out_of_time = false;  ///< time or a stop ended it
  int solves = 0;
  std::int64_t moves = 0;  ///< of all solves together
  double seconds = 0;
};

/// The faithful search on any QUBO: bisects the multiplier m of E(x) - m·sum x until the count brackets K,
/// then adds or removes one by one what changes E least. The multipliers are in units of the largest change
/// of E that a variable makes where none or all are kept.
///
/// count: 0..n; fixed: empty, or n entries (-1 free, 0 or 1 fixed). Each of its solves gets a twentieth of
/// the options' time, and but for the first two none begins after all of it. Throws InputError if the fixed
/// variables leave no such count. Source: the trade-off of QUBO feature selection, arXiv 2203.13261; the
/// repair is ours.
BisectResult bisect_capacity(const Qubo& qubo, int count, const std::vector<std::int8_t>& fixed,
                             const SolverOptions& options, const Control& control = {});

}  // namespace quboprune
