#include "quboprune/cost_model.h"

#include <algorithm>

#include "quboprune/error.h"

namespace quboprune {

Cost cost_from_name(const std::string& name) {
  if (name == "filters") return Cost::filters;
  if (name == "params") return Cost::params;
  if (name == "macs") return Cost::macs;
  throw InputError("target '" + name + "': unknown kind; use filters, params or macs");
}

std::string name_of(Cost cost) {
  return cost == Cost::filters ? "filters" : cost == Cost::params ? "params" : "macs";
}

int CostModel::add_factor(Factor factor) {
  const auto [found, fresh] = numbers_.try_emplace(std::move(factor), static_cast<int>(factors_.size()));
  if (fresh) factors_.push_back(found->first);
  return found->second;
}

void CostModel::add(Cost cost, Term term) {
  (cost == Cost::params ? parameters_ : macs_).push_back(std::move(term));
}

std::vector<double> CostModel::sizes(const Mask& mask) const {
  std::vector<double> result;
  result.reserve(factors_.size());
  for (const auto& factor : factors_) {
    int size = factor.fixed;
    for (const auto& [group, count] : factor.groups)
      size += mask[static_cast<std::size_t>(group)] != 0 ? count : 0;
    result.push_back(size);
  }
  return result;
}

double CostModel::value(Cost cost, const Mask& mask) const {
  if (cost == Cost::filters) return kept_count(mask);
  const auto size = sizes(mask);
  double total = 0;
  for (const auto& term : terms(cost)) {
    double product = term.coefficient;
    for (int f : term.factors) product *= size[static_cast<std::size_t>(f)];
    total += product;
  }
  return total;
}

std::vector<double> CostModel::marginals(Cost cost, const Mask& mask) const {
  std::vector<double> result(static_cast<std::size_t>(groups_), cost == Cost::filters ? 1.0 : 0.0);
  if (cost == Cost::filters) return result;
  const auto size = sizes(mask);
  for (const auto& term : terms(cost)) {
    double product = term.coefficient;
    for (int f : term.factors) product *= size[static_cast<std::size_t>(f)];
    std::map<int, double> with;  // product with the group kept, over the groups that the term touches
    std::map<int, double> without;
    for (int f : term.factors) {
      for (const auto& [group, count] : factors_[static_cast<std::size_t>(f)].groups)
        with[group] = without[group] = term.coefficient;
    }
    for (auto& [group, value] : with) {
      const bool kept = mask[static_cast<std::size_t>(group)] != 0;
      for (int f : term.factors) {
        int count = 0;
        const auto& groups = factors_[static_cast<std::size_t>(f)].groups;
        const auto at = std::lower_bound(groups.begin(), groups.end(), std::pair{group, 0});
        if (at != groups.end() && at->first == group) count = at->second;
        value *= size[static_cast<std::size_t>(f)] + (kept ? 0 : count);
        without[group] *= size[static_cast<std::size_t>(f)] - (kept ? count : 0);
      }
      result[static_cast<std::size_t>(group)] += value - without[group];
    }
  }
  return result;
}

std::vector<std::vector<int>> CostModel::covers() const {
  std::vector<std::vector<int>> result;
  for (const auto& factor : factors_) {
    if (factor.fixed > 0 || factor.groups.empty()) continue;
    std::vector<int> set;
    for (const auto& [group, count] : factor.groups) set.push_back(group);
    result.push_back(std::move(set));
  }
  return result;
}

}  // namespace quboprune
