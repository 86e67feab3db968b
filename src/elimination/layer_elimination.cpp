// Taking block c out of the kept inputs adds tr(P_cc⁻¹ · B_cᵀ H B_c) to the error, with P = G_KK⁻¹ and B the
// repaired weights so far. Then, with the step D = P_cc⁻¹ P_c,
//
//     P ← P - P_cᵀ D,    B ← B - B_c D,    H B ← H B - (H B)_c D:
//
// whole matrices, whose product and sum would be read and written for each group. But the next group's error
// takes only diagonal blocks of P and Bᵀ H B, and its step only rows of them. So these are kept up to date
// and the changes to the matrices wait until there are `most_` of them, which then are one product.
//
// Taking out output r makes a row of B zero: H B ← H B - H_r b_r, and the diagonal blocks of Bᵀ H B change by
// b_r and row r of H B.

#include "elimination/layer_elimination.h"

#include <ATen/Functions.h>
#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <map>

namespace quboprune {
namespace {

constexpr std::int64_t kMostPending = 128;

/// [g, k, columns] and [m, s] to [g, m, k, s].
at::Tensor gathered(const at::Tensor& matrix, const at::Tensor& columns) {
  return matrix.index_select(2, columns.flatten())
      .view({matrix.size(0), matrix.size(1), columns.size(0), columns.size(1)})
      .permute({0, 2, 1, 3});
}

/// The diagonal blocks of leftᵀ right: twice [g, k, columns] and [m, s] to [g, m, s, s].
at::Tensor products(const at::Tensor& left, const at::Tensor& right, const at::Tensor& columns) {
  if (columns.size(1) == 1)
    return (left * right).sum(1).index_select(1, columns.flatten()).unsqueeze(2).unsqueeze(3);
  return at::matmul(gathered(left, columns).transpose(2, 3), gathered(right, columns));
}

}  // namespace

LayerElimination::LayerElimination(const RepairedLayer& layer)
    : layer_(layer),
      // LAPACK's order is by columns, and index_select() copies a whole matrix that isn't in rows.
      inverse_{at::cholesky_inverse(at::linalg_cholesky(layer.gram())).contiguous(), {}},
      weight_{layer.weight().clone(), {}},
      seen_{at::matmul(layer.sensitivity(), layer.weight()), {}},
      most_(kMostPending),
      alive_(at::ones({layer.gram().size(1)}, at::kDouble)),
      went_(layer.input_groups().size(), false) {
  std::map<std::int64_t, std::vector<std::size_t>> by_size;
  for (std::size_t place = 0; place < went_.size(); ++place)
    by_size[layer.columns()[place].numel()].push_back(place);
  for (auto& [size, places] : by_size) {
    std::vector<at::Tensor> columns;
    for (const auto place : places) columns.push_back(layer.columns()[place]);
    blocks_.push_back({std::move(places), at::stack(columns), {}, {}});
    most_ = std::max(most_, size);
  }
  for (auto* matrix : {&inverse_, &weight_, &seen_})
    matrix->factor = at::zeros({matrix->settled.size(0), matrix->settled.size(1), most_}, at::kDouble);
  right_ = at::zeros({layer.gram().size(0), most_, layer.gram().size(1)}, at::kDouble);
  renew_blocks();
}

bool LayerElimination::remove(int group) {
  const auto& inputs = layer_.input_groups();
  const auto input = std::ranges::lower_bound(inputs, group);
  const bool reads = input != inputs.end() && *input == group;
  if (reads) take_inputs(static_cast<std::size_t>(input - inputs.begin()));
  const auto& outputs = layer_.outputs();
  const auto rows = weight_.settled.size(1);
  bool gives = false;
  for (auto o = std::ranges::find(outputs, group); o != outputs.end();
       o = std::find(o + 1, outputs.end(), group)) {
    take_output((o - outputs.begin()) / rows, (o - outputs.begin()) % rows);
    gives = true;
  }
  return reads || gives;
}

std::vector<double> LayerElimination::errors() const {
  std::vector<double> result(went_.size(), 0.0);
  for (const auto& blocks : blocks_) {
    const at::Tensor each = blocks.columns.size(1) == 1 ? blocks.spread / blocks.inverse
                                                        : blocks.spread * at::linalg_inv(blocks.inverse);
    const at::Tensor sums = each.sum({0, 2, 3}).contiguous();
    const auto* data = static_cast<const double*>(sums.data_ptr());
    for (std::size_t i = 0; i < blocks.places.size(); ++i) result[blocks.places[i]] = std::max(0.0, data[i]);
  }
  return result;
}

void LayerElimination::take_inputs(std::size_t place) {
  const at::Tensor& columns = layer_.columns()[place];
  make_room(columns.numel());
  const at::Tensor rows = rows_of(inverse_, columns);
  const at::Tensor step = at::linalg_solve(rows.index_select(2, columns), rows);
  const at::Tensor weight = columns_of(weight_, columns), seen = columns_of(seen_, columns);
  // B_cᵀ H B, less half of what its columns c make of the step: the change is then this times the step, and
  // the transpose of that.
  const at::Tensor over = weight.transpose(1, 2);
  at::Tensor cross =
      at::matmul(over, seen_.settled).sub_(at::matmul(at::matmul(over, factor_of(seen_)), right()));
  cross.sub_(at::matmul(cross.index_select(2, columns), step), 0.5);
  change_spread(cross, step, 0);
  for (auto& blocks : blocks_) blocks.inverse.sub_(products(rows, step, blocks.columns));
  inverse_.factor.narrow(2, pending_, columns.numel()).copy_(rows.transpose(1, 2));
  weight_.factor.narrow(2, pending_, columns.numel()).copy_(weight);
  seen_.factor.narrow(2, pending_, columns.numel()).copy_(seen);
  right_.narrow(1, pending_, columns.numel()).copy_(step);
  pending_ += columns.numel();
  alive_.index_fill_(0, columns, 0);
  went_[place] = true;
  leave_out(place);
}

void LayerElimination::take_output(std::int64_t conv_group, std::int64_t row) {
  make_room(1);
  const at::Tensor index = at::tensor({row}, at::kLong);
  const at::Tensor gone = rows_of(weight_, index).narrow(0, conv_group, 1);
  const at::Tensor sensitivity = layer_.sensitivity().select(0, conv_group).select(1, row);
  const at::Tensor seen = rows_of(seen_, index).narrow(0, conv_group, 1);
  change_spread(seen - gone * sensitivity.select(0, row) / 2, gone, conv_group);
  for (auto* matrix : {&inverse_, &weight_, &seen_}) matrix->factor.select(2, pending_).zero_();
  seen_.factor.select(0, conv_group).select(1, pending_).copy_(sensitivity);
  right_.select(1, pending_).zero_();
  right_.select(0, conv_group).select(0, pending_).copy_(gone.view({-1}));
  ++pending_;
  weight_.settled.select(0, conv_group).select(0, row).zero_();
  weight_.factor.select(0, conv_group).select(0, row).zero_();
}

void LayerElimination::change_spread(const at::Tensor& left, const at::Tensor& right,
                                     std::int64_t conv_group) {
  for (auto& blocks : blocks_) {
    const at::Tensor change = products(left, right, blocks.columns);
    blocks.spread.narrow(0, conv_group, left.size(0)).sub_(change).sub_(change.transpose(2, 3));
  }
}

/// Any invertible block will do for what went: it adds nothing.
void LayerElimination::leave_out(std::size_t place) {
  for (auto& blocks : blocks_) {
    const auto found = std::ranges::lower_bound(blocks.places, place);
    if (found == blocks.places.end() || *found != place) continue;
    const auto i = found - blocks.places.begin();
    blocks.spread.select(1, i).zero_();
    blocks.inverse.select(1, i).copy_(at::eye(blocks.columns.size(1), at::kDouble));
  }
}

at::Tensor LayerElimination::rows_of(const Delayed& matrix, const at::Tensor& rows) const {
  const at::Tensor changed = at::matmul(factor_of(matrix).index_select(1, rows), right());
  return matrix.settled.index_select(1, rows).sub_(changed).mul_(alive_);
}

at::Tensor LayerElimination::columns_of(const Delayed& matrix, const at::Tensor& columns) const {
  return matrix.settled.index_select(2, columns)
      .sub_(at::matmul(factor_of(matrix), right().index_select(2, columns)));
}

void LayerElimination::make_room(std::int64_t changes) {
  if (pending_ + changes <= most_) return;
  for (auto* matrix : {&inverse_, &weight_, &seen_})
    matrix->settled.baddbmm_(factor_of(*matrix), right(), 1, -1);
  pending_ = 0;
  renew_blocks();
}

/// Anew from the matrices, so that rounding doesn't add up.
void LayerElimination::renew_blocks() {
  for (auto& blocks : blocks_) {
    using at::indexing::Slice;
    const at::Tensor rows = blocks.columns.unsqueeze(2), columns = blocks.columns.unsqueeze(1);
    blocks.inverse = inverse_.settled.index({Slice(), rows, columns});
    blocks.spread = products(weight_.settled, seen_.settled, blocks.columns);
  }
  for (std::size_t place = 0; place < went_.size(); ++place) {
    if (went_[place]) leave_out(place);
  }
}

}  // namespace quboprune
