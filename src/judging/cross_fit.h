#pragma once

#include <span>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/dataset.h"
#include "quboprune/kept_values.h"
#include "quboprune/metrics.h"
#include "quboprune/progress.h"
#include "quboprune/recover.h"

namespace quboprune {

/// Each sample's metric under masks as they would ship, its network repaired on scenes that the sample isn't
/// of (cross-fitting): every sample judges, and none what was fitted on it. The parts are whole scenes, which
/// come in turn; samples where all are of one scene. (That is so of the repair; scores and settings may have
/// come from all samples.)
///
/// By mask, then by sample in the order given. Stopped work leaves out the samples of parts that weren't
/// done, for all masks alike. Part by part, so only one part's targets are in memory. Throws InputError as
/// Refitter does. `refit` nullptr: no repair follows, the masks are judged as cut. `kept` is asked first, and
/// takes in what is new, part by part.
std::vector<std::vector<double>> shipped_values(const ChannelGroups& groups, std::span<const Mask> masks,
                                                std::span<const Sample> samples, const Judge& judge,
                                                const RefitOptions* refit, KeptValues& kept,
                                                const Control& control = {});

}  // namespace quboprune
