#include "solvers/real_total.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <numeric>
#include <vector>

#include "core/shuffle.h"

namespace quboprune {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Up to so many entries are all looked at: 2^20 sums a half.
constexpr std::size_t kMostByHalves = 40, kDrawnForHalves = 36;
/// 150,000 to 300,000 sets of flips are paired with each other: of up to 2, 3 or 4 out of so many entries.
constexpr std::size_t kPairsOf = 547, kTriplesOf = 96, kFoursOf = 52;
/// Beyond so many entries pairs of many lie denser than triples of few.
constexpr std::size_t kTriplesUpTo = 400;
/// Ways to meet the total that are compared by what they do to the objective.
constexpr int kCompared = 2000;
/// Draws of entries; the last ones' are looked at by halves, which changes more of them but fails less often.
constexpr int kDraws = 6, kDrawsOfSmallSets = 4;

/// Entries to flip together, and what that adds to the costs.
struct Flips {
  double cost = 0;
  std::uint64_t code = 0;  ///< one bit an entry, or four places of 16 bits, kNobody where fewer
};
constexpr std::uint64_t kNobody = 0xFFFF;

double missing(const RealTotal& wanted, const Mask& x) {
  double spent = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i] != 0) spent += wanted.costs[i];
  return wanted.total - spent;
}

double cost_of_flip(const RealTotal& wanted, const Mask& x, std::size_t i) {
  return x[i] != 0 ? -wanted.costs[i] : wanted.costs[i];
}

/// Adds what gains most for its cost, or drops what gains least, until less than one cost is missing.
void come_near(const RealTotal& wanted, Mask& x, Rng& rng) {
  const double least = std::max(1e-12 * std::abs(wanted.total), std::numeric_limits<double>::min());
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  shuffle(order, rng);
  std::ranges::stable_sort(order, {},
                           [&](std::size_t i) { return wanted.gains[i] / std::max(wanted.costs[i], least); });
  double left = missing(wanted, x);
  for (const std::size_t i : order) {
    const double cost = cost_of_flip(wanted, x, i);
    const bool helps = left > 0 ? cost > 0 && cost <= left : cost < 0 && left < 0;
    if (!helps) continue;
    x[i] ^= 1;
    left -= cost;
  }
}

/// All sets of flips among `costs`, ascending; bit `shift` stands for the first.
std::vector<Flips> all_sets(std::span<const double> costs, std::size_t shift) {
  std::vector<Flips> sets{{}}, with, merged;
  for (std::size_t k = 0; k < costs.size(); ++k) {
    with = sets;
    for (Flips& set : with) set = {set.cost + costs[k], set.code | std::uint64_t{1} << (k + shift)};
    merged.resize(2 * sets.size());
    std::ranges::merge(sets, with, merged.begin(), {}, &Flips::cost, &Flips::cost);
    sets.swap(merged);
  }
  return sets;
}

/// All sets of up to `most` flips among `costs`, ascending.
std::vector<Flips> small_sets(std::span<const double> costs, std::size_t most) {
  std::vector<Flips> sets{{0, ~std::uint64_t{0}}};
  std::size_t begin = 0;
  for (std::size_t size = 1; size <= most; ++size) {
    const std::size_t end = sets.size();
    for (std::size_t s = begin; s < end; ++s) {
      const std::size_t last = sets[s].code & kNobody;  // the largest place so far
      for (std::size_t k = last == kNobody ? 0 : last + 1; k < costs.size(); ++k)
        sets.push_back({sets[s].cost + costs[k], sets[s].code << 16 | k});
    }
    begin = end;
  }
  std::ranges::sort(sets, {}, &Flips::cost);
  return sets;
}

/// Two lists of sets, one of each makes a way to meet the total.
struct Lists {
  std::vector<std::size_t> entries;  ///< that may be flipped
  bool by_halves = false;
  std::vector<Flips> first, second;  ///< second is empty where it is the first

  const std::vector<Flips>& partners() const { return by_halves ? second : first; }
  /// The entries that two sets flip; none if they share one.
  std::vector<std::size_t> flipped(const Flips& a, const Flips& b) const {
    std::vector<std::size_t> result;
    if (by_halves) {
      for (std::size_t k = 0; k < entries.size(); ++k)
        if (((a.code | b.code) >> k & 1) != 0) result.push_back(entries[k]);
      std::ranges::sort(result);
      return result;
    }
    for (std::uint64_t code : {a.code, b.code})
      for (; (code & kNobody) != kNobody; code = code >> 16 | kNobody << 48)
        result.push_back(entries[code & kNobody]);
    std::ranges::sort(result);
    if (std::ranges::adjacent_find(result) != result.end()) result.clear();
    return result;
  }
};

