#pragma once

#include <optional>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/evaluation.h"
#include "quboprune/progress.h"
#include "quboprune/recover.h"

namespace quboprune {

/// Judges masks as they would ship: cut, repaired on some samples, measured on others. A repair that as a
/// whole makes things worse is measured as it is, where refit() would undo it in the end.
class ShippedJudge {
 public:
  /// refit: nullptr where no repair follows. Holds references to the groups, options and control. Throws as
  /// Refitter does.
  ShippedJudge(const ChannelGroups& groups, std::span<const Sample> fitted, std::vector<Sample> judged,
               const Judge& judge, const RefitOptions* refit, const Control& control);

  /// The metric of each judged sample. Throws Stopped rather than judge a network that was repaired in part.
  std::vector<double> operator()(const Mask& mask) const;

 private:
  const ChannelGroups& groups_;
  NetworkJudge judged_;
  std::optional<Refitter> refitter_;
  const Control& control_;
};

}  // namespace quboprune
