#pragma once

#include <vector>

#include "multiples/even_counts.h"
#include "quboprune/qubo.h"
#include "quboprune/target.h"

namespace quboprune {

/// What gives way where multiples can't make a count of filters: the target, of which some is left, or the
/// multiple of a bundle that few layers hold, which takes up what is left.
enum class GivesWay { target, multiple };

/// Masks whose layers keep multiples of `multiple` channels, or all (EvenCounts says which axes do), at a
/// target. How many each keeps is chosen for the most worth in all; within a bundle those of most worth stay.
/// Never empties a layer.
///
/// Filters: exactly the target where multiples can make it, the largest count below it otherwise, by dynamic
/// programming; or exactly the target always (GivesWay). Parameters and MACs: whole layers are lowered step
/// by step, the least worth lost for what is saved first, until the cost fits; then steps up, and exchanges
/// of a step down for one up, that gain and still fit. Nothing that would still fit is left out.
///
/// Holds references to the groups. Its functions throw UnmetTarget if the smallest counts that they find
/// (TiedCounts::choices() looks along a beam) are above the target; they are safe from several threads.
class Rounder {
 public:
  Rounder(const ChannelGroups& groups, const Target& target, int multiple,
          GivesWay gives_way = GivesWay::target);

  /// Whether the smallest counts are within the target; if not, what follows throws. (If so, it may still,
  /// where counts are tied in so many ways that a beam finds others.)
  bool attainable() const;

  /// The mask of most worth; worth: by group, what keeping it gains.
  Mask best(const std::vector<double>& worth) const;
  /// Least energy as far as it is linear around the mask, then around what comes of it while that gains.
  Mask rounded(const Mask& mask, const Qubo& qubo) const;
  /// The mask that differs least from one proposed; where many do, that of least energy.
  Mask nearest(const Mask& mask, const Qubo& qubo) const;

 private:
  /// By part what it may keep; sums: by bundle, what keeping so many of it is worth.
  std::vector<std::vector<CountChoice>> choices(const std::vector<std::vector<double>>& sums) const;
  /// Adds groups until the count is the target's.
  void take_up(Mask& mask, const std::vector<double>& worth) const;

  const ChannelGroups& groups_;
  Cost kind_;
  double allowed_;
  GivesWay gives_way_;
  EvenCounts counts_;
};

/// Layers that lose channels and keep another number than a multiple.
int uneven_layers(const ChannelGroups& groups, const Mask& mask, int multiple);

}  // namespace quboprune
