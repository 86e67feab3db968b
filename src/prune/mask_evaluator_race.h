#pragma once

#include <span>

namespace quboprune {

/// P(T > t) for Student's t with `degrees` >= 1 degrees of freedom.
/// Source: the finite sums of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
double upper_tail(double t, int degrees);

/// How a race decides.
struct RaceRule {
  int samples = 0;        ///< in all
  int looks = 1;          ///< at most, in a race
  double error = 0.01;    ///< of giving up a mask that isn't worse, over all looks
  double range = 0;       ///< largest minus smallest possible difference; 0: no bound is known
  int least_samples = 4;  ///< before which nothing is given up

  /// Is the mean difference over all samples positive, as far as the first ones (drawn without replacement)
  /// tell?
  bool hopeless(std::span<const double> differences) const;
};

}  // namespace quboprune
