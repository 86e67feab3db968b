#include "scores/similarity.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <numeric>

#include "core/index.h"
#include "scores/gates.h"

namespace quboprune {

SimilaritySums::SimilaritySums(const ChannelGroups& groups, bool centred)
    : groups_(groups),
      centred_(centred),
      layer_groups_(groups.layers().size() + 1),
      squares_(at_index(groups.size()), 0.0),
      counts_(at_index(groups.size()), 0.0) {
  for (int g = 0; g < groups.size(); ++g) {
    const int layer = groups.layer_of(g);
    layer_groups_[layer < 0 ? groups.layers().size() : at_index(layer)].push_back(g);
  }
  for (const auto& list : layer_groups_) {
    const auto m = static_cast<std::int64_t>(list.size() > kMostCompared ? 0 : list.size());
    products_.push_back(at::zeros({m, m}, at::kDouble));
  }
}

std::vector<SimilaritySums::Part> SimilaritySums::parts_of(const GatePoint& gate) const {
  using Places = std::vector<std::int64_t>;
  // Layer and number of places, group: where it is on the axis.
  std::map<std::pair<int, std::size_t>, std::map<int, Places>> alike;
  std::map<int, Places> places;
  for (std::size_t i = 0; i < gate.groups.size(); ++i)
    if (gate.groups[i] >= 0) places[gate.groups[i]].push_back(static_cast<std::int64_t>(i));
  for (auto& [g, on_axis] : places) {
    const int layer = groups_.layer_of(g);
    alike[{layer < 0 ? static_cast<int>(groups_.layers().size()) : layer, on_axis.size()}][g] = on_axis;
  }
  Places whole_axis(gate.groups.size());
  std::iota(whole_axis.begin(), whole_axis.end(), 0);
  std::vector<Part> parts;
  for (const auto& [layer_and_count, by_group] : alike) {
    const auto& [layer, count] = layer_and_count;
    const auto& list = layer_groups_[at_index(layer)];
    Part part{layer, {}, {}};
    for (const auto& [g, on_axis] : by_group)
      part.places.push_back(std::lower_bound(list.begin(), list.end(), g) - list.begin());
    for (std::size_t k = 0; k < count; ++k) {
      Places members;
      for (const auto& [g, on_axis] : by_group) members.push_back(on_axis[k]);
      part.whole_axis = members == whole_axis;
      part.members.push_back(at::tensor(members, at::kLong));
      part.sums.push_back(at::zeros({static_cast<std::int64_t>(members.size())}, at::kDouble));
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

void SimilaritySums::add_to(at::Tensor& matrix, const Part& part, const at::Tensor& products) const {
  const at::Tensor places = at::tensor(part.places, at::kLong);
  const at::Tensor flat = (places.unsqueeze(1) * matrix.size(0) + places.unsqueeze(0)).reshape(-1);
  matrix.view(-1).index_add_(0, flat, products.reshape(-1));
}

void SimilaritySums::add(const GatePoint& gate, const at::Tensor& activation) {
  const auto [found, fresh] = parts_.try_emplace(&gate);
  if (fresh) found->second = parts_of(gate);
  const at::Tensor rows = rows_of(activation.detach(), gate.axis);
  const auto count = static_cast<double>(rows.size(0));
  for (auto& part : found->second) {
    part.rows += count;
    for (std::size_t k = 0; k < part.members.size(); ++k) {
      const at::Tensor x = part.whole_axis ? rows : rows.index_select(1, part.members[k]);
      add_squares(part, x);
      if (products_[at_index(part.layer)].numel() == 0) continue;
      if (part.shifts.size() == k) part.shifts.push_back(x.mean(0));
      const at::Tensor shifted = x - part.shifts[k];
      part.sums[k] += shifted.mean(0).to(at::kDouble) * count;
      add_to(products_[at_index(part.layer)], part, at::mm(shifted.t(), shifted).to(at::kDouble));
    }
  }
}

void SimilaritySums::add_squares(const Part& part, const at::Tensor& x) {
  const at::Tensor squares = x.square().sum(0).to(at::kDouble).contiguous();
  const auto* data = static_cast<const double*>(squares.data_ptr());
  for (std::size_t p = 0; p < part.places.size(); ++p) {
    const auto g = at_index(layer_groups_[at_index(part.layer)][static_cast<std::size_t>(part.places[p])]);
    squares_[g] += data[p];
    counts_[g] += static_cast<double>(x.size(0));
  }
}

at::Tensor SimilaritySums::corrected(std::size_t layer, bool centred) const {
  at::Tensor result = products_[layer].clone();
  for (const auto& [gate, parts] : parts_) {
    for (const auto& part : parts) {
      if (at_index(part.layer) != layer) continue;
      for (std::size_t k = 0; k < part.sums.size() && k < part.shifts.size(); ++k) {
        const at::Tensor& sum = part.sums[k];
        const at::Tensor shift = part.shifts[k].to(at::kDouble);
        // sum of (y + s)(y + s)' = sum of yy' + sum s' + s sum' + rows ss'; about the mean it is yy' - sum
        // sum'/rows.
        add_to(result, part,
               centred ? -at::outer(sum, sum) / part.rows
                       : at::outer(sum, shift) + at::outer(shift, sum) + part.rows * at::outer(shift, shift));
      }
    }
  }
  return result;
}

std::vector<SimilarityBlock> SimilaritySums::blocks() const {
  // What is left of a constant channel about its mean is the rounding of float32, (2^-24)² of its square.
  constexpr double kRounding = 1e-13;
  const auto normalised = [](at::Tensor products, const std::vector<double>& squares) {
    const at::Tensor own = products.diagonal().clone();
    const at::Tensor norm = own.clamp_min(0).sqrt();
    const at::Tensor says = (norm > 1e-12).logical_and(own > kRounding * at::tensor(squares, at::kDouble));
    const at::Tensor scale = at::where(says, 1 / norm.clamp_min(1e-12), at::zeros_like(norm));
    products.mul_(scale.unsqueeze(0)).mul_(scale.unsqueeze(1));
    const at::Tensor result = ((products + products.t()) * 0.5).to(at::kFloat).contiguous();
    const auto* data = static_cast<const float*>(result.data_ptr());
    return std::vector<float>(data, data + result.numel());
  };
  std::vector<SimilarityBlock> result;
  for (std::size_t l = 0; l < layer_groups_.size(); ++l) {
    if (products_[l].numel() < 4) continue;  // fewer than two groups
    std::vector<double> squares;
    for (const int g : layer_groups_[l]) squares.push_back(squares_[at_index(g)]);
    result.push_back({layer_groups_[l], normalised(corrected(l, false), squares), {}});
    if (centred_) result.back().pearson = normalised(corrected(l, true), squares);
  }
  return result;
}

std::vector<double> SimilaritySums::energy() const {
  std::vector<double> result(counts_.size(), 0.0);
  for (std::size_t g = 0; g < counts_.size(); ++g)
    if (counts_[g] > 0) result[g] = squares_[g] / counts_[g];
  return result;
}

}  // namespace quboprune
