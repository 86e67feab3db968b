#pragma once

#include "quboprune/prune.h"

namespace quboprune {

/// Where the chosen mask removes a branch, all that only served it goes too (with_whole_branches()); what
/// that leaves of the target other groups stay for, the most important first, unless they stay in multiples.
/// Where too few others went for that, the branch keeps a channel. Notes say so.
void settle_branches(const ChannelGroups& groups, const Target& target, Choice& choice);

}  // namespace quboprune
