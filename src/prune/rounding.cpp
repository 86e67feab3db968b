#include "prune/rounding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "quboprune/error.h"

namespace quboprune {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

/// Groups that count together, the most wanted first, and how many of them may be kept.
struct Ladder {
  std::vector<int> groups;
  std::vector<double> kept_value;  ///< by number kept: what that is worth
  std::vector<int> counts;         ///< ascending
};

/// Channels of the layer that stay anyway count towards the multiple.
int frozen_in(const ChannelGroups& groups, int layer) {
  if (layer < 0) return 0;
  const auto& list = groups.layers()[at(layer)].groups;
  return static_cast<int>(std::count(list.begin(), list.end(), -1));
}

/// A layer's groups, parted where an axis elsewhere holds but some of them (halves that are split): each part
/// keeps channels of its own, so that no axis is emptied.
std::vector<std::vector<int>> parts_of(const std::vector<int>& layer,
                                       const std::vector<std::vector<int>>& covers) {
  std::map<std::vector<bool>, std::vector<int>> parts;
  std::vector<const std::vector<int>*> some;
  for (const auto& set : covers) {
    const auto inside = std::count_if(layer.begin(), layer.end(),
                                      [&](int g) { return std::binary_search(set.begin(), set.end(), g); });
    if (inside > 0 && inside < static_cast<std::ptrdiff_t>(layer.size())) some.push_back(&set);
  }
  for (int g : layer) {
    std::vector<bool> held;
    for (const auto* set : some) held.push_back(std::binary_search(set->begin(), set->end(), g));
    parts[held].push_back(g);
  }
  std::vector<std::vector<int>> result;
  for (auto& [held, part] : parts) result.push_back(std::move(part));
  return result;
}

/// How many of the layer's channels each group holds: several in grouped convolutions and before a pixel
/// shuffle.
int channels_each(const ChannelGroups& groups, int layer, int group) {
  if (layer < 0) return 1;
  const auto& list = groups.layers()[at(layer)].groups;
  return std::max(1, static_cast<int>(std::count(list.begin(), list.end(), group)));
}

/// Do the groups hold all of some axis, which mustn't be emptied?
bool makes_an_axis(const std::vector<int>& set, const std::vector<std::vector<int>>& covers) {
  return std::any_of(covers.begin(), covers.end(), [&](const auto& cover) {
    return std::all_of(cover.begin(), cover.end(),
                       [&](int g) { return std::binary_search(set.begin(), set.end(), g); });
  });
}

/// How many of `size` groups may stay: so that the channels are a multiple, or all of them.
std::vector<int> counts_of(int size, int each, int frozen, bool keeps_one, int multiple) {
  std::vector<int> counts;
  for (int k = keeps_one ? 1 : 0; k <= size; ++k) {
    if ((k * each + frozen) % multiple == 0) counts.push_back(k);
  }
  if (counts.empty() || counts.back() != size) counts.push_back(size);
  return counts;
}

std::vector<Ladder> ladders(const Mask& mask, const Qubo& qubo, const ChannelGroups& groups, int multiple) {
  std::vector<double> couplings;
  std::vector<double> fields;
  qubo.to_dense(couplings, fields);
  const std::size_t n = mask.size();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) fields[i] += mask[j] != 0 ? couplings[i * n + j] : 0;
  }
  std::map<int, std::vector<int>> by_layer;
  for (int g = 0; g < groups.size(); ++g) by_layer[groups.layer_of(g)].push_back(g);
  const auto covers = groups.covers();
  std::vector<std::pair<int, std::vector<int>>> sets;
  for (const auto& [layer, all] : by_layer) {
    for (auto& part : parts_of(all, covers)) sets.emplace_back(layer, std::move(part));
  }
  std::vector<Ladder> result;
  for (std::size_t s = 0; s < sets.size(); ++s) {
    const auto& [layer, set] = sets[s];
    Ladder ladder;
    ladder.groups = set;
    std::stable_sort(ladder.groups.begin(), ladder.groups.end(),
                     [&](int a, int b) { return fields[at(a)] < fields[at(b)]; });
    ladder.kept_value.push_back(0);
    for (int g : ladder.groups) ladder.kept_value.push_back(ladder.kept_value.back() - fields[at(g)]);
    // Channels that stay anyway count with the layer's first set.
    const int frozen = s > 0 && sets[s - 1].first == layer ? 0 : frozen_in(groups, layer);
    ladder.counts = counts_of(static_cast<int>(set.size()), channels_each(groups, layer, set.front()), frozen,
                              makes_an_axis(set, covers), multiple);
    result.push_back(std::move(ladder));
  }
  return result;
}

