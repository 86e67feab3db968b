#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/executor.h"
#include "quboprune/scores.h"

namespace quboprune {

/// Sums of products of activations of the groups of each layer, over the runs that add() was called in.
///
/// Activations are shifted by the first run's means before they are multiplied, and the shift is taken out of
/// the sums in double: what large means leave of a correlation would else be float32's rounding.
class SimilaritySums {
 public:
  /// centred: blocks() also have Pearson's correlations.
  SimilaritySums(const ChannelGroups& groups, bool centred);

  /// To be called with what each gate point reads, once a run for each value.
  void add(const GatePoint& gate, const at::Tensor& activation);
  std::vector<SimilarityBlock> blocks() const;
  /// Mean square of each group's activations.
  std::vector<double> energy() const;

 private:
  /// Groups of one layer that hold as many indices of a gate's axis as each other: they are compared index
  /// by index.
  struct Part {
    int layer = 0;
    std::vector<std::int64_t> places;  ///< in the layer's list of groups
    std::vector<at::Tensor> members;   ///< k-th index of each place's group on the axis
    std::vector<at::Tensor> shifts{};  ///< of each of members: the first run's means; empty before it
    std::vector<at::Tensor> sums{};    ///< double, of the shifted activations of each of members
    bool whole_axis = false;           ///< one index each, in the axis's order: nothing has to be picked
    double rows = 0;                   ///< behind each sum
  };
  std::vector<Part> parts_of(const GatePoint& gate) const;
  void add_to(at::Tensor& matrix, const Part& part, const at::Tensor& products) const;
  void add_squares(const Part& part, const at::Tensor& x);
  /// A layer's products of activations, about their means over all runs (centred) or as they are.
  at::Tensor corrected(std::size_t layer, bool centred) const;

  const ChannelGroups& groups_;
  bool centred_;
  std::vector<std::vector<int>> layer_groups_;  // groups by their first layer; the last list: those without
  std::vector<at::Tensor> products_;            // double, by layer, of shifted activations; empty: too many
  std::vector<double> squares_, counts_;        // by group: sum of squares, values behind it
  std::map<const GatePoint*, std::vector<Part>> parts_;
};

}  // namespace quboprune
