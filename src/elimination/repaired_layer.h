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
  /// inputs: each input channel's group, outputs: each output channel's, -1 for one that stays. `sensitivity`
  /// [conv groups, outputs a group, outputs a group].
  RepairedLayer(InputGram&& gram, const std::vector<int>& inputs, std::vector<int> outputs,
                at::Tensor sensitivity, double ridge);

  double error(const Mask& mask) const;

  const std::vector<int>& input_groups() const { return input_groups_; }  ///< sorted, distinct
  const std::vector<int>& outputs() const { return outputs_; }
  /// int64: of each of input_groups() its columns within a convolution group.
  const std::vector<at::Tensor>& columns() const { return columns_; }
  const at::Tensor& gram() const { return gram_; }      ///< [conv groups, columns, columns], with the ridge
  const at::Tensor& weight() const { return weight_; }  ///< [conv groups, outputs a group, columns]
  const at::Tensor& sensitivity() const { return sensitivity_; }

 private:
  std::vector<int> column_groups_;  ///< within a convolution group: each column's group
  std::vector<int> outputs_;
  std::vector<int> input_groups_;
  std::vector<at::Tensor> columns_;
  at::Tensor gram_, weight_, sensitivity_;
};

}  // namespace quboprune
