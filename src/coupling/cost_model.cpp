#include "quboprune/cost_model.h"

#include <algorithm>
#include <set>

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
  term.shares = shares_a_group(term);
  (cost == Cost::params ? parameters_ : macs_).push_back(std::move(term));
}

bool CostModel::shares_a_group(const Term& term) const {
  std::set<int> seen;
  for (int f : term.factors) {
    for (const auto& [group, count] : factors_[static_cast<std::size_t>(f)].groups) {
      if (!seen.insert(group).second) return true;
    }
  }
  return false;
}

const std::vector<CostModel::Term>& CostModel::terms(Cost cost) const {
  check(cost != Cost::filters, "filters are counted, not added up from terms");
  return cost == Cost::params ? parameters_ : macs_;
}

std::vector<double> CostModel::sizes(const Mask& mask) const {
  if (static_cast<int>(mask.size()) != groups_)
    throw InputError("a mask of " + std::to_string(mask.size()) + " entries for the costs of " +
                     std::to_string(groups_) + " groups");
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
  return cost == Cost::filters ? kept_count(mask) : value(cost, sizes(mask));
}

double CostModel::value(Cost cost, const std::vector<double>& size) const {
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
  std::vector<double> slope(factors_.size(), 0.0);  // by one index more on an axis
  for (const auto& term : terms(cost)) {
    if (term.shares) {
      add_shared_marginals(term, size, mask, result);
      continue;
    }
    for (std::size_t i = 0; i < term.factors.size(); ++i) {
      double others = term.coefficient;
      for (std::size_t j = 0; j < term.factors.size(); ++j) {
        if (j != i) others *= size[static_cast<std::size_t>(term.factors[j])];
      }
      slope[static_cast<std::size_t>(term.factors[i])] += others;
    }
  }
  for (std::size_t f = 0; f < factors_.size(); ++f) {
    for (const auto& [group, count] : factors_[f].groups)
      result[static_cast<std::size_t>(group)] += slope[f] * count;
  }
  return result;
}

/// A term in which a group counts in several factors isn't linear in that group's count.
void CostModel::add_shared_marginals(const Term& term, const std::vector<double>& size, const Mask& mask,
                                     std::vector<double>& result) const {
  std::map<int, std::pair<double, double>> products;  // by group: with it kept, without it
  for (int f : term.factors) {
    for (const auto& entry : factors_[static_cast<std::size_t>(f)].groups)
      products[entry.first] = {term.coefficient, term.coefficient};
  }
  for (auto& [group, product] : products) {
    const bool kept = mask[static_cast<std::size_t>(group)] != 0;
    for (int f : term.factors) {
      int count = 0;
      const auto& groups = factors_[static_cast<std::size_t>(f)].groups;
      const auto at = std::lower_bound(groups.begin(), groups.end(), std::pair{group, 0});
      if (at != groups.end() && at->first == group) count = at->second;
      product.first *= size[static_cast<std::size_t>(f)] + (kept ? 0 : count);
      product.second *= size[static_cast<std::size_t>(f)] - (kept ? count : 0);
    }
    result[static_cast<std::size_t>(group)] += product.first - product.second;
  }
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
