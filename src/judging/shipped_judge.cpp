#include "judging/shipped_judge.h"

#include <utility>

#include "coupling/analysis.h"
#include "quboprune/error.h"
#include "quboprune/surgery.h"

namespace quboprune {

ShippedJudge::ShippedJudge(const ChannelGroups& groups, std::span<const Sample> fitted,
                           std::vector<Sample> judged, const Judge& judge, const RefitOptions* refit,
                           const Control& control)
    : groups_(groups),
      judged_(groups.analysis().graph, std::move(judged), judge, control),
      control_(control) {
  if (refit != nullptr) refitter_.emplace(groups, fitted, judge, *refit, control);
}

std::vector<double> ShippedJudge::operator()(const Mask& mask) const {
  if (!refitter_) return judged_.score(slice(groups_, mask), control_).samples;
  const Graph repaired = (*refitter_)(mask, control_).graph;
  if (control_.stopped()) throw Stopped("stopped while repairing");
  return judged_.score(repaired, control_).samples;
}

}  // namespace quboprune
