#pragma once

#include <ATen/core/Tensor.h>

#include "quboprune/random.h"

namespace quboprune {

/// int64 numbers of about `share` of n positions, ascending: one drawn from each of as many equal stretches,
/// so that they cover everything evenly. All of them for a share of 1.
at::Tensor spread_positions(std::int64_t n, double share, Rng& rng);

}  // namespace quboprune
