#pragma once

#include <span>
#include <vector>

#include "quboprune/dataset.h"

namespace quboprune {

/// Calibration samples by what they serve for: a search that measures masks on what their repair was fitted
/// on, or a check on what the search saw, finds those samples' peculiarities.
struct CalibrationParts {
  std::vector<Sample> fit;     ///< quick repairs of the masks that are measured
  std::vector<Sample> search;  ///< on which masks are measured
  std::vector<Sample> check;   ///< what was found, as it will ship; empty below 6 samples
};

/// Parts by whole scenes in the order in which they come, 3 : 3 : 2; by samples where there are fewer than
/// three scenes. `repaired` false: no repair follows, `fit` and `search` are the same samples. With fewer
/// than 6 samples all serve for both.
CalibrationParts calibration_parts(std::span<const Sample> samples, bool repaired);

/// So many of them, evenly spread as they are listed; 0: all.
std::vector<Sample> thinned(std::span<const Sample> samples, int count);

}  // namespace quboprune
