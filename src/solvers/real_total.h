#pragma once

#include <functional>
#include <span>
#include <vector>

#include "quboprune/mask.h"
#include "quboprune/random.h"
#include "solvers/improver.h"

namespace quboprune {

/// A total that the costs of a selection have to meet, and what changes of it do to the objective.
struct RealTotal {
  std::vector<double> costs;  ///< each >= 0
  double total = 0, tolerance = 0;
  std::vector<double> gains;  ///< what flipping one entry adds to the objective
  /// What flipping several entries, ascending, adds together.
  std::function<double(std::span<const std::size_t>)> change;
};

/// Changes x (an entry for each cost) to a selection that meets the total, in a way that adds little to the
/// objective; returns what it adds, +infinity if there is no such selection or none was found. For costs that
/// have no common unit, or one so small that a table of all sums (subset_sum.h) would be too large.
///
/// Up to 40 entries: all selections are looked at, by halves. More: pairs of sets of up to four flips, of
/// those entries that lose least, or all sets of 36 drawn ones. Their sums lie so dense that some are within
/// 10^-10 of the total. Source: Horowitz and Sahni 1974 for the halves; ours otherwise.
double meet_total(const RealTotal& wanted, Mask& x, Rng& rng, const Deadline& deadline);

}  // namespace quboprune
