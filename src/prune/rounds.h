#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "quboprune/mask_evaluator.h"
#include "quboprune/prune.h"
#include "quboprune/scores.h"
#include "quboprune/target.h"

namespace quboprune {

/// For each group of a network that was cut, its number in the original; nothing where they don't correspond
/// one to one, as when a whole branch went. cut: analysed from what slice() made of `original` by `mask`,
/// with the same AnalyseOptions.
std::optional<std::vector<int>> original_groups(const ChannelGroups& original, const Mask& mask,
                                                const ChannelGroups& cut);

/// One round's choice: a mask of `groups` that meets `target`.
using RoundChoice = std::function<Mask(const ChannelGroups& groups, const Scores& scores,
                                       const MaskEvaluator& evaluator, const Target& target)>;

/// Goes to the target in rounds of equal size: each scores the network that the rounds before left, repaired
/// where the evaluator repairs, and removes its share. Gradients hold near the network that they were taken
/// at, and a third of the channels is not near. Rounds of Taylor scores: Molchanov et al. 1611.06440; with a
/// QUBO solved at each round's exact count, and repair in between: ours.
///
/// scores: of the whole network, for the first round. The result meets the target on the original groups. An
/// empty mask: it was stopped, the last round missed the target, or the cut network's groups don't correspond
/// to the original's.
Mask mask_in_rounds(const ChannelGroups& groups, const Scores& scores, const MaskEvaluator& evaluator,
                    const Target& target, int rounds, const RoundsOptions& options, const RoundChoice& choose,
                    const Control& control);

}  // namespace quboprune
