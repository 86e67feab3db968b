#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <map>
#include <numeric>

#include "quboprune/error.h"
#include "quboprune/metrics.h"

namespace quboprune {
namespace {

/// The differences of one scene, by their sum and number.
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

}  // namespace

MeanDifference paired_difference(const std::vector<double>& a, const std::vector<double>& b,
                                 const std::vector<std::string>& clusters) {
  if (a.size() != b.size() || (!clusters.empty() && clusters.size() != a.size()))
    throw InputError("a paired comparison needs the same samples on both sides, not " +
                     std::to_string(a.size()) + " and " + std::to_string(b.size()));
  const std::vector<Cluster> units = clustered(a, b, clusters);
  if (units.size() < 2)
    throw InputError(std::string("an interval needs at least two ") +
                     (clusters.empty() ? "samples" : "scenes"));
  const auto samples = static_cast<double>(a.size()), scenes = static_cast<double>(units.size());
  const double sum = std::accumulate(units.begin(), units.end(), 0.0,
                                     [](double total, const Cluster& unit) { return total + unit.sum; });
  const double mean = sum / samples;
  double squares = 0;
  for (const Cluster& unit : units) squares += std::pow(unit.sum - mean * unit.count, 2);
  return {mean, std::sqrt(scenes / (scenes - 1) * squares) / samples, static_cast<int>(units.size())};
}

Interval paired_interval(const std::vector<double>& a, const std::vector<double>& b, double confidence,
                         const std::vector<std::string>& clusters) {
  if (!(confidence > 0 && confidence < 1)) throw InputError("an interval needs a confidence between 0 and 1");
  const MeanDifference difference = paired_difference(a, b, clusters);
  const boost::math::students_t student(difference.units - 1);
  const double half =
      boost::math::quantile(boost::math::complement(student, (1 - confidence) / 2)) * difference.error;
  return {difference.mean, difference.mean - half, difference.mean + half};
}

}  // namespace quboprune
