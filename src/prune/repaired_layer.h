#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/recover.h"

namespace quboprune {

/// A layer behind a cut: what removing its inputs costs after the best linear repair of its weights.
///
/// E(R) = tr(H · W_R S Wᵀ_R), S = G_RR - G_RK G_KK⁻¹ G_KR; all as in Reconstruction.
class RepairedLayer {
 public:
  /// outputs: each output channel's group, -1 for one that stays. `sensitivity` [conv groups, outputs a
  /// group, outputs a group].
  RepairedLayer(const InputGram& gram, const std::vector<int>& inputs, std::vector<int> outputs,
                at::Tensor sensitivity, double ridge);

  double error(const Mask& mask) const;

  /// For elimination: the inverse of the kept inputs' Gram matrix and the repaired weights, downdated as
  /// inputs go; entries of what went are zero.
  struct Repair {
    at::Tensor inverse;  ///< [conv groups, columns, columns]
    at::Tensor weight;   ///< [conv groups, outputs a group, columns]
    at::Tensor
        seen;  ///< H times `weight`, of the same shape: anew each time it would take outputs² · columns
  };
  Repair intact() const;
  /// Adds to errors[g], for each kept input group, what its removal alone would add to E.
  void add_errors(const Repair& repair, const Mask& mask, std::vector<double>& errors) const;
  /// Takes out a group's inputs and outputs, whichever it has here.
  void remove(Repair& repair, int group) const;

  bool reads(int group) const;
  bool gives(int group) const;
  const std::vector<int>& input_groups() const { return input_groups_; }

 private:
  /// Groups that have the same number of columns here.
  struct Blocks {
    std::vector<int> groups;
    at::Tensor columns;  ///< int64 [groups, columns each]
  };
  at::Tensor columns_of(int group) const;

  std::vector<int> column_groups_;  ///< within a convolution group: each column's group
  std::vector<int> outputs_;
  std::vector<int> input_groups_;  ///< sorted, distinct
  std::vector<Blocks> blocks_;
  at::Tensor gram_, weight_, sensitivity_;
};

}  // namespace quboprune
