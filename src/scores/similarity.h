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
  explicit SimilaritySums(const ChannelGroups& groups);

  /// To be called with what each gate point reads, once a run for each value.
  void add(const GatePoint& gate, const at::Tensor& activation);
  std::vector<SimilarityBlock> blocks() const;
  /// Mean square of each group's activations.
  std::vector<double> energy() const;

 private:
  /// The part of a gate that lies in one layer: for the k-th index of each group, where it is on the axis.
  struct Part {
    int layer = 0;
    std::vector<std::int64_t> places;  ///< in the layer's list of groups
    std::vector<at::Tensor> members;   ///< k-th index of each place's group on the axis
    std::vector<at::Tensor> shifts{};  ///< of each of members: the first run's means; empty before it
    std::vector<at::Tensor> sums{};    ///< double, of the shifted activations of each of members
    double rows = 0;                   ///< behind each sum
  };
  std::vector<Part> parts_of(const GatePoint& gate) const;
  void add_to(at::Tensor& matrix, const Part& part, const at::Tensor& products) const;
  /// What must be added to products of shifted activations for those of the activations, about their means
  /// over all runs (centred) or as they are.
  std::vector<at::Tensor> corrected(bool centred) const;

  const ChannelGroups& groups_;
  std::vector<std::vector<int>> layer_groups_;  // groups by their first layer; the last list: those without
  std::vector<at::Tensor> products_;            // double, by layer, of shifted activations
  std::vector<double> counts_;                  // values behind each group's sum
  std::map<const GatePoint*, std::vector<Part>> parts_;
};

}  // namespace quboprune
