#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "elimination/repaired_layer.h"

namespace quboprune {

/// A layer while groups are taken out one by one: what each that is left would add to E. Optimal brain
/// surgeon by blocks (Hassibi and Stork 1993), whose rank-one changes are put off and made by one product for
/// many, as delayed updates of determinants are (McDaniel et al. 2017).
class LayerElimination {
 public:
  /// Keeps a reference. Inverts the Gram matrix.
  explicit LayerElimination(const RepairedLayer& layer);

  /// Takes out a group's inputs and outputs, whichever it has here; false where it has neither.
  bool remove(int group);
  /// Of each of the layer's input_groups() what its removal alone would add to E, 0 for what went.
  std::vector<double> errors() const;

 private:
  /// A matrix that changed since: `settled` less `factor` times right_, as far as that is pending.
  struct Delayed {
    at::Tensor settled;  ///< [conv groups, rows, columns]
    at::Tensor factor;   ///< [conv groups, rows, most_]
  };
  /// Input groups of the same number of columns, and what their errors are made of.
  struct Blocks {
    std::vector<std::size_t> places;  ///< among input_groups()
    at::Tensor columns;               ///< int64 [groups, columns each]
    /// Diagonal blocks [conv groups, groups, columns each, columns each]: of P (1 for what went) and of Bᵀ H
    /// B.
    at::Tensor inverse, spread;
  };
  void take_inputs(std::size_t place);
  void take_output(std::int64_t conv_group, std::int64_t row);
  /// Bᵀ H B loses leftᵀ right and its transpose; [conv groups from this one on, any, columns].
  void change_spread(const at::Tensor& left, const at::Tensor& right, std::int64_t conv_group);
  void leave_out(std::size_t place);
  at::Tensor rows_of(const Delayed& matrix, const at::Tensor& rows) const;
  at::Tensor columns_of(const Delayed& matrix, const at::Tensor& columns) const;
  at::Tensor right() const { return right_.narrow(1, 0, pending_); }
  at::Tensor factor_of(const Delayed& matrix) const { return matrix.factor.narrow(2, 0, pending_); }
  void make_room(std::int64_t changes);
  void renew_blocks();

  const RepairedLayer& layer_;
  Delayed inverse_;   ///< P = G_KK⁻¹; rows and columns of what went are zero
  Delayed weight_;    ///< B, the repaired weights; likewise
  Delayed seen_;      ///< H B
  at::Tensor right_;  ///< [conv groups, most_, columns]
  std::int64_t most_, pending_ = 0;
  at::Tensor alive_;        ///< [columns]: 0 for those that went, else 1
  std::vector<bool> went_;  ///< by place
  std::vector<Blocks> blocks_;
};

}  // namespace quboprune
