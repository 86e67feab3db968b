#pragma once

#include <functional>
#include <span>
#include <string>

#include "quboprune/prune.h"

namespace quboprune {

/// An objective that the trust meter judges: its own mask, and what it predicts for others.
struct Predictor {
  std::string name;
  Mask mask;
  std::function<double(const Mask&)> predicted;
};

/// How well each objective's predictions rank ChooseOptions::trust_masks masks around all of theirs, measured
/// on ChooseOptions::trust_samples of the evaluator's samples (`kept` is asked first). Empty where it was
/// stopped: a few masks' ranks say nothing.
Trust measured_trust(const ChannelGroups& groups, const MaskEvaluator& evaluator,
                     std::span<const Predictor> objectives, const ChooseOptions& options, KeptValues& kept,
                     const Control& control);

}  // namespace quboprune
