#include "multiples/tied_counts.h"

#include <gtest/gtest.h>

#include <map>

#include "quboprune/random.h"

namespace quboprune {
namespace {

struct Case {
  std::vector<int> sizes;
  std::vector<CountDemand> demands;
  std::vector<std::vector<double>> worth;
};

/// Two to four bundles of up to nine groups; one to five axes over some of them.
Case random_case(Rng& rng) {
  Case c;
  const auto below = [&](int n) { return static_cast<int>(rng.below(static_cast<std::uint32_t>(n))); };
  const int bundles = 2 + below(3);
  for (int b = 0; b < bundles; ++b) {
    c.sizes.push_back(1 + below(9));
    auto& worth = c.worth.emplace_back(1, 0.0);
    for (int k = 0; k < c.sizes.back(); ++k) worth.push_back(worth.back() + rng.uniform() - 0.2);
  }
  for (int d = 1 + below(5); d > 0; --d) {
    CountDemand demand{below(3), {}, below(4) != 0, below(2) != 0};
    for (int b = 0; b < bundles; ++b) {
      if (below(2) != 0) demand.bundles.emplace_back(b, 1 + below(3));
    }
    if (!demand.bundles.empty()) c.demands.push_back(std::move(demand));
  }
  return c;
}

bool meets(const Case& c, const std::vector<int>& kept, int multiple) {
  for (const auto& d : c.demands) {
    int size = d.fixed;
    int all = d.fixed;
    for (const auto& [b, each] : d.bundles) {
      size += each * kept[static_cast<std::size_t>(b)];
      all += each * c.sizes[static_cast<std::size_t>(b)];
    }
    if (d.even && size % multiple != 0 && size != all) return false;
    if (d.filled && size == 0) return false;
  }
  return true;
}

/// Best worth by total, over all counts.
std::map<int, double> by_brute_force(const Case& c, int multiple, std::vector<bool>& reducible) {
  std::map<int, double> best;
  reducible.assign(c.sizes.size(), false);
  std::vector<int> kept(c.sizes.size(), 0);
  for (bool more = true; more;) {
    if (meets(c, kept, multiple)) {
      int total = 0;
      double worth = 0;
      for (std::size_t b = 0; b < kept.size(); ++b) {
        total += kept[b];
        worth += c.worth[b][static_cast<std::size_t>(kept[b])];
        if (kept[b] < c.sizes[b]) reducible[b] = true;
      }
      const auto [entry, fresh] = best.try_emplace(total, worth);
      if (!fresh) entry->second = std::max(entry->second, worth);
    }
    more = false;
    for (std::size_t b = 0; b < kept.size() && !more; ++b) {
      more = kept[b] < c.sizes[b];
      kept[b] = more ? kept[b] + 1 : 0;
    }
  }
  return best;
}

TEST(TiedCounts, FindsTheBestOfEachTotalThatBruteForceFinds) {
  Rng rng(5);
  int cut = 0;
  for (int repeat = 0; repeat < 300; ++repeat) {
    const Case c = random_case(rng);
    const int multiple = 2 + repeat % 4;
    std::vector<bool> reducible;
    const auto expected = by_brute_force(c, multiple, reducible);
    const TiedCounts counts(c.sizes, c.demands, multiple);
    const auto found = counts.choices(c.worth);
    ASSERT_EQ(found.size(), expected.size()) << "case " << repeat;
    auto want = expected.begin();
    for (const auto& choice : found) {
      EXPECT_EQ(choice.total, want->first);
      EXPECT_NEAR(choice.worth, want->second, 1e-12);
      EXPECT_TRUE(meets(c, choice.kept, multiple));
      ++want;
    }
    EXPECT_EQ(found.back().kept, c.sizes);
    for (std::size_t b = 0; b < reducible.size(); ++b)
      EXPECT_EQ(counts.reducible(static_cast<int>(b)), reducible[b]);
    cut += found.size() > 1 ? 1 : 0;
  }
  EXPECT_GT(cut, 100);
}

TEST(TiedCounts, HalvesOfOneLayerStayMultiplesTogether) {
  const std::vector<CountDemand> demands = {
      {0, {{0, 1}, {1, 1}}, true, true}, {0, {{0, 1}}, true, true}, {0, {{1, 1}}, true, true}};
  const std::vector<double> worth(13, 1.0);
  const auto found = TiedCounts({12, 12}, demands, 8).choices({worth, worth});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].kept, (std::vector<int>{8, 8}));
  EXPECT_EQ(found[1].kept, (std::vector<int>{12, 12}));
}

