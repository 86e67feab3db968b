#include "multiples/even_counts.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "core/index.h"

namespace quboprune {
namespace {

CostModel::Factor outputs_of(const Layer& layer) {
  CostModel::Factor axis;
  std::map<int, int> counts;
  for (int g : layer.groups) ++(g < 0 ? axis.fixed : counts[g]);
  axis.groups.assign(counts.begin(), counts.end());
  return axis;
}

bool within(const CountDemand& demand, const std::vector<int>& part) {
  return std::binary_search(part.begin(), part.end(), demand.bundles.front().first);
}

}  // namespace

EvenCounts::EvenCounts(const ChannelGroups& groups, int multiple, Unsolved)
    : multiple_(multiple), bundle_of_(at_index(groups.size()), -1) {
  find_bundles(groups);
}

bool EvenCounts::quick(const ChannelGroups& groups, int multiple) {
  constexpr std::size_t kMostTied = 12;
  const EvenCounts counts(groups, multiple, Unsolved{});
  const auto parts = counts.tied(counts.without_implied(counts.demands_of(groups)));
  return std::ranges::all_of(parts, [](const auto& part) { return part.size() <= kMostTied; });
}

EvenCounts::EvenCounts(const ChannelGroups& groups, int multiple) : EvenCounts(groups, multiple, Unsolved{}) {
  const auto demands = without_implied(demands_of(groups));
  for (const auto& wide : tied(demands)) {
    const auto kept = compatible(wide, demands);
    for (const auto& part : tied(kept)) {
      if (std::binary_search(wide.begin(), wide.end(), part.front()))
        parts_.push_back({part, counts_of(part, kept)});
    }
  }
}

/// Groups by how many indices of each axis they hold.
void EvenCounts::find_bundles(const ChannelGroups& groups) {
  std::vector<std::vector<std::pair<int, int>>> held(at_index(groups.size()));
  const auto& axes = groups.cost().factors();
  for (std::size_t f = 0; f < axes.size(); ++f) {
    for (const auto& [g, each] : axes[f].groups) held[at_index(g)].emplace_back(static_cast<int>(f), each);
  }
  std::map<std::vector<std::pair<int, int>>, int> numbers;
  for (int g = 0; g < groups.size(); ++g) {
    const auto [found, fresh] = numbers.try_emplace(held[at_index(g)], static_cast<int>(bundles_.size()));
    if (fresh) bundles_.emplace_back();
    bundles_[at_index(found->second)].push_back(g);
    bundle_of_[at_index(g)] = found->second;
  }
}

CountDemand EvenCounts::over_bundles(const CostModel::Factor& axis) const {
  CountDemand demand{axis.fixed, {}};
  std::map<int, int> each;
  for (const auto& [g, count] : axis.groups) each[bundle_of_[at_index(g)]] = count;
  demand.bundles.assign(each.begin(), each.end());
  return demand;
}

std::vector<EvenCounts::Demand> EvenCounts::demands_of(const ChannelGroups& groups) const {
  std::map<CostModel::Factor, Demand> by_axis;
  const auto ask = [&](const CostModel::Factor& axis) -> Demand& {
    return by_axis.try_emplace(axis, Demand{over_bundles(axis), false}).first->second;
  };
  const CostModel& cost = groups.cost();
  for (const auto& term : cost.terms(Cost::macs)) {
    for (int f : term.factors) ask(cost.factors()[at_index(f)]).ask.even = true;
  }
  for (const auto& layer : groups.layers()) {
    if (!layer.weighted) continue;  // heads of attention, which no kernel takes together
    Demand& demand = ask(outputs_of(layer));
    demand.ask.even = demand.required = true;
  }
  for (const auto& set : groups.covers()) {
    CostModel::Factor axis;
    for (int g : set) axis.groups.emplace_back(g, 1);
    ask(axis).ask.filled = true;
  }
  std::vector<Demand> demands;
  for (auto& [axis, demand] : by_axis) {
    if (!demand.ask.bundles.empty()) demands.push_back(std::move(demand));
  }
  // In the network's order: what is decided first is what comes first.
  std::stable_sort(demands.begin(), demands.end(), [](const Demand& a, const Demand& b) {
    return a.ask.bundles.front().first < b.ask.bundles.front().first;
  });
  return demands;
}

/// By bundle a number that every count to come, and that of all, is a multiple of: known where an axis that
/// holds nothing else asks for it and no axis needs another remainder.
std::vector<int> EvenCounts::multiples_known(const std::vector<Demand>& demands) const {
  std::vector<int> known(bundles_.size(), 1);
  std::vector<bool> shifted(bundles_.size(), false);
  for (const auto& d : demands) {
    for (const auto& [b, each] : d.ask.bundles)
      shifted[at_index(b)] = shifted[at_index(b)] || (d.required && d.ask.fixed % multiple_ != 0);
  }
  for (const auto& d : demands) {
    const auto [b, each] = d.ask.bundles.front();
    if (!d.ask.even || d.ask.bundles.size() > 1 || d.ask.fixed % multiple_ != 0 || shifted[at_index(b)])
      continue;
    const int step = multiple_ / std::gcd(multiple_, each);
    const auto size = static_cast<int>(bundles_[at_index(b)].size());
    if (size % step == 0 && (d.required || size > step))
      known[at_index(b)] = std::lcm(known[at_index(b)], step);
  }
  return known;
}

/// Leaves out what single bundles see to already, so that parts stay small.
std::vector<EvenCounts::Demand> EvenCounts::without_implied(const std::vector<Demand>& demands) const {
  const auto known = multiples_known(demands);
  std::set<int> filled;
  for (const auto& d : demands) {
    if (d.ask.filled && d.ask.bundles.size() == 1) filled.insert(d.ask.bundles.front().first);
  }
  std::vector<Demand> result;
  for (Demand d : demands) {
    if (d.ask.bundles.size() > 1) {
      const auto sees_to = [&](const auto& held) {
        return known[at_index(held.first)] * held.second % multiple_ == 0;
      };
      if (d.ask.fixed % multiple_ == 0 && std::all_of(d.ask.bundles.begin(), d.ask.bundles.end(), sees_to))
        d.ask.even = false;
      if (std::any_of(d.ask.bundles.begin(), d.ask.bundles.end(),
                      [&](const auto& held) { return filled.contains(held.first); }))
        d.ask.filled = false;
    } else {
      const auto [b, each] = d.ask.bundles.front();
      if (d.ask.even && d.ask.fixed % multiple_ == 0 && known[at_index(b)] * each % multiple_ == 0)
        d.required = true;
    }
    if (d.ask.even || d.ask.filled) result.push_back(std::move(d));
  }
  return result;
}

/// Bundles that the demands tie, directly or through others; each in some part, ascending.
std::vector<std::vector<int>> EvenCounts::tied(const std::vector<Demand>& demands) const {
  std::vector<int> root(bundles_.size());
  std::iota(root.begin(), root.end(), 0);
  const auto find = [&](int b) {
    while (root[at_index(b)] != b) b = root[at_index(b)] = root[at_index(root[at_index(b)])];
    return b;
  };
  for (const auto& d : demands) {
    for (const auto& [b, each] : d.ask.bundles) root[at_index(find(b))] = find(d.ask.bundles.front().first);
  }
  std::map<int, std::vector<int>> parts;
  for (int b = 0; b < static_cast<int>(bundles_.size()); ++b) parts[find(b)].push_back(b);
  std::vector<std::vector<int>> result;
  for (auto& [r, part] : parts) result.push_back(std::move(part));
  return result;
}

TiedCounts EvenCounts::counts_of(const std::vector<int>& part, const std::vector<Demand>& demands) const {
  std::vector<int> sizes;
  for (int b : part) sizes.push_back(static_cast<int>(bundles_[at_index(b)].size()));
  std::vector<CountDemand> own;
  for (const auto& d : demands) {
    if (!within(d.ask, part)) continue;
    own.push_back(d.ask);
    for (auto& [b, each] : own.back().bundles)
      b = static_cast<int>(std::lower_bound(part.begin(), part.end(), b) - part.begin());
  }
  return {std::move(sizes), std::move(own), multiple_};
}

/// What is required, and of the rest what leaves no bundle whole that could be cut without it.
std::vector<EvenCounts::Demand> EvenCounts::compatible(const std::vector<int>& part,
                                                       const std::vector<Demand>& demands) const {
  std::vector<Demand> kept;
  std::vector<Demand> wished;
  for (const auto& d : demands) {
    if (!within(d.ask, part)) continue;
    if (d.required || !d.ask.even) {
      kept.push_back(d);
    } else {
      wished.push_back(d);
      if (!d.ask.filled) continue;
      kept.push_back(d);
      kept.back().ask.even = false;
    }
  }
  const auto reducible = [&](const std::vector<Demand>& all) {
    const TiedCounts counts = counts_of(part, all);
    int count = 0;
    for (std::size_t k = 0; k < part.size(); ++k) count += counts.reducible(static_cast<int>(k)) ? 1 : 0;
    return count;
  };
  const int possible = wished.empty() ? 0 : reducible(kept);
  for (auto& d : wished) {
    kept.push_back(d);
    if (reducible(kept) < possible) kept.pop_back();
  }
  return kept;
}

}  // namespace quboprune