Mask mask_of(const std::vector<Ladder>& all, const std::vector<int>& chosen, std::size_t n) {
  Mask mask(n, 0);
  for (std::size_t l = 0; l < all.size(); ++l) {
    for (int k = 0; k < chosen[l]; ++k) mask[at(all[l].groups[at(k)])] = 1;
  }
  return mask;
}

/// Counts of most value that add up to `count`, or to the largest sum below it.
std::vector<int> by_programming(const std::vector<Ladder>& all, int count) {
  const double none = -std::numeric_limits<double>::infinity();
  std::vector<std::vector<double>> best(all.size() + 1, std::vector<double>(at(count) + 1, none));
  std::vector<std::vector<int>> taken(all.size(), std::vector<int>(at(count) + 1, -1));
  best[0][0] = 0;
  for (std::size_t l = 0; l < all.size(); ++l) {
    for (int sum = 0; sum <= count; ++sum) {
      if (best[l][at(sum)] == none) continue;
      for (int k : all[l].counts) {
        if (sum + k > count) break;
        const double value = best[l][at(sum)] + all[l].kept_value[at(k)];
        if (value > best[l + 1][at(sum + k)]) {
          best[l + 1][at(sum + k)] = value;
          taken[l][at(sum + k)] = k;
        }
      }
    }
  }
  int sum = count;
  while (sum >= 0 && best[all.size()][at(sum)] == none) --sum;
  if (sum < 0)
    throw InputError(
        "the target can't be met with --round-to: the smallest multiples keep more; ask for less or round to "
        "less");
  std::vector<int> chosen(all.size());
  for (std::size_t l = all.size(); l-- > 0;) {
    chosen[l] = taken[l][at(sum)];
    sum -= chosen[l];
  }
  return chosen;
}

/// Starts from whole layers; takes the step down that loses least value for the cost saved until it fits.
std::vector<int> by_ratio(const std::vector<Ladder>& all, const ChannelGroups& groups, Cost kind,
                          double allowed, std::size_t n) {
  std::vector<std::size_t> step;
  std::vector<int> chosen;
  for (const auto& ladder : all) {
    step.push_back(ladder.counts.size() - 1);
    chosen.push_back(ladder.counts.back());
  }
  double now = groups.cost().value(kind, mask_of(all, chosen, n));
  while (now > allowed) {
    std::size_t best = all.size();
    double best_ratio = std::numeric_limits<double>::infinity();
    double best_cost = 0;
    for (std::size_t l = 0; l < all.size(); ++l) {
      if (step[l] == 0) continue;
      auto lower = chosen;
      lower[l] = all[l].counts[step[l] - 1];
      const double cost = groups.cost().value(kind, mask_of(all, lower, n));
      const double lost = all[l].kept_value[at(chosen[l])] - all[l].kept_value[at(lower[l])];
      const double ratio = lost / std::max(now - cost, 1e-9);
      if (ratio < best_ratio) {
        best = l;
        best_ratio = ratio;
        best_cost = cost;
      }
    }
    if (best == all.size())
      throw InputError(
          "the target can't be met with --round-to: the smallest multiples cost more; ask for less or round "
          "to less");
    chosen[best] = all[best].counts[--step[best]];
    now = best_cost;
  }
  return chosen;
}

}  // namespace

Mask rounded(const Mask& mask, const Qubo& qubo, const ChannelGroups& groups, const Target& target,
             int multiple) {
  const auto all = ladders(mask, qubo, groups, multiple);
  const double allowed = allowance(groups, target);
  const auto chosen = target.kind == Cost::filters ? by_programming(all, static_cast<int>(allowed))
                                                   : by_ratio(all, groups, target.kind, allowed, mask.size());
  return mask_of(all, chosen, mask.size());
}

}  // namespace quboprune