TEST(TiedCounts, KeepsToItsBeamWhereManyWaysAreOpen) {
  // Four pairs of 12 and 12 in multiples of 8, of which all first ones come first: some 13^4 ways are open
  // between. A pair keeps 8, 16 or all 24, so the best for each total follows from the pairs alone.
  std::vector<CountDemand> demands;
  for (int d = 0; d < 4; ++d) demands.push_back({0, {{d, 1}, {d + 4, 1}}, true, true});
  const TiedCounts counts(std::vector<int>(8, 12), demands, 8);
  Rng rng(5);
  for (const double scale : {0.0, 1.0}) {  // all alike, and not
    std::vector<std::vector<double>> worth(8, std::vector<double>(13));
    for (auto& bundle : worth)
      for (int k = 1; k <= 12; ++k)
        bundle[static_cast<std::size_t>(k)] = bundle[static_cast<std::size_t>(k) - 1] + scale * rng.uniform();
    const auto of_pair = [&](std::size_t d, int total) {
      double best = -1;
      for (int k = std::max(0, total - 12); k <= std::min(12, total); ++k)
        best = std::max(
            best, worth[d][static_cast<std::size_t>(k)] + worth[d + 4][static_cast<std::size_t>(total - k)]);
      return best;
    };
    std::map<int, double> exact;
    for (int code = 0; code < 81; ++code) {
      int total = 0;
      double sum = 0;
      for (std::size_t d = 0, rest = static_cast<std::size_t>(code); d < 4; ++d, rest /= 3) {
        total += 8 * (1 + static_cast<int>(rest % 3));
        sum += of_pair(d, 8 * (1 + static_cast<int>(rest % 3)));
      }
      const auto [best, fresh] = exact.try_emplace(total, sum);
      if (!fresh) best->second = std::max(best->second, sum);
    }
    const auto found = counts.choices(worth);
    ASSERT_EQ(found.size(), exact.size());
    for (const auto& choice : found) {
      ASSERT_TRUE(exact.contains(choice.total));
      for (std::size_t d = 0; d < 4; ++d) {
        const int pair = choice.kept[d] + choice.kept[d + 4];
        EXPECT_TRUE(pair > 0 && pair % 8 == 0) << pair;
      }
      // A beam of the best: what it misses is little.
      EXPECT_LE(choice.worth, exact[choice.total] + 1e-12);
      EXPECT_GE(choice.worth, 0.9 * exact[choice.total]);
    }
    EXPECT_EQ(found.back().kept, std::vector<int>(8, 12));
  }
}

TEST(TiedCounts, FollowsALongChainByBeamWithoutLosingItsEnd) {
  // 40 pieces of 7, each two neighbours an axis and all of them one more.
  std::vector<CountDemand> demands;
  CountDemand all{0, {}, true, true};
  for (int b = 0; b < 40; ++b) {
    all.bundles.emplace_back(b, 1);
    if (b > 0) demands.push_back({0, {{b - 1, 1}, {b, 1}}, true, true});
  }
  demands.push_back(all);
  std::vector<double> worth;
  for (int k = 0; k <= 7; ++k) worth.push_back(k);
  const TiedCounts counts(std::vector<int>(40, 7), demands, 4);
  const auto found = counts.choices(std::vector<std::vector<double>>(40, worth));
  EXPECT_GT(found.size(), 5U);
  for (const auto& choice : found) {
    EXPECT_TRUE(choice.total % 4 == 0);
    for (std::size_t b = 1; b < 40; ++b) {
      const int pair = choice.kept[b - 1] + choice.kept[b];
      EXPECT_TRUE(pair == 14 || (pair > 0 && pair % 4 == 0)) << pair;
    }
  }
}

}  // namespace
}  // namespace quboprune
