#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/formulation.h"
#include "quboprune/mask.h"
#include "quboprune/target.h"

namespace quboprune {

/// Spearman's rank correlation of two lists of the same length, ties by mean rank; NaN where one of them is
/// constant or has fewer than 2 entries. Infinities rank as such.
double spearman(const std::vector<double>& a, const std::vector<double>& b);

/// Masks to judge objectives by: they all meet the target, and lie from next to `seeds` to anywhere. About
/// half are seeds with 2 % to 20 % of the removed groups exchanged at random, a quarter mixtures of two
/// seeds, a quarter wholly random. No two are equal, and none is a seed; fewer than `count` where so many
/// can't be found. Parameters and MACs: at most the allowance, by adding and removing at random. Throws
/// InputError without seeds, and for seeds of another network.
std::vector<Mask> trust_masks(const ChannelGroups& groups, const Target& target,
                              const std::vector<Mask>& seeds, int count, std::uint64_t seed);

/// What the trust meter found: where measured values can't tell objectives apart, some masks (trust_masks())
/// are measured, and the objective whose energies rank them best is trusted. (Ours.)
struct Trust {
  /// By objective: the rank correlation of its energies with the true values.
  std::vector<std::pair<std::string, double>> correlations;
  std::vector<double> values;                 ///< true values of the masks, lower is better
  std::vector<std::vector<double>> energies;  ///< by objective as in correlations, by mask
};

}  // namespace quboprune
