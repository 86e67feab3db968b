#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "quboprune/error.h"
#include "quboprune/metrics.h"
#include "quboprune/random.h"

namespace quboprune {
namespace {

/// What is resampled: the differences of one scene, by their sum and number.
struct Cluster {
  double sum = 0;
  double count = 0;
};

std::vector<Cluster> clustered(const std::vector<double>& a, const std::vector<double>& b,
                               const std::vector<std::string>& names) {
  std::vector<Cluster> result;
  std::map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t at = result.size();
    if (!names.empty()) at = index.try_emplace(names[i], at).first->second;
    if (at == result.size()) result.emplace_back();
    result[at].sum += a[i] - b[i];
    result[at].count += 1;
  }
  return result;
}

/// Between the two nearest values, at part `where` (0..1) of a sorted list.
double quantile(const std::vector<double>& sorted, double where) {
  const double at = where * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

}  // namespace

Interval paired_bootstrap(const std::vector<double>& a, const std::vector<double>& b, double confidence,
                          int resamples, std::uint64_t seed, const std::vector<std::string>& clusters) {
  if (a.size() != b.size() || (!clusters.empty() && clusters.size() != a.size()))
    throw InputError("a paired comparison needs the same samples on both sides, not " +
                     std::to_string(a.size()) + " and " + std::to_string(b.size()));
  if (!(confidence > 0 && confidence < 1) || resamples < 1)
    throw InputError("a bootstrap interval needs a confidence between 0 and 1 and at least one resample");
  const std::vector<Cluster> units = clustered(a, b, clusters);
  if (units.size() < 2)
    throw InputError(std::string("a bootstrap interval needs at least two ") +
                     (clusters.empty() ? "samples" : "scenes"));
  Rng rng(seed);
  std::vector<double> means;
  for (int r = 0; r < resamples; ++r) {
    Cluster drawn;
    for (std::size_t i = 0; i < units.size(); ++i) {
      const Cluster& unit = units[rng.below(static_cast<std::uint32_t>(units.size()))];
      drawn.sum += unit.sum;
      drawn.count += unit.count;
    }
    means.push_back(drawn.sum / drawn.count);
  }
  std::sort(means.begin(), means.end());
  const double sum = std::accumulate(units.begin(), units.end(), 0.0,
                                     [](double total, const Cluster& unit) { return total + unit.sum; });
  return {sum / static_cast<double>(a.size()), quantile(means, (1 - confidence) / 2),
          quantile(means, (1 + confidence) / 2)};
}

}  // namespace quboprune
