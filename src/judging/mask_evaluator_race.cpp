#include "judging/mask_evaluator_race.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "quboprune/metrics.h"

namespace quboprune {

double upper_tail(double t, int degrees) {
  if (std::isinf(t)) return t > 0 ? 0 : 1;
  return boost::math::cdf(boost::math::complement(boost::math::students_t(degrees), t));
}

double variance_of(std::span<const double> differences) {
  const auto n = static_cast<double>(differences.size());
  const double average = mean(differences);
  double square = 0;
  for (double d : differences) square += (d - average) * (d - average);
  return square / (n - 1);
}

double RaceRule::level(int look) const {
  double shares = 0;
  for (int k = 1; k <= looks; ++k) shares += 1.0 / k;
  return error / (look * shares);
}

bool RaceRule::hopeless(const ExpectedDifference& expected, double doubt, int look) const {
  const double deviation = doubt * expected.deviation;
  return expected.degrees >= kFewestSamples && expected.mean > 0 && deviation > 0 &&
         upper_tail(expected.mean / deviation, expected.degrees) < level(look);
}

bool RaceRule::hopeless(std::span<const double> differences, int look) const {
  const auto n = static_cast<double>(differences.size());
  const double all = samples;
  if (n < kFewestSamples || n >= all) return false;
  const double average = mean(differences);
  if (!(average > 0) || std::isinf(average)) return false;
  if (range > 0) {
    // Serfling 1974: P(mean - true mean >= e) <= exp(-2 n e² / ((1 - (n - 1)/N) range²)).
    return std::exp(-2 * n * average * average / ((1 - (n - 1) / all) * range * range)) < level(look);
  }
  int degrees = static_cast<int>(n) - 1;
  double square = degrees * variance_of(differences);
  if (prior_variance > 0) {
    square += kPriorDegrees * prior_variance;
    degrees += kPriorDegrees;
  }
  const double deviation = std::sqrt(square / degrees / n * (1 - n / all));
  return deviation > 0 && upper_tail(average / deviation, degrees) < level(look);
}

double Contender::mean() const {
  return by_expectation ? expected.back().mean : quboprune::mean(differences);
}

void Race::see(std::span<const std::size_t> samples) {
  ++look_;
  seen_.insert(seen_.end(), samples.begin(), samples.end());
  const bool all = static_cast<int>(seen_.size()) >= rule_.samples;
  told_.reset();
  if (model_.expects() && !(rule_.range > 0) && !all) told_ = model_.seen(seen_);
}

bool Race::gives_up(Contender& contender) const {
  const bool finite = std::ranges::all_of(contender.differences, [](double d) { return std::isfinite(d); });
  if (told_ && finite) contender.expected.push_back(told_->expected(contender.differences));
  contender.by_expectation = told_ && finite && model_.ready();
  return contender.by_expectation ? rule_.hopeless(contender.expected.back(), model_.doubt(), look_)
                                  : rule_.hopeless(contender.differences, look_);
}

}  // namespace quboprune
