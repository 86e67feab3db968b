#pragma once

#include <vector>

#include "multiples/tied_counts.h"
#include "quboprune/channel_groups.h"

namespace quboprune {

/// The numbers of channels that --round-to allows in a network.
///
/// Groups that every axis holds alike are a *bundle*: only how many of them stay matters to sizes. Every axis
/// that a layer multiplies (its inputs, its outputs, halves that are split off, what Concat joins) is to hold
/// a multiple of channels, or all that it had; what stays anyway counts too. Bundles that axes tie to each
/// other are a *part*; parts are independent.
///
/// Layers' outputs are always held to it. Another axis is where that leaves no bundle whole that could be cut
/// without: 3 channels of an image beside 24 of a convolution are no multiple together once the convolution's
/// own count is one. No axis of ChannelGroups::covers() is emptied.
class EvenCounts {
 public:
  struct Part {
    std::vector<int> bundles;
    TiedCounts counts;  ///< of the bundles, by their place in that list
  };

  EvenCounts(const ChannelGroups& groups, int multiple);
  /// Are no more than a dozen bundles tied to each other? Then it takes a moment; many, as where layers read
  /// Concats of others' odd numbers in all combinations, can take minutes.
  static bool quick(const ChannelGroups& groups, int multiple);

  /// By bundle its groups, ascending.
  const std::vector<std::vector<int>>& bundles() const { return bundles_; }
  const std::vector<Part>& parts() const { return parts_; }

 private:
  struct Demand {
    CountDemand ask;
    bool required;  ///< even though a bundle then stays whole
  };
  struct Unsolved {};  // bundles alone
  EvenCounts(const ChannelGroups& groups, int multiple, Unsolved);
  void find_bundles(const ChannelGroups& groups);
  CountDemand over_bundles(const CostModel::Factor& axis) const;
  std::vector<Demand> demands_of(const ChannelGroups& groups) const;
  std::vector<int> multiples_known(const std::vector<Demand>& demands) const;
  std::vector<Demand> without_implied(const std::vector<Demand>& demands) const;
  std::vector<std::vector<int>> tied(const std::vector<Demand>& demands) const;
  TiedCounts counts_of(const std::vector<int>& part, const std::vector<Demand>& demands) const;
  std::vector<Demand> compatible(const std::vector<int>& part, const std::vector<Demand>& demands) const;

  int multiple_;
  std::vector<std::vector<int>> bundles_;
  std::vector<int> bundle_of_;  // by group
  std::vector<Part> parts_;
};

}  // namespace quboprune
