#include "elimination/repaired_layer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <map>

namespace quboprune {
namespace {

bool kept(const Mask& mask, int group) {
  return group < 0 || mask[static_cast<std::size_t>(group)] != 0;
}

}  // namespace

RepairedLayer::RepairedLayer(InputGram&& gram, const std::vector<int>& inputs, std::vector<int> outputs,
                             at::Tensor sensitivity, double ridge)
    : outputs_(std::move(outputs)),
      gram_(std::move(gram.gram)),
      weight_(std::move(gram.weight)),
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
  for (const auto& [group, list] : by_group) {
    input_groups_.push_back(group);
    columns_.push_back(at::tensor(list, at::kLong));
  }
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

}  // namespace quboprune