/// As many of each side where there are enough, those whose flip adds least to the objective first.
std::vector<std::size_t> cheapest_entries(const RealTotal& wanted, const Mask& x, std::size_t count,
                                          double noise, Rng& rng) {
  std::vector<std::pair<double, std::size_t>> sides[2];
  for (std::size_t i = 0; i < x.size(); ++i)
    sides[x[i]].push_back({wanted.gains[i] * (1 + noise * (rng.uniform() - 0.5)), i});
  std::vector<std::size_t> chosen;
  for (auto& side : sides) std::ranges::sort(side);
  for (std::size_t k = 0; chosen.size() < std::min(count, x.size()); ++k)
    for (const auto& side : sides)
      if (k < side.size() && chosen.size() < count) chosen.push_back(side[k].second);
  return chosen;
}

Lists lists_for(const RealTotal& wanted, const Mask& x, int draw, Rng& rng) {
  const std::size_t n = x.size();
  Lists lists;
  const std::size_t most = n <= kFoursOf ? 4 : n <= kTriplesUpTo ? 3 : 2;
  const std::size_t of_most = most == 4 ? kFoursOf : most == 3 ? kTriplesOf : kPairsOf;
  const bool drawn_before = draw > 0 && n <= of_most;  // another draw would be of the same entries
  lists.by_halves = n <= kMostByHalves || drawn_before || draw >= kDrawsOfSmallSets;
  const std::size_t of_halves = n <= kMostByHalves ? n : kDrawnForHalves;
  const std::size_t count = lists.by_halves ? of_halves : of_most;
  lists.entries = cheapest_entries(wanted, x, count, draw, rng);
  std::vector<double> costs;
  for (const std::size_t i : lists.entries) costs.push_back(cost_of_flip(wanted, x, i));
  if (lists.by_halves) {
    const std::size_t half = costs.size() / 2;
    lists.first = all_sets(std::span(costs).first(half), 0);
    lists.second = all_sets(std::span(costs).subspan(half), half);
  } else {
    lists.first = small_sets(costs, most);
  }
  return lists;
}

/// Of the pairs of sets that cost what is missing, from a random place on, the one that adds least to the
/// objective; +infinity without one.
double best_pair(const RealTotal& wanted, const Lists& lists, double left, Rng& rng,
                 std::vector<std::size_t>& best) {
  const std::vector<Flips>&first = lists.first, &second = lists.partners();
  const std::size_t begin = rng.below(static_cast<std::uint32_t>(first.size()));
  double least = kInfinity;
  int hits = 0;
  auto from = second.end();
  for (std::size_t k = 0; k < first.size() && hits < kCompared; ++k) {
    const Flips& a = first[(begin + k) % first.size()];
    const double rest = left - a.cost;
    if (begin + k == first.size()) from = second.end();
    while (from != second.begin() && (from - 1)->cost >= rest - wanted.tolerance) --from;
    for (auto b = from; b != second.end() && b->cost <= rest + wanted.tolerance && hits < kCompared; ++b) {
      std::vector<std::size_t> flipped = lists.flipped(a, *b);
      // Sets that share an entry come out empty too; at no cost doing nothing is as good as they are.
      if (flipped.empty() && a.cost + b->cost != 0) continue;
      ++hits;
      const double change = wanted.change(flipped);
      if (change < least) least = change, best = std::move(flipped);
    }
  }
  return least;
}

}  // namespace

double meet_total(const RealTotal& wanted, Mask& x, Rng& rng, const Deadline& deadline) {
  const Mask given = x;
  come_near(wanted, x, rng);
  std::vector<std::size_t> before;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i] != given[i]) before.push_back(i);
  RealTotal from_here = wanted;
  from_here.change = [&](std::span<const std::size_t> flipped) {
    std::vector<std::size_t> all;
    std::ranges::set_symmetric_difference(before, flipped, std::back_inserter(all));
    return wanted.change(all);
  };
  const int draws = x.size() <= kMostByHalves ? 1 : kDraws;
  for (int draw = 0; draw < draws && !deadline.expired(); ++draw) {
    const Lists lists = lists_for(wanted, x, draw, rng);
    std::vector<std::size_t> flipped;
    const double change = best_pair(from_here, lists, missing(wanted, x), rng, flipped);
    if (change == kInfinity) continue;
    for (const std::size_t i : flipped) x[i] ^= 1;
    return change;
  }
  return kInfinity;
}

}  // namespace quboprune
