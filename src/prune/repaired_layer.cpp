// Taking block c out of the kept inputs adds tr(H · B_c P_cc⁻¹ B_cᵀ) to the error, with P = G_KK⁻¹ and B the
// repaired weights so far; then B ← B - B_c P_cc⁻¹ P_c and P ← P - P_cᵀ P_cc⁻¹ P_c (optimal brain surgeon, by
// blocks). Rows and columns of what went become zero by themselves, so nothing is renumbered.

#include "prune/repaired_layer.h"

#include <ATen/Functions.h>
#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <map>

namespace quboprune {
namespace {

bool kept(const Mask& mask, int group) {
  return group < 0 || mask[static_cast<std::size_t>(group)] != 0;
}

/// Blocks of a matrix's diagonal: [g, columns, columns] and [m, s] to [g, m, s, s].
at::Tensor diagonal_blocks(const at::Tensor& matrix, const at::Tensor& columns) {
  using at::indexing::Slice;
  return matrix.index({Slice(), columns.unsqueeze(2), columns.unsqueeze(1)});
}

}  // namespace

RepairedLayer::RepairedLayer(const InputGram& gram, const std::vector<int>& inputs, std::vector<int> outputs,
                             at::Tensor sensitivity, double ridge)
    : outputs_(std::move(outputs)),
      gram_(gram.gram.clone()),
      weight_(gram.weight.to(at::kDouble)),
      sensitivity_(std::move(sensitivity)) {
  const auto columns = gram_.size(1);
  for (std::int64_t c = 0; c < columns; ++c)
    column_groups_.push_back(inputs[static_cast<std::size_t>(c / gram.taps)]);
  const double diagonal = gram_.diagonal(0, 1, 2).mean().item<double>();
  // A layer that reads nothing but zeros still needs an inverse; its weights' share of the error is then
  // tiny.
  gram_.diagonal(0, 1, 2).add_(std::max(ridge * diagonal, 1e-12));
  std::map<int, std::vector<std::int64_t>> by_group;
  for (std::size_t c = 0; c < column_groups_.size(); ++c) {
    if (column_groups_[c] >= 0) by_group[column_groups_[c]].push_back(static_cast<std::int64_t>(c));
  }
  std::map<std::size_t, std::pair<std::vector<int>, std::vector<std::int64_t>>> by_size;
  for (const auto& [group, list] : by_group) {
    input_groups_.push_back(group);
    auto& [groups, all] = by_size[list.size()];
    groups.push_back(group);
    all.insert(all.end(), list.begin(), list.end());
  }
  for (auto& [size, entry] : by_size)
    blocks_.push_back(
        {entry.first, at::tensor(entry.second, at::kLong).view({-1, static_cast<std::int64_t>(size)})});
}

at::Tensor RepairedLayer::columns_of(int group) const {
  std::vector<std::int64_t> list;
  for (std::size_t c = 0; c < column_groups_.size(); ++c) {
    if (column_groups_[c] == group) list.push_back(static_cast<std::int64_t>(c));
  }
  return at::tensor(list, at::kLong);
}

bool RepairedLayer::reads(int group) const {
  return std::binary_search(input_groups_.begin(), input_groups_.end(), group);
}

bool RepairedLayer::gives(int group) const {
  return std::find(outputs_.begin(), outputs_.end(), group) != outputs_.end();
}

double RepairedLayer::error(const Mask& mask) const {
  std::vector<std::int64_t> in, out;
  for (std::size_t c = 0; c < column_groups_.size(); ++c)
    (kept(mask, column_groups_[c]) ? in : out).push_back(static_cast<std::int64_t>(c));
  if (out.empty()) return 0;
  const at::Tensor removed = at::tensor(out, at::kLong);
  at::Tensor weight = weight_.index_select(2, removed).clone();
  for (std::size_t o = 0; o < outputs_.size(); ++o) {
    if (kept(mask, outputs_[o])) continue;
    const auto per_group = weight.size(1);
    weight.select(0, static_cast<std::int64_t>(o) / per_group)
        .select(0, static_cast<std::int64_t>(o) % per_group)
        .zero_();
  }
  const at::Tensor rows = gram_.index_select(1, removed);
  at::Tensor left = rows.index_select(2, removed);
  if (!in.empty()) {
    const at::Tensor staying = at::tensor(in, at::kLong);
    const at::Tensor cross = rows.index_select(2, staying);  // [g, r, k]
    const at::Tensor factor = at::linalg_cholesky(gram_.index_select(1, staying).index_select(2, staying));
    left = left - at::matmul(cross, at::cholesky_solve(cross.transpose(1, 2), factor));
  }
  return (at::matmul(sensitivity_, weight) * at::matmul(weight, left)).sum().item<double>();
}

RepairedLayer::Repair RepairedLayer::intact() const {
  const at::Tensor inverse = at::cholesky_inverse(at::linalg_cholesky(gram_));
  return {inverse, weight_.clone(), at::matmul(sensitivity_, weight_)};
}

void RepairedLayer::add_errors(const Repair& repair, const Mask& mask, std::vector<double>& errors) const {
  for (const auto& blocks : blocks_) {
    const auto count = blocks.columns.size(0);
    const auto size = blocks.columns.size(1);
    const auto gather = [&](const at::Tensor& matrix) {  // [g, o, columns] to [g, m, o, s]
      return matrix.index_select(2, blocks.columns.flatten())
          .view({matrix.size(0), matrix.size(1), count, size})
          .permute({0, 2, 1, 3});
    };
    at::Tensor inverse = diagonal_blocks(repair.inverse, blocks.columns);
    for (std::size_t i = 0; i < blocks.groups.size(); ++i) {
      // What went has a block of zeros; any invertible one will do, its weights are zero.
      if (!kept(mask, blocks.groups[i]))
        inverse.select(1, static_cast<std::int64_t>(i)).diagonal(0, 1, 2).fill_(1);
    }
    const at::Tensor spread =
        size == 1 ? (repair.weight * repair.seen)
                        .sum(1)
                        .index_select(1, blocks.columns.flatten())
                        .view({-1, count, 1, 1})
                  : at::matmul(gather(repair.weight).transpose(2, 3), gather(repair.seen));  // [g, m, s, s]
    const at::Tensor sums = (at::linalg_inv(inverse) * spread).sum({0, 2, 3}).contiguous();
    const auto* data = static_cast<const double*>(sums.data_ptr());
    for (std::size_t i = 0; i < blocks.groups.size(); ++i) {
      if (kept(mask, blocks.groups[i]))
        errors[static_cast<std::size_t>(blocks.groups[i])] += std::max(0.0, data[i]);
    }
  }
}

void RepairedLayer::remove(Repair& repair, int group) const {
  if (reads(group)) {
    const at::Tensor columns = columns_of(group);
    const at::Tensor rows = repair.inverse.index_select(1, columns);  // P_c [g, s, columns]
    const at::Tensor step = at::linalg_solve(rows.index_select(2, columns), rows);
    for (auto* tensor : {&repair.weight, &repair.seen})
      tensor->sub_(at::matmul(tensor->index_select(2, columns), step));
    repair.inverse.sub_(at::matmul(rows.transpose(1, 2), step));
    // Rounding leaves traces where zeros belong; they would grow in the steps that follow.
    repair.weight.index_fill_(2, columns, 0);
    repair.seen.index_fill_(2, columns, 0);
    repair.inverse.index_fill_(1, columns, 0).index_fill_(2, columns, 0);
  }
  const auto per_group = repair.weight.size(1);
  for (std::size_t o = 0; o < outputs_.size(); ++o) {
    if (outputs_[o] != group) continue;
    const auto g = static_cast<std::int64_t>(o) / per_group, row = static_cast<std::int64_t>(o) % per_group;
    const at::Tensor gone = repair.weight.select(0, g).select(0, row);
    repair.seen.select(0, g).sub_(at::outer(sensitivity_.select(0, g).select(1, row), gone));
    gone.zero_();
  }
}

}  // namespace quboprune
