#include "multiples/tied_counts.h"

#include <algorithm>

namespace quboprune {
namespace {

constexpr std::size_t kMostStates = 20000;  // that are explored before a bundle
constexpr std::size_t kBeam = 4000;         // that are followed with their worth

int packed(int remainder, bool all, bool any) {
  return remainder * 4 + (all ? 2 : 0) + (any ? 1 : 0);
}

/// A way so far, and its numbers.
struct Way {
  double worth = 0;
  std::vector<int> kept;
};

/// Of each total the best few.
template <typename State>
void thin(std::map<int, std::map<State, Way>>& ways) {
  std::size_t count = 0;
  for (const auto& [total, states] : ways) count += states.size();
  if (count <= kBeam) return;
  const std::size_t quota = std::max<std::size_t>(1, kBeam / ways.size());
  for (auto& [total, states] : ways) {
    if (states.size() <= quota) continue;
    std::vector<typename std::map<State, Way>::iterator> order;
    for (auto way = states.begin(); way != states.end(); ++way) order.push_back(way);
    const auto rest = order.begin() + static_cast<std::ptrdiff_t>(quota);
    std::nth_element(order.begin(), rest, order.end(),
                     [](const auto& a, const auto& b) { return a->second.worth > b->second.worth; });
    std::for_each(rest, order.end(), [&](const auto& way) { states.erase(way); });
  }
}

}  // namespace

TiedCounts::TiedCounts(std::vector<int> sizes, std::vector<CountDemand> demands, int multiple)
    : sizes_(std::move(sizes)), demands_(std::move(demands)), multiple_(multiple), uses_(sizes_.size()) {
  for (std::size_t d = 0; d < demands_.size(); ++d) {
    for (const auto& [bundle, each] : demands_[d].bundles)
      uses_[static_cast<std::size_t>(bundle)].push_back(
          {d, each, bundle == demands_[d].bundles.back().first});
  }
  explore();
}

TiedCounts::State TiedCounts::start() const {
  State state;
  for (const auto& d : demands_) state.push_back(packed(d.fixed % multiple_, true, d.fixed > 0));
  return state;
}

/// Moves past a bundle; false if a demand that ends there isn't met.
bool TiedCounts::take(State& state, std::size_t bundle, int kept) const {
  for (const Use& use : uses_[bundle]) {
    int& now = state[use.demand];
    const int remainder = (now / 4 + kept * use.each) % multiple_;
    const bool all = (now & 2) != 0 && kept == sizes_[bundle];
    const bool any = (now & 1) != 0 || kept > 0;
    now = packed(remainder, all, any);
    if (!use.last) continue;
    if (demands_[use.demand].even && remainder != 0 && !all) return false;
    if (demands_[use.demand].filled && !any) return false;
    now = 0;
  }
  return true;
}

/// Numbers to keep that stand for all as far as demands are concerned: none, each remainder, all.
std::vector<int> TiedCounts::distinct_counts(std::size_t bundle) const {
  std::vector<int> counts;
  for (int k = 0; k <= std::min(multiple_, sizes_[bundle] - 1); ++k) counts.push_back(k);
  counts.push_back(sizes_[bundle]);
  return counts;
}

/// What can be reached, then what of it leads to the end. The way that keeps all is never left out.
void TiedCounts::explore() {
  reachable_.assign(sizes_.size() + 1, {});
  State all = start();
  reachable_[0][all] = false;
  for (std::size_t b = 0; b < sizes_.size(); ++b) {
    take(all, b, sizes_[b]);
    reachable_[b + 1][all] = false;
    for (const auto& [state, leads] : reachable_[b]) {
      for (const int k : distinct_counts(b)) {
        State next = state;
        if (take(next, b, k) && reachable_[b + 1].size() < kMostStates) reachable_[b + 1][next] = false;
      }
    }
  }
  reducible_.assign(sizes_.size(), false);
  for (auto& [state, leads] : reachable_.back()) leads = true;
  for (std::size_t b = sizes_.size(); b-- > 0;) {
    for (auto& [state, leads] : reachable_[b]) {
      for (const int k : distinct_counts(b)) {
        State next = state;
        if (!take(next, b, k)) continue;
        const auto found = reachable_[b + 1].find(next);
        if (found == reachable_[b + 1].end() || !found->second) continue;
        leads = true;
        if (k < sizes_[b]) reducible_[b] = true;
      }
    }
  }
}

std::vector<CountChoice> TiedCounts::choices(const std::vector<std::vector<double>>& worth) const {
  std::map<int, std::map<State, Way>> ways;
  ways[0][start()] = {};
  for (std::size_t b = 0; b < sizes_.size(); ++b) {
    std::map<int, std::map<State, Way>> next_ways;
    for (const auto& [total, states] : ways) {
      for (const auto& [state, way] : states) {
        for (int k = 0; k <= sizes_[b]; ++k) {
          State next = state;
          if (!take(next, b, k)) continue;
          const auto found = reachable_[b + 1].find(next);
          if (found == reachable_[b + 1].end() || !found->second) continue;
          const double sum = way.worth + worth[b][static_cast<std::size_t>(k)];
          const auto [entry, fresh] = next_ways[total + k].try_emplace(std::move(next));
          if (!fresh && entry->second.worth >= sum) continue;
          entry->second.worth = sum;
          entry->second.kept = way.kept;
          entry->second.kept.push_back(k);
        }
      }
    }
    thin(next_ways);
    ways = std::move(next_ways);
  }
  std::vector<CountChoice> result;
  for (auto& [total, states] : ways) {
    const auto best = std::max_element(states.begin(), states.end(), [](const auto& x, const auto& y) {
      return x.second.worth < y.second.worth;
    });
    result.push_back({std::move(best->second.kept), total, best->second.worth});
  }
  return result;
}

}  // namespace quboprune
