#pragma once

#include <vector>

#include "coupling/analysis.h"
#include "quboprune/channel_groups.h"

namespace quboprune {

/// The output axis that a layer's channels lie on: 1 for convolutions, the last for Gemm, the last that has
/// any for other products: those of attention have none but heads.
int channel_axis(const Node& node, const Coupling& coupling);

/// Does one of its inputs not depend on the data?
bool has_weights(const Node& node, const Coupling& coupling);

/// What of the layers' outputs stays, by reason, the dearest first; then the layers behind operators that
/// can't be run.
std::vector<Frozen> frozen_of(const Analysis& analysis, const std::vector<Layer>& layers);

}  // namespace quboprune
