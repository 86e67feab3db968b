#include "quboprune/trust.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/shuffle.h"
#include "quboprune/error.h"
#include "quboprune/random.h"
#include "target/fit_cost.h"

namespace quboprune {
namespace {

/// Ranks from 0, equal values sharing the mean of theirs.
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> result(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first + 1;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    for (std::size_t k = first; k < end; ++k) result[order[k]] = 0.5 * static_cast<double>(first + end - 1);
    first = end;
  }
  return result;
}

std::vector<int> where(const Mask& mask, std::uint8_t value) {
  std::vector<int> result;
  for (std::size_t g = 0; g < mask.size(); ++g) {
    if (mask[g] == value) result.push_back(static_cast<int>(g));
  }
  return result;
}

class Maker {
 public:
  Maker(const ChannelGroups& groups, const Target& target, std::uint64_t seed)
      : groups_(groups), target_(target), rng_(seed) {}

  /// A share of the removed groups comes back, as many others go.
  Mask exchanged(Mask mask, double share) {
    auto out = where(mask, 0);
    auto in = where(mask, 1);
    shuffle(out, rng_);
    shuffle(in, rng_);
    const auto wanted = static_cast<std::size_t>(std::lround(share * static_cast<double>(out.size())));
    const std::size_t count = std::min({std::max<std::size_t>(1, wanted), out.size(), in.size()});
    for (std::size_t k = 0; k < count; ++k) {
      mask[static_cast<std::size_t>(out[k])] = 1;
      mask[static_cast<std::size_t>(in[k])] = 0;
    }
    return mask;
  }
  Mask mixed(const Mask& a, const Mask& b) {
    Mask mask = a;
    for (std::size_t g = 0; g < mask.size(); ++g) mask[g] = rng_.below(2) == 0 ? a[g] : b[g];
    return mask;
  }
  /// Meets the target by random additions and removals; false if an axis ends up empty.
  bool fit(Mask& mask) {
    if (target_.kind == Cost::filters) {
      const int count = static_cast<int>(allowance(groups_, target_));
      const std::uint8_t wrong = kept_count(mask) > count ? 1 : 0;
      auto list = where(mask, wrong);
      shuffle(list, rng_);
      const auto excess = static_cast<std::size_t>(std::abs(kept_count(mask) - count));
      for (std::size_t k = 0; k < excess; ++k)
        mask[static_cast<std::size_t>(list[k])] = static_cast<std::uint8_t>(1 - wrong);
    } else if (!fit_cost_at_random(mask)) {
      return false;
    }
    return !groups_.empties_an_axis(mask);
  }
  Rng& rng() { return rng_; }

 private:
  bool fit_cost_at_random(Mask& mask) {
    Qubo random(groups_.size());
    for (int g = 0; g < groups_.size(); ++g) random.add_linear(g, -rng_.uniform());
    return CostFitter(random, groups_, target_.kind, allowance(groups_, target_),
                      std::vector<std::int8_t>(mask.size(), -1))
        .fit(mask);
  }

  const ChannelGroups& groups_;
  const Target& target_;
  Rng rng_;
};

}  // namespace

double spearman(const std::vector<double>& a, const std::vector<double>& b) {
  const auto x = ranks(a);
  const auto y = ranks(b);
  const double middle = 0.5 * (static_cast<double>(x.size()) - 1);
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - middle) * (y[i] - middle);
    xx += (x[i] - middle) * (x[i] - middle);
    yy += (y[i] - middle) * (y[i] - middle);
  }
  if (!(xx > 0) || !(yy > 0)) return std::numeric_limits<double>::quiet_NaN();
  return xy / std::sqrt(xx * yy);
}

std::vector<Mask> trust_masks(const ChannelGroups& groups, const Target& target,
                              const std::vector<Mask>& seeds, int count, std::uint64_t seed) {
  if (seeds.empty()) throw InputError("trust_masks: give at least one mask to start from");
  for (const Mask& mask : seeds) groups.check_size(mask);
  Maker maker(groups, target, seed);
  std::vector<Mask> known = seeds;
  std::vector<Mask> result;
  const auto pick = [&]() -> const Mask& {
    return seeds[maker.rng().below(static_cast<std::uint32_t>(seeds.size()))];
  };
  for (int attempt = 0; attempt < 20 * count && static_cast<int>(result.size()) < count; ++attempt) {
    Mask mask;
    switch (attempt % 4) {
      case 2: {
        const Mask& one = pick();  // by itself: the order of arguments is the compiler's
        mask = maker.mixed(one, pick());
        break;
      }
      case 3:
        mask.assign(seeds.front().size(), 1);
        break;
      default:
        mask = maker.exchanged(pick(), 0.02 * std::pow(10.0, maker.rng().uniform()));
    }
    if (!maker.fit(mask) || std::find(known.begin(), known.end(), mask) != known.end()) continue;
    known.push_back(mask);
    result.push_back(std::move(mask));
  }
  return result;
}

}  // namespace quboprune
