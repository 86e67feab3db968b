#pragma once

#include "multiples/rounding.h"
#include "quboprune/prune.h"

namespace quboprune {

/// Searches for a better mask than choice.mask by its true value, at the same target, and takes it unless
/// evidence.check finds it no better. Sets choice.refinement.
/// rounder: nullptr where any counts will do.
void refine(Choice& choice, const ChannelGroups& groups, const Evidence& evidence, const Rounder* rounder,
            const ChooseOptions& options, const Control& control);

}  // namespace quboprune
