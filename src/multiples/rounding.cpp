#include "multiples/rounding.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "core/index.h"
#include "multiples/step_search.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

using Choices = std::vector<std::vector<CountChoice>>;  // by part, ascending numbers of groups

[[noreturn]] void refuse(double least, double all, double allowed) {
  throw UnmetTarget(fmt::format(
      "the target can't be met with --round-to: the smallest multiples keep more: {:.1f} % where the "
      "target leaves {:.1f} %; ask for less or round to less",
      100 * least / all, 100 * allowed / all));
}

/// By part the choice of most worth in all, of `count` groups or the largest possible number below it.
std::vector<std::size_t> by_programming(const Choices& choices, int count, int all) {
  const double none = -std::numeric_limits<double>::infinity();
  std::vector<std::vector<double>> best(choices.size() + 1, std::vector<double>(at_index(count) + 1, none));
  std::vector<std::vector<std::size_t>> taken(choices.size(), std::vector<std::size_t>(at_index(count) + 1));
  best[0][0] = 0;
  int least = 0;
  for (std::size_t p = 0; p < choices.size(); ++p) {
    least += choices[p].front().total;
    for (int sum = 0; sum <= count; ++sum) {
      if (best[p][at_index(sum)] == none) continue;
      for (std::size_t c = 0; c < choices[p].size() && sum + choices[p][c].total <= count; ++c) {
        const double worth = best[p][at_index(sum)] + choices[p][c].worth;
        const std::size_t to = at_index(sum + choices[p][c].total);
        if (worth <= best[p + 1][to]) continue;
        best[p + 1][to] = worth;
        taken[p][to] = c;
      }
    }
  }
  int sum = count;
  while (sum >= 0 && best.back()[at_index(sum)] == none) --sum;
  if (sum < 0) refuse(least, all, count);
  std::vector<std::size_t> chosen(choices.size());
  for (std::size_t p = choices.size(); p-- > 0;) {
    chosen[p] = taken[p][at_index(sum)];
    sum -= choices[p][chosen[p]].total;
  }
  return chosen;
}

}  // namespace

Rounder::Rounder(const ChannelGroups& groups, const Target& target, int multiple, GivesWay gives_way)
    : groups_(groups),
      kind_(target.kind),
      allowed_(allowance(groups, target)),
      gives_way_(gives_way),
      counts_(groups, multiple) {}

bool Rounder::attainable() const {
  std::vector<std::vector<double>> nothing;
  for (const auto& bundle : counts_.bundles()) nothing.emplace_back(bundle.size() + 1, 0.0);
  const Choices all = choices(nothing);
  if (kind_ != Cost::filters) return StepSearch(groups_.cost(), kind_, counts_, all).lower_to(allowed_);
  int least = 0;
  for (const auto& part : all) least += part.front().total;
  return least <= allowed_;
}

Choices Rounder::choices(const std::vector<std::vector<double>>& sums) const {
  Choices result;
  for (const auto& part : counts_.parts()) {
    std::vector<std::vector<double>> own;
    for (int b : part.bundles) own.push_back(sums[at_index(b)]);
    result.push_back(part.counts.choices(own));
  }
  return result;
}

Mask Rounder::best(const std::vector<double>& worth) const {
  // Of each bundle those of most worth first; what keeping so many is worth.
  auto order = counts_.bundles();
  std::vector<std::vector<double>> sums;
  for (auto& bundle : order) {
    std::stable_sort(bundle.begin(), bundle.end(),
                     [&](int a, int b) { return worth[at_index(a)] > worth[at_index(b)]; });
    auto& sum = sums.emplace_back(1, 0.0);
    for (int g : bundle) sum.push_back(sum.back() + worth[at_index(g)]);
  }
  const Choices possible = choices(sums);
  std::vector<std::size_t> chosen;
  if (kind_ == Cost::filters) {
    chosen = by_programming(possible, static_cast<int>(allowed_), groups_.size());
  } else {
    StepSearch search(groups_.cost(), kind_, counts_, possible);
    if (!search.lower_to(allowed_))
      refuse(search.cost(), groups_.cost().value(kind_, Mask(at_index(groups_.size()), 1)), allowed_);
    search.improve(allowed_);
    chosen = search.chosen();
  }
  Mask mask(at_index(groups_.size()), 0);
  for (std::size_t p = 0; p < possible.size(); ++p) {
    const auto& part = counts_.parts()[p].bundles;
    for (std::size_t b = 0; b < part.size(); ++b) {
      const auto& bundle = order[at_index(part[b])];
      for (int k = 0; k < possible[p][chosen[p]].kept[b]; ++k) mask[at_index(bundle[at_index(k)])] = 1;
    }
  }
  if (kind_ == Cost::filters && gives_way_ == GivesWay::multiple) take_up(mask, worth);
  return mask;
}

void Rounder::take_up(Mask& mask, const std::vector<double>& worth) const {
  struct Place {
    std::vector<int> groups;
    int layers = 0;
    double worth = 0;
    /// All of what is left in one place, then as few uneven layers as can be, then the most worth.
    bool operator<(const Place& other) const {
      return std::tuple(groups.size(), -layers, worth) <
             std::tuple(other.groups.size(), -other.layers, other.worth);
    }
  };
  while (const auto left = at_index(static_cast<int>(allowed_) - kept_count(mask))) {
    Place best;
    for (const auto& bundle : counts_.bundles()) {
      Place place;
      for (int g : bundle)
        if (mask[at_index(g)] == 0) place.groups.push_back(g);
      std::stable_sort(place.groups.begin(), place.groups.end(),
                       [&](int a, int b) { return worth[at_index(a)] > worth[at_index(b)]; });
      place.groups.resize(std::min(left, place.groups.size()));
      for (int g : place.groups) place.worth += worth[at_index(g)];
      place.layers = static_cast<int>(std::ranges::count_if(groups_.layers(), [&](const Layer& layer) {
        return std::ranges::find(layer.groups, bundle.front()) != layer.groups.end();
      }));
      if (best < place) best = std::move(place);
    }
    if (best.groups.empty()) return;
    for (int g : best.groups) mask[at_index(g)] = 1;
  }
}

Mask Rounder::rounded(const Mask& mask, const Qubo& qubo) const {
  constexpr int kMostPasses = 5;
  const auto from = [&](const Mask& x) {
    auto worth = qubo.slopes(x);
    for (double& w : worth) w = -w;
    return best(worth);
  };
  Mask result = from(mask);
  double energy = qubo.energy(result);
  for (int pass = 1; pass < kMostPasses; ++pass) {
    Mask next = from(result);
    const double value = qubo.energy(next);
    if (!(value < energy)) break;
    result = std::move(next);
    energy = value;
  }
  return result;
}

Mask Rounder::nearest(const Mask& mask, const Qubo& qubo) const {
  constexpr double kTies = 1e-3;  // of a group's difference: all slopes together decide between few
  auto worth = qubo.slopes(mask);
  double largest = 0;
  for (double w : worth) largest = std::max(largest, std::abs(w));
  for (std::size_t g = 0; g < worth.size(); ++g)
    worth[g] = (mask[g] != 0 ? 1 : -1) - (largest > 0 ? kTies * worth[g] / largest : 0);
  return best(worth);
}

int uneven_layers(const ChannelGroups& groups, const Mask& mask, int multiple) {
  return static_cast<int>(std::ranges::count_if(groups.layers(), [&](const Layer& layer) {
    const int kept = places_left(layer.groups, mask);
    return layer.weighted && kept != std::ssize(layer.groups) && kept % multiple != 0;
  }));
}

}  // namespace quboprune
