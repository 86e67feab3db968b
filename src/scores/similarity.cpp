#include "scores/similarity.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>

#include "core/index.h"
#include "scores/gates.h"

namespace quboprune {

SimilaritySums::SimilaritySums(const ChannelGroups& groups)
    : groups_(groups), layer_groups_(groups.layers().size() + 1), counts_(at_index(groups.size()), 0.0) {
  for (int g = 0; g < groups.size(); ++g) {
    const int layer = groups.layer_of(g);
    layer_groups_[layer < 0 ? groups.layers().size() : at_index(layer)].push_back(g);
  }
  for (const auto& list : layer_groups_) {
    const auto m = static_cast<std::int64_t>(list.size());
    products_.push_back(at::zeros({m, m}, at::kDouble));
  }
}

std::vector<SimilaritySums::Part> SimilaritySums::parts_of(const GatePoint& gate) const {
  std::map<int, std::map<int, std::vector<std::int64_t>>> indices;  // layer, group: places on the axis
  for (std::size_t i = 0; i < gate.groups.size(); ++i) {
    const int g = gate.groups[i];
    if (g < 0) continue;
    const int layer =
        groups_.layer_of(g) < 0 ? static_cast<int>(groups_.layers().size()) : groups_.layer_of(g);
    indices[layer][g].push_back(static_cast<std::int64_t>(i));
  }
  std::vector<Part> parts;
  for (const auto& [layer, by_group] : indices) {
    const auto& list = layer_groups_[at_index(layer)];
    std::size_t most = 0;
    for (const auto& [g, places] : by_group) most = std::max(most, places.size());
    // Groups that hold as many indices as each other are compared index by index.
    Part part{layer, {}, {}};
    std::vector<std::vector<std::int64_t>> members(most);
    for (const auto& [g, places] : by_group) {
      if (places.size() != most) continue;
      part.places.push_back(std::lower_bound(list.begin(), list.end(), g) - list.begin());
      for (std::size_t k = 0; k < most; ++k) members[k].push_back(places[k]);
    }
    for (const auto& m : members) {
      part.members.push_back(at::tensor(m, at::kLong));
      part.sums.push_back(at::zeros({static_cast<std::int64_t>(m.size())}, at::kDouble));
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
    const bool whole = part.members.size() == 1 && part.members[0].numel() == rows.size(1);
    for (std::size_t k = 0; k < part.members.size(); ++k) {
      const at::Tensor x = whole ? rows : rows.index_select(1, part.members[k]);
      if (part.shifts.size() == k) part.shifts.push_back(x.mean(0));
      const at::Tensor shifted = x - part.shifts[k];
      part.sums[k] += shifted.mean(0).to(at::kDouble) * count;
      add_to(products_[at_index(part.layer)], part, at::mm(shifted.t(), shifted).to(at::kDouble));
    }
    for (auto p : part.places) {
      counts_[at_index(layer_groups_[at_index(part.layer)][static_cast<std::size_t>(p)])] +=
          count * static_cast<double>(part.members.size());
    }
  }
}

std::vector<at::Tensor> SimilaritySums::corrected(bool centred) const {
  std::vector<at::Tensor> result;
  for (const auto& products : products_) result.push_back(products.clone());
  for (const auto& [gate, parts] : parts_) {
    for (const auto& part : parts) {
      for (std::size_t k = 0; k < part.sums.size() && k < part.shifts.size(); ++k) {
        const at::Tensor& sum = part.sums[k];
        const at::Tensor shift = part.shifts[k].to(at::kDouble);
        // sum of (y + s)(y + s)' = sum of yy' + sum s' + s sum' + rows ss'; about the mean it is yy' - sum
        // sum'/rows.
        add_to(result[at_index(part.layer)], part,
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
  const auto normalised = [](const at::Tensor& products, const at::Tensor& squares) {
    const at::Tensor norm = products.diagonal().clamp_min(0).sqrt();
    const at::Tensor says = (norm > 1e-12).logical_and(products.diagonal() > kRounding * squares);
    const at::Tensor scale = at::where(says, 1 / norm.clamp_min(1e-12), at::zeros_like(norm));
    const at::Tensor scaled = products * scale.unsqueeze(0) * scale.unsqueeze(1);
    const at::Tensor result = (0.5 * (scaled + scaled.t())).contiguous();
    const auto* data = static_cast<const double*>(result.data_ptr());
    return std::vector<double>(data, data + result.numel());
  };
  const auto whole = corrected(false);
  const auto centred = corrected(true);
  std::vector<SimilarityBlock> result;
  for (std::size_t l = 0; l < layer_groups_.size(); ++l) {
    if (layer_groups_[l].size() < 2) continue;
    result.push_back({layer_groups_[l], normalised(whole[l], whole[l].diagonal()),
                      normalised(centred[l], whole[l].diagonal())});
  }
  return result;
}

std::vector<double> SimilaritySums::energy() const {
  std::vector<double> result(counts_.size(), 0.0);
  const auto whole = corrected(false);
  for (std::size_t l = 0; l < layer_groups_.size(); ++l) {
    const auto products = whole[l].accessor<double, 2>();
    for (std::size_t i = 0; i < layer_groups_[l].size(); ++i) {
      const auto g = at_index(layer_groups_[l][i]);
      if (counts_[g] > 0)
        result[g] = products[static_cast<std::int64_t>(i)][static_cast<std::int64_t>(i)] / counts_[g];
    }
  }
  return result;
}

}  // namespace quboprune
